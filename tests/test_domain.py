"""Noise in the exposure of the detector, shown as its logarithm."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import laws
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.func import grad, jvp, vmap

from cxr_noise_transforms import LogExposure, QuantumNoise, RadiographicNoise, quantum_noise

Noise = Callable[..., Tensor]

PIXELS = 2**16
DECADES = (1.0, 1.5, 2.0)


def law(display: float, decades: float, sq: float, se: float) -> tuple[float, float, float]:
    """Mean, variance and fourth central moment of what the film shows, by summing over counts."""
    latitude, photons = decades * math.log(10), 1000 / sq**2
    rate = photons * math.exp(-latitude * display)
    counts = np.arange(stats.poisson.isf(1e-14, rate) + 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    read_out = 0.1 * se * photons
    seen = np.maximum(counts[:, None] + read_out * nodes, max(1, read_out) / 2)
    shown = -np.log(seen / photons) / latitude
    share = stats.poisson.pmf(counts, rate)[:, None] * weights / weights.sum()
    mean = (share * shown).sum()
    return mean, *((share * (shown - mean) ** order).sum() for order in (2, 4))


def moments(noisy: Tensor, display: float, decades: float, sq: float, se: float) -> None:
    """Mean and variance of one grey, five standard errors of the exact law."""
    mean, variance, fourth = law(display, decades, sq, se)
    errors = (variance / PIXELS, (fourth - variance**2) / PIXELS)
    found = (noisy.mean(), noisy.var())
    for name, one, due, error in zip(
        ("mean", "variance"), found, (mean, variance), errors, strict=True
    ):
        laws.within(one, torch.tensor(due), torch.tensor(error).sqrt(), name)


@pytest.mark.parametrize("decades", DECADES)
@pytest.mark.parametrize(("sq", "se"), [(1.0, 0.0), (0.2, 0.0), (0.5, 0.002)])
def test_moments_along_a_wedge(sq: float, se: float, decades: float) -> None:
    """Down to a tenth of a photon; a read-out stays small beside the photons, away from the end."""
    noise = RadiographicNoise(sq, se, domain=LogExposure(decades))
    for display in torch.linspace(0, 1, 5).tolist():
        noisy = noise(torch.full((256, 256), display, dtype=torch.float64), seed=1)
        moments(noisy, display, decades, sq, se)


def test_the_display_domain_breaks_that_law() -> None:
    noisy = quantum_noise(torch.full((256, 256), 0.5, dtype=torch.float64), 0.2, seed=1)
    with pytest.raises(AssertionError, match="variance"):
        moments(noisy, 0.5, 2.0, 0.2, 0.0)


@pytest.mark.parametrize("decades", DECADES)
@pytest.mark.parametrize(("photons", "stated"), [(30, 0.06), (10, 0.21)])
def test_the_stated_variance_holds_down_to_so_many_photons(
    photons: int, stated: float, decades: float
) -> None:
    latitude, sq = decades * math.log(10), math.sqrt(1000 / photons)
    mean, variance, _ = law(0.0, decades, sq, 0.0)
    formula = 1 / (latitude**2 * photons)
    assert abs(variance / formula - 1) < stated
    assert abs(mean / (latitude * formula / 2) - 1) < stated


def test_noise_is_that_of_the_exposure(noise: Noise) -> None:
    domain, films = LogExposure(1.5), torch.rand(3, 1, 17, 19)
    shown = noise(films, 0.5, seed=3, domain=domain)
    exposed = noise(domain.to_exposure(films), 0.5, seed=3)
    # the floor: half a photon of 0.25 / 1000, or half a deviation of 0.05
    floor = 0.025 if noise.__name__ != "quantum_noise" else 0.000125
    assert torch.equal(shown, domain.to_display(exposed.clamp(min=floor)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("decades", [0.1, 2.0, 5.0])
def test_there_and_back(decades: float, dtype: torch.dtype) -> None:
    domain, display = LogExposure(decades), torch.linspace(-0.2, 1.2, 1001, dtype=dtype)
    again = domain.to_display(domain.to_exposure(display))
    # the exposure is rounded once, its logarithm and the quotient once each
    bound = torch.finfo(dtype).eps * (1 / domain.latitude + 2 * display.abs())
    assert ((again - display).abs() <= bound).all()


def test_a_small_latitude_shows_the_noise_of_the_exposure_itself() -> None:
    """v' - v = -ln(1 + x) / L, where x is the relative noise of the exposure; -x / L at the end."""
    domain, films = LogExposure(0.1), torch.rand(64, 64, dtype=torch.float64)
    exposure = domain.to_exposure(films)
    relative = quantum_noise(exposure, 0.01, seed=2) / exposure - 1
    change = quantum_noise(films, 0.01, seed=2, domain=domain) - films
    linear = -relative / domain.latitude
    remainder = relative.square() / (1 - relative.abs()) / 2 / domain.latitude
    rounding = 4 * torch.finfo(torch.float64).eps / domain.latitude
    assert ((change - linear).abs() <= remainder + rounding).all()


def test_nothing_counted_is_shown_as_half_a_photon() -> None:
    white = torch.full((64, 64), 1.0)
    noisy = quantum_noise(white, 10.0, seed=0, domain=LogExposure(2.0))
    assert noisy.max() == LogExposure(2.0).to_display(torch.tensor(0.05))


def test_a_film_is_rounded_when_it_is_shown() -> None:
    films = torch.rand(2, 1, 32, 32)
    noisy = quantum_noise(films, 1.0, seed=0, bits=8, domain=LogExposure())
    assert torch.equal(noisy, (noisy * 255).round() / 255)
    free = quantum_noise(films, 1.0, seed=0, domain=LogExposure())
    assert torch.equal(noisy, (free.clamp(0, 1) * 255).round() / 255)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.float16, torch.bfloat16, torch.float64], ids=str
)
def test_every_dtype_shows_the_same_noise(dtype: torch.dtype) -> None:
    full = 1 if dtype.is_floating_point else torch.iinfo(dtype).max
    films = (torch.rand(2, 1, 16, 16) * full).to(dtype)
    noisy = quantum_noise(films, 0.5, seed=4, domain=LogExposure())
    exact = quantum_noise(films.double() / full, 0.5, seed=4, domain=LogExposure()) * full
    assert noisy.dtype == dtype
    if dtype.is_floating_point:
        bound = torch.finfo(dtype).eps * exact.abs().clamp(min=1)
    else:
        bound, exact = torch.ones(()), exact.clamp(0, full)
    assert ((noisy.double() - exact).abs() <= bound).float().mean() > 0.99


def test_severities_per_image_and_the_image_that_has_none() -> None:
    films, domain = torch.rand(3, 1, 17, 19), LogExposure()
    severities = torch.tensor([0.0, 0.5, 2.0])
    noisy = quantum_noise(films, severities, seed=torch.tensor([1, 2, 3]), domain=domain)
    assert torch.equal(noisy[0], films[0])
    alone = quantum_noise(films[2], 2.0, seed=3, domain=domain)
    assert torch.equal(noisy[2], alone)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_hostile_pixels_stay_where_they_are(backend: str) -> None:
    values = torch.tensor([0.5, torch.nan, torch.inf, -torch.inf, -40.0, 1e30, *[0.5] * 10])
    films = values.expand(1, 1, 6, 16).clone().requires_grad_()
    strength = torch.tensor([0.3], requires_grad=True)
    noise = QuantumNoise(1.0, backend=backend, domain=LogExposure())
    noise.sq = strength
    noisy = noise(films, seed=0)
    assert noisy[..., 1].isnan().all()
    assert noisy[..., 3].eq(-torch.inf).all()
    assert noisy[..., [0, 2, 5]].isfinite().all()
    slopes = torch.autograd.grad(noisy[..., 0].sum(), (films, strength))
    assert all(slope.isfinite().all() for slope in slopes)
    assert slopes[0][..., 1:].eq(0).all()
    (slope,) = torch.autograd.grad(noise(films, seed=0).nansum(), films)
    assert slope[..., [1, 2, 3]].eq(0).all()


# derivatives


def test_the_derivative_is_the_one_of_the_exposure_through_the_logarithm() -> None:
    domain = LogExposure()
    films = torch.rand(1, 1, 32, 32, dtype=torch.float64, requires_grad=True)
    noisy = quantum_noise(films, 0.3, seed=1, domain=domain)
    (slope,) = torch.autograd.grad(noisy.sum(), films)
    before, after = (domain.to_exposure(values.detach()) for values in (films, noisy))
    # dE'/dE = (1 + E'/E) / 2, and dE/dv = -L E
    torch.testing.assert_close(slope, (before / after + 1) / 2)


@pytest.mark.parametrize(("gradient", "slope"), [("straight_through", 1.0), ("none", 0.0)])
def test_other_derivatives_mean_what_they_say(gradient: str, slope: float) -> None:
    films = torch.rand(1, 1, 16, 16, requires_grad=True)
    noisy = quantum_noise(films, 0.3, seed=1, domain=LogExposure(), gradient=gradient)
    assert torch.equal(noisy, quantum_noise(films.detach(), 0.3, seed=1, domain=LogExposure()))
    if gradient == "none":
        assert not noisy.requires_grad
    else:
        assert (torch.autograd.grad(noisy.sum(), films)[0] == slope).all()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_derivatives_forward_and_under_func_are_the_backward_one() -> None:
    films, direction = torch.rand(2, 1, 8, 8, dtype=torch.float64), torch.randn(2, 1, 8, 8).double()

    def shown(films: Tensor) -> Tensor:
        noise = RadiographicNoise(0.5, 0.01, domain=LogExposure(), film=(0.2, 0.0), blur=0.7)
        return noise(films, seed=1)

    slope = grad(lambda films: shown(films).sum())(films)
    _, forward = jvp(shown, (films,), (direction,))
    torch.testing.assert_close(forward.sum(), (slope * direction).sum())


# the machinery of torch, with everything switched on


def everything(severity: object = (0.5, 2.0), **arguments: object) -> nn.Module:
    return RadiographicNoise(
        severity, (0.0, 0.01), film=(0.4, 0.0), blur=0.8, domain=LogExposure(1.5), **arguments
    )


def test_compiled_noise_is_the_eager_one() -> None:
    torch.compiler.reset()
    films, noise = torch.rand(2, 1, 16, 16), everything()
    # what the compiler makes of it is tested in test_compile.py
    compiled = torch.compile(noise, fullgraph=True, backend="aot_eager")(films, seed=5)
    torch.testing.assert_close(compiled, noise(films, seed=5))
    torch.compiler.reset()


def test_vmap_gives_the_bits_of_the_batch() -> None:
    films, severities = torch.rand(3, 1, 9, 11), torch.tensor([0.4, 1.0, 3.0])
    seeds = torch.tensor([3, 1, 2])
    batch = everything(severities)(films, seed=seeds)
    single = vmap(lambda film, sq, seed: everything(sq)(film, seed=seed))
    assert torch.equal(single(films, severities, seeds), batch)


def test_a_film_gets_the_same_noise_alone_and_in_a_batch() -> None:
    films, seeds = torch.rand(3, 1, 37, 41), torch.tensor([8, 9, 10])
    noise = everything()
    batch = noise(films, seed=seeds)
    for film, seed, noisy in zip(films, seeds.tolist(), batch, strict=True):
        assert torch.equal(noise(film, seed=seed), noisy)


def test_drawn_severities_replay_the_noise() -> None:
    films = torch.rand(4, 1, 16, 16)
    noise = everything((0.0, 1.0))
    noisy = noise(films, seed=6)
    drawn = noise.drawn
    assert (drawn["sq"] >= torch.tensor(0.4)).all()
    again = RadiographicNoise(**drawn, film=(0.4, 0.0), blur=0.8, domain=LogExposure(1.5))
    assert torch.equal(again(films, seed=6), noisy)


def test_it_says_what_it_is() -> None:
    assert repr(QuantumNoise(2, film=1, blur=0.5, domain=LogExposure())) == (
        "QuantumNoise(sq=2.0, n0=1000.0, film_sq=1.0, blur=0.5, domain=LogExposure(decades=2.0))"
    )


# what is refused


@pytest.mark.parametrize("decades", [0, 0.09, 5.1, -1, math.nan, math.inf])
def test_a_latitude_that_no_film_has(decades: float) -> None:
    message = re.escape(f"decades must be between 0.1 and 5, got {decades}")
    with pytest.raises(ValueError, match=message):
        LogExposure(decades)


def test_a_latitude_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="decades must be a number, got str"):
        LogExposure("2")


def test_what_is_no_domain(noise: Noise) -> None:
    with pytest.raises(TypeError, match=r"domain must be None or .* LogExposure\(\), got 'log'"):
        noise(torch.zeros(4, 4), 1, domain="log")
