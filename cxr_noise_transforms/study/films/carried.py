"""The noise that the films of a folder carry already, film by film."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from cxr_noise_transforms import estimate_severity
from cxr_noise_transforms._estimate import VarianceCurve, variance_curve
from cxr_noise_transforms._signal import Digitiser
from cxr_noise_transforms.study.progress import Progress

from .folders import folder_films
from .reader import stored_grey

_PREFIX = "films cannot be calibrated: "


class Carried(NamedTuple):
    """What one film says of its noise.

    Attributes:
        image: name of the film.
        sq: quantum severity, NaN where it cannot be told.
        se: electronic severity, likewise.
        goodness: of the fit, NaN likewise.
        why: why it cannot be told.
        points: signal and variance of the curve, as far as it is used.
    """

    image: str
    sq: float
    se: float
    goodness: float
    why: str
    points: list[tuple[float, float]]


def carried_noise(films: str | Path, levels: int | None = None) -> Iterator[Carried]:
    """What the films of a folder say, in their own size, one after the other.

    Args:
        films: folder of images, also in folders below.
        levels: see :func:`read_grey`.

    Raises:
        FileNotFoundError: as :func:`folder_films`.
        ValueError: likewise; a film cannot be read.
    """
    found = folder_films(films)
    with Progress("reading", len(found), "film", every=max(1, len(found) // 20)) as progress:
        for film in found:
            yield carried(film["id"], Path(film["image"]), levels)
            progress.step()


def carried(name: str, path: Path, levels: int | None = None) -> Carried:
    """What a film says."""
    stored = stored_grey(path, levels)
    signal = torch.tensor(stored.values, dtype=torch.float64)[None] / stored.full
    signal = 1 - signal if stored.white_is_zero else signal
    digitiser = Digitiser(bits=stored.full.bit_length())
    points: list[tuple[float, float]] = []
    try:
        points = _points(variance_curve(signal, digitiser))
        sq, se, goodness = map(float, estimate_severity(signal, bits=digitiser.bits))
    except ValueError as error:
        why = str(error).removeprefix(_PREFIX)
        return Carried(name, math.nan, math.nan, math.nan, why, points)
    return Carried(name, sq, se, goodness, "", points)


def _points(curve: VarianceCurve) -> list[tuple[float, float]]:
    used = curve.used[0]
    signal, variance = (part[0][used].tolist() for part in (curve.signal, curve.variance))
    return list(zip(signal, variance, strict=True))
