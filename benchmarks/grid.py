"""What is measured: noises, dtypes, sizes and severities, and the films they act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

NOISES = ("quantum", "electronic", "radiographic")
COPY = "copy"
DTYPES = {"float32": torch.float32, "uint8": torch.uint8}
SEVERITIES = (1.0, 4.0, 10.0)
# the severity at which every size is measured
MIDDLE = 4.0


class Size(NamedTuple):
    """A batch of square films."""

    films: int
    side: int

    def __str__(self) -> str:
        return f"{self.films}x{self.side}"


class Grid(NamedTuple):
    """Sizes, and the one of them at which every severity is measured."""

    sizes: tuple[Size, ...]
    base: Size


class Case(NamedTuple):
    """One task that contenders are given."""

    noise: str
    dtype: str
    size: Size
    severity: float

    def __str__(self) -> str:
        return f"{self.noise}/{self.dtype}/{self.size}/{self.severity:g}"


class Contender(NamedTuple):
    """One way to do a task.

    Attributes:
        name: as the tables show it.
        noise: which noise it makes, or ``COPY``.
        prepare: ``(film, severity) -> call``; what it does is not timed, the call is.
        draws: what it draws exactly.
        package: the module it needs.
        same_law: whether its law is the task's.
        severities: whether its noise has a strength; one that has none is measured once.
        torch_memory: whether torch's allocator sees its memory on CUDA.
    """

    name: str
    noise: str
    prepare: Callable[[Tensor, float], Callable[[], Tensor]]
    draws: str
    package: str = "torch"
    same_law: bool = True
    severities: bool = True
    torch_memory: bool = True

    def takes(self, case: Case) -> bool:
        """Whether this contender has a row for ``case``."""
        return self.noise == case.noise and (self.severities or case.severity == MIDDLE)


_SMALL, _MANY, _LARGE = Size(1, 512), Size(64, 512), Size(1, 3000)
CPU_GRID = Grid((_SMALL, Size(8, 512), _MANY, _LARGE), base=Size(8, 512))
CUDA_GRID = Grid((_SMALL, Size(8, 512), _MANY, _LARGE), base=_MANY)
QUICK_GRID = Grid((Size(1, 32), Size(2, 32)), base=Size(2, 32))


def cases(grid: Grid) -> list[Case]:
    """Every size at the middle severity, and every severity at the base size."""
    copies = [Case(COPY, dtype, size, MIDDLE) for dtype in DTYPES for size in grid.sizes]
    noises = [
        Case(noise, dtype, size, severity)
        for noise in NOISES
        for dtype in DTYPES
        for size in grid.sizes
        for severity in SEVERITIES
        if severity == MIDDLE or size == grid.base
    ]
    return copies + noises


def make_films(case: Case, device: str) -> Tensor:
    """Films ``(B, 1, H, W)`` of every 8-bit grey level alike, without structure."""
    generator = torch.Generator().manual_seed(0)
    shape = (case.size.films, 1, case.size.side, case.size.side)
    levels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    films = levels if case.dtype == "uint8" else levels.to(torch.float32) / 255
    return films.to(device)


def show_size(size: str) -> str:
    """A size as readers write it.

    Example:
        >>> show_size("8x512")
        '8 × 512²'
    """
    films, side = size.split("x")
    return f"{films} × {side}²"


def row_key(row: dict[str, Any]) -> str:
    """The name of a row: its case and its contender.

    Example:
        >>> row_key(dict(noise="quantum", dtype="uint8", size="8x512", severity=4.0, contender="x"))
        'quantum/uint8/8x512/4/x'
    """
    task = f"{row['noise']}/{row['dtype']}/{row['size']}/{row['severity']:g}"
    return f"{task}/{row['contender']}"
