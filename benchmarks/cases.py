"""What is timed: contenders, dtypes, sizes, severities and threads, and the films."""

from typing import NamedTuple

import torch
from torch import Tensor

from .contenders import CONTENDERS, COPY
from .machine import is_installed

SIZES = {
    "cpu": ("1x512", "8x512", "1x3000"),
    "cuda": ("1x512", "8x512", "64x512", "1x3000"),
}
# what the targets are about, and where every severity and number of threads is measured
BASE = {"cpu": "8x512", "cuda": "64x512"}
# the size at which memory is measured
LARGEST = "1x3000"
SEVERITIES = (1.0, 4.0, 10.0)
# the severity at which every size is measured
MIDDLE = 4.0
DTYPES = ("float32", "uint8")
# of threads and of a loader's workers: one, two, and what the machine has
COUNTS = sorted({1, min(2, torch.get_num_threads()), torch.get_num_threads()})


class Case(NamedTuple):
    """A task for one contender."""

    device: str
    noise: str
    contender: str
    dtype: str
    size: str
    severity: float
    threads: int

    def __str__(self) -> str:
        return "-".join(map(str, self))


def cases(device: str) -> list[Case]:
    """Every size at the middle severity; the base size at every severity and number of threads."""
    base, counts = BASE[device], COUNTS if device == "cpu" else COUNTS[-1:]
    there = [c for c in CONTENDERS if c.device in (None, device) and is_installed(c.package)]
    # what is compared is timed at about the same time
    return [
        Case(device, contender.noise, contender.name, dtype, size, severity, threads)
        for dtype in DTYPES
        for size in SIZES[device]
        for severity in SEVERITIES
        for threads in counts
        if size == base or (severity == MIDDLE and threads == COUNTS[-1])
        for contender in there
        if severity == MIDDLE or contender.noise != COPY
    ]


def make_films(size: str, dtype: str = "float32", device: str = "cpu") -> Tensor:
    """Films ``(B, 1, H, W)`` of every 8-bit grey level alike, without structure."""
    films, side = map(int, size.split("x"))
    shape, generator = (films, 1, side, side), torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return (levels if dtype == "uint8" else levels.to(torch.float32) / 255).to(device)
