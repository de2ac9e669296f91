"""A device is tried before the work, and what has no memory left says so."""

import pytest
import torch

from cxr_noise_transforms.study.devices import first_line, out_of_memory, usable_device


def test_the_default_is_a_gpu_where_there_is_one() -> None:
    assert usable_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert usable_device("cpu") == usable_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["nonsense", f"cuda:{torch.cuda.device_count()}", "xpu", "mps"])
def test_a_device_that_cannot_be_used_is_one_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=f"^device {name} cannot be used here: [^\n]+$"):
        usable_device(name)


def test_errors_of_memory_are_told_from_others() -> None:
    # more than any machine has
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    for error in (refused.value, torch.OutOfMemoryError("CUDA out of memory."), MemoryError()):
        assert out_of_memory(error), error
    for error in (RuntimeError("shapes differ"), ValueError("out of memory")):
        assert not out_of_memory(error), error


def test_the_first_line_of_an_error() -> None:
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(MemoryError()) == "MemoryError"
