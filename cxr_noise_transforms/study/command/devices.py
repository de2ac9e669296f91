"""Say for every device here what draws the noise, whether that is proven, and how fast it is.

cxr-noise devices
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_SHAPE, _ROUNDS = (8, 1, 512, 512), 9


def main(arguments: Sequence[str]) -> int:
    """Print one line per device, and what a device's kernel lacks."""
    argparse.ArgumentParser(
        prog="cxr-noise devices",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    import torch

    found, kind = [torch.device("cpu")], torch.accelerator.current_accelerator()
    if kind is not None:
        found += [torch.device(kind.type, i) for i in range(torch.accelerator.device_count())]
    size, threads = f"{_SHAPE[2]} x {_SHAPE[3]}", torch.get_num_threads()
    print(f"Quantum noise at sq = 4 with a seed, {_SHAPE[0]} films of {size}, {threads} threads")
    for device in found:
        print("\n  ".join(_lines(device)))
    return 0


def _lines(device: torch.device) -> list[str]:
    """What draws on a device and how fast, and what it was warned of."""
    import torch

    from cxr_noise_transforms import QuantumNoise

    films, noise, seconds = torch.full(_SHAPE, 0.5, device=device), QuantumNoise(4), []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(_ROUNDS + 1):
            start = time.perf_counter()
            noise(films, seed=0)
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            seconds.append(time.perf_counter() - start)
    # the first call compiles
    speed = f"{median(seconds[1:]) / films.numel() * 1e9:.2f} ns per pixel"
    by = _drawn_by(device, told)
    return [f"{device}: {by}, {speed}", *(str(warning.message) for warning in told)]


def _drawn_by(device: torch.device, told: Sequence[warnings.WarningMessage]) -> str:
    if device.type == "cpu":
        return "the Numba kernel, the law itself"
    if device.type == "cuda" and not told:
        return "the Triton kernel, proven here against the CPU's"
    return "on the CPU, and copied"
