"""What a film carries already: the noise that is missing, and no more."""

from __future__ import annotations

from collections.abc import Callable

import laws
import pytest
import torch
from torch import Tensor

from cxr_noise_transforms import (
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    quantum_noise,
    radiographic_noise,
)

Noise = Callable[..., Tensor]

GREY = torch.full((1, 512, 512), 0.5, dtype=torch.float64)
# the third cumulant of a film at sq 2 that was taken to 4, over that of 4: (g_f² + 3 g_f g + g²)
# over (g_f + g)², with the gains of the film and of what is missing
THIRD = (4**2 + 3 * 4 * 12 + 12**2) / (4 + 12) ** 2


def second_moments(noisy: Tensor, *, sq: float, se: float = 0.0, third: float = 1.0) -> None:
    """Mean and variance of a grey film, five standard errors of the law of ``sq`` and ``se``."""
    mean, variance, _, fourth = laws.cumulants(GREY.flatten()[:1], sq=sq, se=se, orders=4)
    pixels = noisy.numel()
    # a missing part has a fourth cumulant of its own, never above that of the skewness's square
    spread = (third**2 * fourth / pixels + 2 * variance**2 / pixels).sqrt()
    laws.within(noisy.mean()[None], mean, (variance / pixels).sqrt(), "mean")
    laws.within(noisy.var()[None], variance, spread, "variance")


def test_a_film_at_two_taken_to_four_has_the_moments_of_four() -> None:
    film = quantum_noise(GREY, 2.0, seed=1)
    second_moments(quantum_noise(film, 4.0, film=2.0, seed=2), sq=4.0, third=THIRD)


def test_the_naive_way_adds_too_much() -> None:
    film = quantum_noise(GREY, 2.0, seed=1)
    with pytest.raises(AssertionError, match="variance"):
        second_moments(quantum_noise(film, 4.0, seed=2), sq=4.0)


def test_both_noises_of_a_film_are_completed() -> None:
    film = radiographic_noise(GREY, 2.0, 0.5, seed=1)
    noisy = radiographic_noise(film, 4.0, 1.0, film=(2.0, 0.5), seed=2)
    second_moments(noisy, sq=4.0, se=1.0, third=THIRD)


def test_the_electronic_noise_of_a_film_is_completed() -> None:
    film = electronic_noise(GREY, 1.0, seed=1)
    noisy = electronic_noise(film, 2.0, film=1.0, seed=2)
    laws.check_moments(lambda _: noisy, GREY, greys=1, se=2.0)


def test_the_third_cumulant_is_a_fifth_too_high_when_the_dose_is_quartered() -> None:
    """The law of docs/physics.md, and the noise itself."""
    assert round(THIRD, 2) == 1.19
    film = quantum_noise(GREY.repeat(4, 1, 1), 2.0, seed=1)
    noisy = quantum_noise(film, 4.0, film=2.0, seed=2)
    of_four = laws.cumulants(GREY.flatten()[:1], sq=4.0, orders=3)[2]
    cubes = (noisy - 0.5).flatten() ** 3
    error = cubes.std() / cubes.numel() ** 0.5
    laws.within(cubes.mean()[None], THIRD * of_four, error, "third cumulant")
    with pytest.raises(AssertionError, match="third"):
        laws.within(cubes.mean()[None], of_four, error, "third cumulant")


def test_a_film_that_has_it_all_stays_as_it_is(noise: Noise) -> None:
    films = torch.rand(2, 1, 16, 16)
    film = (2.0, 2.0) if noise.__name__ == "_both" else 2.0
    assert torch.equal(noise(films, 2.0, film=film, seed=0), films)


def test_a_clean_film_gets_the_whole_noise(noise: Noise) -> None:
    films = torch.rand(2, 1, 16, 16)
    film = (0.0, 0.0) if noise.__name__ == "_both" else 0.0
    assert torch.equal(noise(films, 2.0, film=film, seed=0), noise(films, 2.0, seed=0))


def test_every_film_may_have_its_own() -> None:
    films, seeds = torch.rand(3, 1, 16, 16), torch.tensor([1, 2, 3])
    of_film = torch.tensor([0.0, 1.0, 2.0])
    batch = quantum_noise(films, 2.0, film=of_film, seed=seeds)
    for image, film, seed, noisy in zip(
        films, of_film.tolist(), seeds.tolist(), batch, strict=True
    ):
        assert torch.equal(quantum_noise(image, 2.0, film=film, seed=seed), noisy)


def test_a_range_leaves_films_that_have_more() -> None:
    films, noise = torch.rand(64, 1, 4, 4), QuantumNoise((0.0, 2.0), film=1.0)
    noisy = noise(films, seed=0)
    same = (noisy == films).flatten(1).all(1)
    assert torch.equal(same, noise.drawn["sq"] == 1.0)
    assert 0 < same.sum() < 64


def test_a_severity_of_its_own_has_a_finite_derivative() -> None:
    severity = torch.tensor([1.0, 2.0], requires_grad=True)
    noisy = quantum_noise(torch.rand(2, 1, 8, 8), severity, film=1.0, seed=0)
    (slope,) = torch.autograd.grad(noisy.square().sum(), severity)
    assert slope.isfinite().all()
    assert slope[0] == 0
    assert slope[1] != 0


def test_its_film_moves_and_is_not_saved_with_a_model() -> None:
    noise = QuantumNoise(2.0, film=torch.tensor([1.0, 0.5]))
    assert not noise.state_dict()
    assert noise.to("meta").film_sq.device.type == "meta"


@pytest.mark.parametrize(
    ("severity", "film", "shown"),
    [
        (1.0, 2.0, "2.0, .* got 1.0"),
        (0, 2.0, "2.0, .* got 0.0"),
        ((0.0, 1.0), 2.0, r"2.0, .* got \(0.0, 1.0\)"),
        (torch.tensor([3.0, 1.0]), 2.0, r"2.0, .* got \[3.0, 1.0\]"),
        (1.0, torch.tensor([0.5, 2.0]), r"\[0.5, 2.0\], .* got 1.0"),
    ],
    ids=str,
)
def test_noise_is_not_taken_away(severity: object, film: object, shown: str) -> None:
    for make in (QuantumNoise, lambda se, film: ElectronicNoise(se, film=film)):
        with pytest.raises(ValueError, match=f"must not be below the film's, {shown}"):
            make(severity, film=film)


def test_a_severity_that_falls_below_the_film_is_refused_at_the_call() -> None:
    noise = QuantumNoise(2.0, film=1.0)
    noise.sq = 0.5
    with pytest.raises(ValueError, match=r"sq must not be below the film's, 1\.0"):
        noise(torch.zeros(4, 4))


def test_films_that_are_no_severities() -> None:
    with pytest.raises(ValueError, match=r"sq of film must be finite and not negative, got -1"):
        QuantumNoise(2, film=-1)
    with pytest.raises(TypeError, match=r"sq of film must be a number or a tensor .*, got tuple"):
        QuantumNoise(2, film=(0, 1))
    with pytest.raises(ValueError, match=r"film must be \(sq, se\), .* got 1"):
        RadiographicNoise(2, 2, film=1)
    with pytest.raises(ValueError, match=r"sq of film must have one value per image, 3 .* got 2"):
        QuantumNoise(2, film=torch.zeros(2))(torch.zeros(3, 1, 4, 4))
