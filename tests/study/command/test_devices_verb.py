"""What draws on the devices that are here."""

import re

import pytest
import torch

from cxr_noise_transforms.study.command.main import main


def test_every_device_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("Quantum noise at sq = 4 with a seed, 8 films of 512 x 512")
    named = [line for line in lines if not line.startswith("  ")]
    assert len(named) == 1 + torch.accelerator.device_count()
    assert re.fullmatch(r"cpu: the Numba kernel, the law itself, \d+\.\d\d ns per pixel", named[0])


def test_the_kernel_of_a_gpu_is_named_with_its_verdict() -> None:
    from cxr_noise_transforms.study.command.devices import _drawn_by

    assert _drawn_by(torch.device("cuda"), []).startswith("the Triton kernel, proven here")
    assert _drawn_by(torch.device("mps"), []) == "on the CPU, and copied"
