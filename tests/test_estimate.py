"""Severities read from films with anatomy, and films that cannot be calibrated."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from cxr_noise_transforms import LogExposure, estimate_severity, quantum_noise, radiographic_noise

# relative errors that docs/physics.md states: of the only noise, and of one noise beside another
ALONE, BESIDE = 0.05, 0.1


def anatomy(size: int = 256, films: int = 3) -> Tensor:
    """Films ``(B, 1, H, W)`` with lung fields, ribs and a heart with a sharp edge."""
    x = torch.linspace(0, 1, size, dtype=torch.float64)
    y = x[:, None]
    shift = 0.02 * torch.arange(films)[:, None, None]
    left, right = (
        0.6 * (-((((x - side) / 0.14).square() + ((y - 0.5) / 0.3).square()).square())).exp()
        for side in (0.28 - shift, 0.72 + shift)
    )
    ribs = 0.06 * torch.sigmoid(12 * torch.sin(2 * math.pi * (9 * y + 3 * (x - 0.5).square())))
    heart = 0.15 * ((x - 0.55).square() + (y - 0.65).square() < 0.03 + shift / 10)
    return (0.85 - left - right + ribs + heart).clamp(0.03, 0.97)[:, None]


def close(found: Tensor, due: float, stated: float) -> None:
    assert found.sub(due).abs().max() <= stated * due, (found, due)


@pytest.mark.parametrize(
    ("sq", "bits"),
    [*((sq, bits) for sq in (0.25, 0.5, 1.0, 2.0, 4.0) for bits in (None, 8)), (10.0, None)],
)
def test_quantum_noise_alone(sq: float, bits: int | None) -> None:
    found = estimate_severity(quantum_noise(anatomy(), sq, bits=bits, seed=1), bits=bits)
    close(found.sq, sq, ALONE)
    assert (found.goodness > 0.85).all()


@pytest.mark.parametrize(("se", "bits"), [(0.05, 8), (0.1, 8), (0.5, 8), (0.5, None), (2.0, None)])
def test_electronic_noise_alone(se: float, bits: int | None) -> None:
    noisy = radiographic_noise(anatomy(), 0.0, se, bits=bits, seed=1)
    close(estimate_severity(noisy, bits=bits).se, se, ALONE)


@pytest.mark.parametrize(
    ("sq", "se", "bits"), [(0.25, 0.05, 8), (4.0, 1.0, None), (10.0, 2.0, None)]
)
def test_one_noise_beside_the_other(sq: float, se: float, bits: int | None) -> None:
    noisy = radiographic_noise(anatomy(), sq, se, bits=bits, seed=1)
    found = estimate_severity(noisy, bits=bits)
    close(found.sq, sq, BESIDE)
    close(found.se, se, BESIDE)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16], ids=str)
def test_integer_films_and_other_ranges_and_constants(dtype: torch.dtype) -> None:
    full = torch.iinfo(dtype).max
    films = (anatomy() * full).to(dtype)
    found = estimate_severity(quantum_noise(films, 2.0, n0=500.0, seed=1), n0=500.0)
    close(found.sq, 2.0, ALONE)
    wide = quantum_noise(4095 * anatomy(), 2.0, value_range=(0, 4095), seed=1)
    close(estimate_severity(wide, value_range=(0, 4095)).sq, 2.0, ALONE)


def test_rounding_that_is_not_subtracted_passes_for_noise() -> None:
    films = radiographic_noise(anatomy(), 0.0, 0.1, bits=7, seed=1)
    rounded, unaware = (estimate_severity(films, bits=bits) for bits in (7, None))
    close(rounded.se, 0.1, ALONE)
    # a step of 1/127 in either direction adds the variance of a twelfth of its square
    close(unaware.se, (0.1**2 + 100 / 127**2 / 12) ** 0.5, ALONE)
    assert (unaware.se > rounded.se).all()


def test_what_is_estimated_completes_a_film() -> None:
    """A film at an unknown severity goes to 4 by what it tells of itself."""
    films = quantum_noise(anatomy(), 2.0, seed=1)
    sq, se, _ = estimate_severity(films)
    noisy = radiographic_noise(films, 4.0, se, film=(sq, se), seed=2)
    close(estimate_severity(noisy).sq, 4.0, BESIDE)


def test_one_film_and_the_same_in_a_batch() -> None:
    films = quantum_noise(anatomy(), 1.0, seed=1)
    batch, alone = estimate_severity(films), estimate_severity(films[1, 0])
    assert [one.shape for one in batch] == [(3,)] * 3
    assert [one.shape for one in alone] == [()] * 3
    for found, due in zip(alone, batch, strict=True):
        torch.testing.assert_close(found, due[1])


def test_a_film_that_cannot_be_calibrated_leaves_the_others() -> None:
    films = quantum_noise(anatomy(), 1.0, seed=1)
    films[1] = 0.5
    found = estimate_severity(films)
    assert found.sq.isnan().tolist() == [False, True, False]
    assert found.se.isnan().tolist() == [False, True, False]


# what is refused


def compressed(films: Tensor) -> Tensor:
    from PIL import Image

    result = []
    for film in (films.clamp(0, 1) * 255).round().byte()[:, 0]:
        file = io.BytesIO()
        Image.fromarray(film.numpy()).save(file, "JPEG", quality=75)
        result.append(torch.from_numpy(np.array(Image.open(file))))
    return torch.stack(result)[:, None]


PROCESSED = {
    "JPEG": compressed,
    "denoised": lambda films: avg_pool2d(films, 3, 1, 1),
    "sharpened": lambda films: 2 * films - avg_pool2d(films, 3, 1, 1),
}


@pytest.mark.parametrize("process", PROCESSED.values(), ids=PROCESSED)
def test_noise_that_is_not_white(process: object) -> None:
    films = process(quantum_noise(anatomy(), 1.0, seed=1))
    with pytest.raises(ValueError, match=r"films cannot be calibrated: its noise is not white"):
        estimate_severity(films)


def test_a_logarithmic_display_is_no_line() -> None:
    films = quantum_noise(anatomy(), 0.25, seed=1, domain=LogExposure(2.0))
    with pytest.raises(ValueError, match=r"variance is no line in the signal \(goodness"):
        estimate_severity(films)
    exposure = LogExposure(2.0).to_exposure(films)
    close(estimate_severity(exposure).sq, 0.25, ALONE)


def test_films_that_saturate() -> None:
    with pytest.raises(ValueError, match="most of its pixels are saturated"):
        estimate_severity(quantum_noise(anatomy(), 10.0, bits=8, seed=1), bits=8)


def test_films_without_what_is_needed() -> None:
    for films, reason in (
        (torch.full((1, 1, 64, 64), 0.5), "varies by less than 0.1 of full scale"),
        (torch.full((64, 64), 255, dtype=torch.uint8), "most of its pixels are saturated"),
        (torch.linspace(0.1, 0.9, 64).expand(64, 64), "no noise beyond that of rounding"),
    ):
        with pytest.raises(ValueError, match=reason):
            estimate_severity(films)
    with pytest.raises(ValueError, match=r"at least 64 x 64 to be calibrated, got \(63, 80\)"):
        estimate_severity(torch.zeros(63, 80))
