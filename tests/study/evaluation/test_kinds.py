"""Noises of one RMS: photons, and bands of frequencies."""

from typing import Any

import pytest
import torch
from laws import STANDARD_ERRORS
from small_films import loader, seen
from torch import Tensor

from cxr_noise_transforms import ElectronicNoise, NoiseModule, QuantumNoise, image_seeds
from cxr_noise_transforms.study.evaluation.grid import (
    BAND_NOISES,
    EQUAL_VARIANCE,
    UNCLIPPED_PAIR,
)
from cxr_noise_transforms.study.evaluation.kinds import (
    BANDS,
    BandNoise,
    Kind,
    MatchedQuantumNoise,
    band_density,
    band_edges,
    in_band,
    kind_of,
)

SIDE = 64
SEEDS = image_seeds(0, [str(number) for number in range(100)])


def film(mean: float) -> Tensor:
    """A film that is dark on the left and bright on the right."""
    return (torch.linspace(0.2, 1.8, SIDE) * mean).expand(1, 1, SIDE, SIDE)


@pytest.mark.parametrize("se", [0.5, 2.0])
@pytest.mark.parametrize("mean", [0.05, 0.3, 0.5])
def test_every_film_has_the_same_variance_of_photons_and_of_electrons(
    mean: float, se: float
) -> None:
    films = film(mean).expand(100, -1, -1, -1).contiguous()
    for noise in (MatchedQuantumNoise(se), ElectronicNoise(se)):
        square = (noise(films, seed=SEEDS) - films).square().mean((1, 2, 3))
        off = square.mean() - (0.1 * se) ** 2
        assert abs(off) < STANDARD_ERRORS * square.std() / len(square) ** 0.5
    # and photons of one severity for all films do not
    same_dose = QuantumNoise(sq=se * 0.1 * (1000 / 0.5) ** 0.5)
    square = (same_dose(films, seed=SEEDS) - films).square().mean((1, 2, 3))
    equal = abs(square.mean() - (0.1 * se) ** 2) < STANDARD_ERRORS * square.std() / 10
    assert equal == (mean == 0.5)


@pytest.mark.parametrize("se", [3.0, 10.0])
def test_unclipped_noises_keep_mean_and_variance_where_stored_ones_saturate(se: float) -> None:
    films = film(0.3).expand(100, -1, -1, -1).contiguous()
    for name in UNCLIPPED_PAIR:
        kind = kind_of(name)
        assert kind
        noise = kind.noise(0, se, value_range=(0, 1), bits=8)(films, seed=SEEDS) - films
        square = noise.square().mean((1, 2, 3))
        off = square.mean() - (0.1 * se) ** 2
        assert abs(off) < STANDARD_ERRORS * square.std() / len(square) ** 0.5
        mean = noise.mean((1, 2, 3))
        assert abs(mean.mean()) < STANDARD_ERRORS * mean.std() / len(mean) ** 0.5
    for stored in EQUAL_VARIANCE:
        worse = kind_of(stored) or Kind(ElectronicNoise)
        noise = worse.noise(0, se, value_range=(0, 1), bits=8)(films, seed=SEEDS) - films
        assert noise.square().mean() < (0.1 * se) ** 2 * 0.95


def test_photons_keep_their_dependence_on_the_signal() -> None:
    films = film(0.5).expand(100, -1, -1, -1).contiguous()
    noise = MatchedQuantumNoise(1.0)(films, seed=SEEDS) - films
    column = noise.square().mean((0, 1, 2))
    expected = 0.1**2 * films[0, 0, 0] / 0.5
    spread = noise.square().std((0, 1, 2)) / (100 * SIDE) ** 0.5
    assert ((column - expected).abs() < STANDARD_ERRORS * spread).all()


def power(number: int, films: int = 100) -> Tensor:
    """Power of every frequency, mean 1 in white noise of this variance, per film."""
    black = torch.zeros(films, 1, SIDE, SIDE)
    noise = BandNoise(number, 1.0)(black, seed=SEEDS[:films])
    return torch.fft.fft2(noise)[:, 0].abs().square() / (0.1 * SIDE) ** 2


@pytest.mark.parametrize("number", range(1, BANDS + 1))
def test_every_band_has_the_energy_of_white_noise_and_none_outside(number: int) -> None:
    inside = in_band(number, SIDE, SIDE)
    found = power(number)
    energy = found.mean((1, 2))
    assert abs(energy.mean() - 1) < STANDARD_ERRORS * energy.std() / len(energy) ** 0.5
    # rounding in float32
    assert found[:, ~inside].max() < SIDE**2 * torch.finfo(torch.float32).eps


@pytest.mark.parametrize("number", [1, 4, 8])
def test_noise_is_white_within_its_band(number: int) -> None:
    inside = in_band(number, SIDE, SIDE)
    share = inside.sum() / inside.numel()
    each = power(number)[:, inside] * share
    # exponential of mean 1 at every frequency, or chi-square where it is its own mirror
    radius = torch.hypot(torch.fft.fftfreq(SIDE)[:, None], torch.fft.fftfreq(SIDE)[None])[inside]
    outer = radius > radius.median()
    for part in (each[:, outer], each[:, ~outer]):
        per_film = part.mean(1)
        assert abs(per_film.mean() - 1) < STANDARD_ERRORS * per_film.std() / len(per_film) ** 0.5
    per_frequency = each.mean(0)
    assert ((per_frequency - 1).abs() < STANDARD_ERRORS * (2 / len(each)) ** 0.5).all()


def test_the_bands_are_the_parts_of_the_film_s_own_electronic_noise() -> None:
    masks = torch.stack([in_band(number, 33, SIDE) for number in range(1, BANDS + 1)])
    # each frequency but 0 once
    assert masks.sum(0).flatten().tolist() == [0] + [1] * (33 * SIDE - 1)
    grey = torch.full((2, 1, 33, SIDE), 0.5)
    parts = [
        (BandNoise(number, 1.0)(grey, seed=SEEDS[:2]) - grey) * (mask.sum() / mask.numel()).sqrt()
        for number, mask in enumerate(masks, start=1)
    ]
    white = ElectronicNoise(1.0)(grey, seed=SEEDS[:2]) - grey
    white -= white.mean((2, 3), keepdim=True)
    torch.testing.assert_close(torch.stack(parts).sum(0), white, atol=1e-6, rtol=0)


@pytest.mark.parametrize("noise", [MatchedQuantumNoise(2.0), ElectronicNoise(2.0)])
def test_both_noises_are_white(noise: NoiseModule) -> None:
    films = film(0.5).expand(100, -1, -1, -1).contiguous()
    found = band_density(noise(films, seed=SEEDS) - films)[:, 0]
    assert ((found.mean(0) - 1).abs() < STANDARD_ERRORS * found.std(0) / len(found) ** 0.5).all()
    # and noise of a band is not
    found = band_density(BandNoise(2, 1.0)(films, seed=SEEDS) - films)[:, 0].mean(0)
    assert found.argmax() == 1
    assert found[[0, *range(2, BANDS)]].max() < torch.finfo(torch.float32).eps


def test_a_sine_lies_in_the_band_of_its_frequency() -> None:
    for number in range(1, BANDS + 1):
        low, high = band_edges(number)
        wave = round((low + high) / 2 * SIDE)
        assert in_band(number, SIDE, SIDE)[0, wave]
        assert in_band(number, SIDE, SIDE)[wave, 0]
    assert in_band(BANDS, SIDE, SIDE)[SIDE // 2, SIDE // 2]


@pytest.mark.parametrize("name", ["quantum", "band=3"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_kind_keeps_form_and_range(name: str, dtype: torch.dtype) -> None:
    films = (torch.rand(2, 1, SIDE, SIDE) * 255).to(dtype)
    kind = kind_of(name)
    assert kind
    noise = kind.noise(0, 0.5, value_range=(0, 255), bits=8)
    noisy = noise(films, seed=SEEDS[:2])
    assert (noisy.dtype, noisy.shape) == (films.dtype, films.shape)
    assert 0 <= noisy.min() <= noisy.max() <= 255
    assert torch.equal(noisy, noisy.round())
    rms = (noisy.double() - films.double()).square().mean().sqrt() / 255
    assert 0.03 < rms < 0.06
    assert torch.equal(noise(films[1:], seed=SEEDS[1:2]), noisy[1:])
    clean = kind.noise(0, 0, value_range=(0, 255), bits=8)
    assert torch.equal(clean(films, seed=SEEDS[:2]), films)


def test_a_black_film_has_no_photons() -> None:
    assert not MatchedQuantumNoise(1.0)(torch.zeros(1, 1, 8, 8), seed=0).any()


def test_a_stress_test_takes_kinds_by_their_names() -> None:
    cells = [(0.0, 0.0), (0.0, 1.0)]
    table = seen(loader(), cells=cells, degradations=EQUAL_VARIANCE, bits=None)
    noisy = table[table.se == 1].groupby("degradation").value
    clean = table[(table.se == 0) & (table.degradation == "none")].value.to_numpy()
    for _, values in noisy:
        assert ((values.to_numpy() - clean) ** 2).mean() ** 0.5 == pytest.approx(0.1, rel=0.2)
    quantum, plain = (noisy.get_group(name).to_numpy() for name in ("quantum", "none"))
    assert (quantum != plain).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degradations": ["band=9"]}, "band must be a whole number from 1 to 8, got '9'"),
        ({"degradations": ["band"]}, "band must be a whole number from 1 to 8, got ''"),
        ({"degradations": ["quantum"]}, r"must be \(0, se\), which names its RMS; got \(10, 0\)"),
        (
            {"degradations": BAND_NOISES, "cells": [(0, 1)]},
            "films must be of more than 16 pixels for 8 bands of frequencies, got 8 x 8",
        ),
    ],
)
def test_a_kind_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seen(loader(), **options)
