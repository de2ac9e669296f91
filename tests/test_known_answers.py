"""Noise at a seed is what it was: counts bit for bit, normal values to 1e-5."""

from __future__ import annotations

from collections.abc import Iterator

import known_answers
import numpy as np
import pytest
import torch
from known_answers import Case, plain
from numpy.typing import NDArray
from torch import Tensor

from cxr_noise_transforms import electronic_sigma
from cxr_noise_transforms._signal import FULL_SCALE, Digitiser, to_signal

KNOWN = np.load(known_answers.FILE)
COUNTED = [case for case in known_answers.cases() if case.counted]
NORMAL = [case for case in known_answers.cases() if not case.counted]
# what docs/sampler.md promises of a standard normal value
PROMISED = 1e-5

Doubles = NDArray[np.float64]

# rates are given as signals
pytestmark = pytest.mark.filterwarnings("ignore:most values of the image lie outside")


@pytest.mark.parametrize(
    ("case", "known"),
    [pytest.param(*pair, id=pair[0].name) for pair in zip(COUNTED, KNOWN["counted"], strict=True)],
)
def test_counts_are_what_they_were(case: Case, known: NDArray[np.uint8]) -> None:
    assert np.array_equal(known_answers.digest(case.answer()), known)


def normals() -> Iterator[tuple[Case, Doubles]]:
    """The cases with normal values, and their answers."""
    sizes = np.cumsum([case.image.numel() for case in NORMAL])
    for case, known in zip(NORMAL, np.split(KNOWN["normal"], sizes[:-1]), strict=True):
        yield case, known.reshape(case.image.shape)


@pytest.mark.parametrize(
    ("case", "known"), [pytest.param(*pair, id=pair[0].name) for pair in normals()]
)
def test_normal_values_are_what_they_were(case: Case, known: Doubles) -> None:
    low, high = case.arguments.get("value_range", (0.0, 1.0))
    full = FULL_SCALE.get(case.image.dtype)
    unit = full or high - low
    sigma = torch.as_tensor(electronic_sigma(case.severities["se"]), dtype=torch.float64)
    within = PROMISED * sigma.reshape(-1, *(1,) * (case.image.ndim - 1)).numpy()
    answer = plain(case.answer())
    differs = ~((answer == known) | (np.isnan(answer) & np.isnan(known)))
    error = np.abs(np.subtract(answer, known, where=differs, out=np.zeros_like(known)))
    # half precision may round to its next number
    rounding = 0.0 if full else torch.finfo(case.image.dtype).eps * np.nan_to_num(np.abs(known))
    bits = case.arguments.get("bits")
    if full or bits:
        steps = min(2**bits - 1 if bits else np.inf, full or np.inf)
        assert (error <= unit / steps + rounding).all()
        assert at_an_edge(case, steps, within)[differs].all()
    else:
        assert (error <= within * unit + rounding).all()


def at_an_edge(case: Case, steps: float, within: Doubles) -> NDArray[np.bool_]:
    """Where the noisy signal comes so near the edge of a level that either side is right."""
    digitiser = Digitiser(case.arguments.get("value_range", (0.0, 1.0)))
    signal: Tensor = to_signal(case.image, digitiser)
    level = plain(case._replace(image=signal, arguments={}).answer()) * steps
    return np.abs(level - np.floor(level) - 0.5) <= within * steps + np.spacing(np.float32(steps))
