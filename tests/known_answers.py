"""Cases whose answers are kept in known_answers.npz: noise must stay what it is, bit for bit.

``python tests/known_answers.py`` writes the file. A change of the file is a change of everybody's
noise at every seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cxr_noise_transforms import electronic_noise, quantum_noise, radiographic_noise

FILE = Path(__file__).with_suffix(".npz")
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
DTYPES = (torch.uint8, torch.uint16, *FLOATS)
LADDER = (0.001, 0.25, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 30.0)
SEEDS = (0, -1, -7, 2**32 + 5, 2**63 - 1, -(2**63))
SHAPES = ((1, 1), (3, 7), (2, 1, 33, 31), (5, 1, 37, 41), (1, 700, 701), (2, 3, 9, 5))
XRAY = (-1024.0, 1024.0)
DIGITISERS: tuple[dict[str, Any], ...] = (
    {"clip": True},
    {"bits": 1},
    {"bits": 8},
    {"bits": 12},
    {"bits": 16},
    {"value_range": XRAY},
    {"value_range": XRAY, "bits": 12},
)
MIXED = torch.tensor([0.0, 4.0, 0.25, 30.0])
HOSTILE = (math.nan, math.inf, -math.inf, -1.0, -0.0, 0.0, 1e30, 1e-40, 65504.0)


class Case(NamedTuple):
    """One call: quantum noise without ``se``, electronic without ``sq``, else radiographic."""

    name: str
    image: Tensor
    severities: dict[str, float | Tensor]
    arguments: dict[str, Any]

    def answer(self) -> Tensor:
        """The noisy image of today."""
        noise = {("sq",): quantum_noise, ("se",): electronic_noise}
        call = noise.get(tuple(self.severities), radiographic_noise)
        return call(self.image, **self.severities, **{"seed": 7, **self.arguments})  # type: ignore[operator]

    @property
    def counted(self) -> bool:
        """Whether photons alone make the noise, so that nothing may change."""
        return "se" not in self.severities


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _counts()
    yield from _rates()
    yield from _normals()


def film(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Greys without order, the same with every version of every library."""
    grey = torch.arange(math.prod(shape)).mul(2654435761).remainder(2**32).double() / 2**32
    if dtype.is_floating_point:
        return grey.to(dtype).reshape(shape)
    return grey.mul(torch.iinfo(dtype).max + 1).floor().to(dtype).reshape(shape)


def ranged(image: Tensor, arguments: dict[str, Any]) -> Tensor:
    """A float film in the value range of the arguments."""
    if not image.is_floating_point():
        return image
    low, high = arguments.get("value_range", (0.0, 1.0))
    return (low + image.double() * (high - low)).to(image.dtype)


def _counts() -> Iterator[Case]:
    for dtype in DTYPES:
        image = film(1, 53, 61, dtype=dtype)
        for sq in LADDER:
            yield Case(f"quantum {dtype} sq={sq}", image, {"sq": sq}, {})
        for arguments in DIGITISERS:
            given = ranged(image, arguments)
            yield Case(f"quantum {dtype} {arguments}", given, {"sq": 4.0}, arguments)
        four = film(4, 1, 21, 23, dtype=dtype)
        yield Case(f"quantum {dtype} mixed", four, {"sq": MIXED}, {})
        yield Case(f"quantum {dtype} mixed 8 bits", four, {"sq": MIXED}, {"bits": 8})
    for dtype in (torch.uint8, torch.float32):
        for seed in SEEDS:
            image = film(1, 1, 19, 27, dtype=dtype)
            yield Case(f"quantum {dtype} seed={seed}", image, {"sq": 4.0}, {"seed": seed})
        seeds = torch.tensor(SEEDS)
        image = film(len(SEEDS), 1, 19, 27, dtype=dtype)
        yield Case(f"quantum {dtype} seeds", image, {"sq": 4.0}, {"seed": seeds})
        for shape in SHAPES:
            yield Case(f"quantum {dtype} {shape}", film(*shape, dtype=dtype), {"sq": 6.0}, {})
    for dtype in FLOATS:
        image = film(1, 45, 47, dtype=dtype)
        image.view(-1)[::5] = torch.tensor(HOSTILE, dtype=dtype).repeat(47)
        for arguments in ({}, *DIGITISERS):
            for sq in (0.25, 4.0):
                name = f"quantum hostile {dtype} {arguments} sq={sq}"
                yield Case(name, image, {"sq": sq}, arguments)


def _rates() -> Iterator[Case]:
    # the signal is the rate itself; exact numbers of every size
    for dtype, powers in ((torch.float32, range(-20, 24)), (torch.float64, range(-20, 60))):
        for power in powers:
            rates = torch.ldexp(1 + film(1, 40, 50, dtype=torch.float64), torch.tensor(power))
            arguments = {"n0": 1.0, "seed": power}
            yield Case(f"rates {dtype} 2^{power}", rates.to(dtype), {"sq": 1.0}, arguments)


def _normals() -> Iterator[Case]:
    yield Case("electronic", film(1, 1, 40, 41), {"se": 10.0}, {})
    for dtype in DTYPES:
        image = film(1, 7, 9, dtype=dtype)
        for se in LADDER:
            yield Case(f"electronic {dtype} se={se}", image, {"se": se}, {})
        for arguments in DIGITISERS:
            given = ranged(image, arguments)
            yield Case(f"electronic {dtype} {arguments}", given, {"se": 1.0}, arguments)
            both = {"sq": 4.0, "se": 0.5}
            yield Case(f"radiographic {dtype} {arguments}", given, both, arguments)
        four = film(4, 1, 3, 5, dtype=dtype)
        yield Case(f"electronic {dtype} mixed", four, {"se": MIXED}, {})
        yield Case(f"radiographic {dtype} mixed", four, {"sq": MIXED, "se": MIXED.flip(0)}, {})
    for seed in SEEDS:
        yield Case(f"electronic seed={seed}", film(1, 1, 3, 9), {"se": 1.0}, {"seed": seed})
    for dtype in FLOATS:
        image = film(1, 1, 45, dtype=dtype)
        image.view(-1)[::5] = torch.tensor(HOSTILE, dtype=dtype)
        for severities in ({"se": 1.0}, {"sq": 4.0, "se": 1.0}):
            yield Case(f"hostile {dtype} {severities}", image, severities, {})


def plain(answer: Tensor) -> NDArray[np.float64]:
    """An answer as numbers; a NaN has many bit patterns, and which one comes back is open."""
    wide = answer.double()
    return torch.where(wide.isnan(), math.nan, wide).contiguous().numpy()


def digest(answer: Tensor) -> NDArray[np.uint8]:
    """SHA-256 of counts."""
    return np.frombuffer(hashlib.sha256(plain(answer).astype("<f8").tobytes()).digest(), np.uint8)


def write() -> None:
    """Keep the digests of counts, and normal values as they are, in the order of the cases."""
    counted = [digest(case.answer()) for case in cases() if case.counted]
    normal = [plain(case.answer()).ravel() for case in cases() if not case.counted]
    np.savez_compressed(FILE, counted=counted, normal=np.concatenate(normal))


if __name__ == "__main__":
    write()
