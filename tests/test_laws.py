"""The laws themselves: each accepts an independent right sampler and refuses its wrong twins."""

from __future__ import annotations

import math
from collections.abc import Callable

import laws
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cxr_noise_transforms import electronic_noise, quantum_noise

SE = 0.5
SIGMA = 0.05
# a fourth of the pixels that the noises are tested with: the laws have power to spare
WEDGE = laws.wedge(pixels=2**16)
PLANES = (4, 3, 128, 128)


def gain(sq: float) -> float:
    return sq**2 / 1000


def counted(image: Tensor, gain: float) -> Tensor:
    """Numpy's Poisson counts, in units of ``gain``."""
    rates = image.double().numpy() / gain
    return torch.from_numpy(np.random.default_rng(0).poisson(rates) * gain)


def gaussian(like: Tensor, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(like.shape))


def rounded_gaussian(image: Tensor, gain: float) -> Tensor:
    rates = image / gain
    return (rates + rates.sqrt() * gaussian(image)).round() * gain


QUANTUM_TWINS = {
    "severity taken as variance": (4, lambda x: counted(x, 4 / 1000), "variance"),
    "variance taken as severity": (4, lambda x: counted(x, 4**4 / 1000), "variance"),
    "photons forgotten": (4, lambda x: x, "variance"),
    "independent of the signal": (
        4,
        lambda x: x + (x.mean() * gain(4)).sqrt() * gaussian(x),
        "variance",
    ),
    "proportional to the signal": (
        4,
        lambda x: x + x * math.sqrt(gain(4)) * gaussian(x),
        "variance",
    ),
    "rounded gaussian, many photons": (1, lambda x: rounded_gaussian(x, gain(1)), "^skewness"),
    "gaussian of the right variance": (
        4,
        lambda x: x + (x * gain(4)).sqrt() * gaussian(x),
        "^skewness",
    ),
    "saturated": (10, lambda x: quantum_noise(x, 10.0, clip=True, seed=0), "mean"),
    "display gamma": (4, lambda x: counted(x.pow(2.2), gain(4)).pow(1 / 2.2), "mean"),
    "NaN": (4, lambda x: torch.where(x > 0.97, math.nan, counted(x, gain(4))), "mean"),
}

ELECTRONIC_TWINS = {
    "severity taken as variance": (lambda x: x + math.sqrt(SIGMA) * gaussian(x), "variance"),
    "sigma taken as variance": (lambda x: x + SIGMA**2 * gaussian(x), "variance"),
    "proportional to the signal": (lambda x: x + x * SIGMA * gaussian(x), "variance"),
    "saturated": (lambda x: (x + SIGMA * gaussian(x)).clamp(0, 1), "mean"),
    "rounded down to 8 bits": (lambda x: ((x + SIGMA * gaussian(x)) * 255).floor() / 255, "mean"),
    "skewed": (
        lambda x: x + SIGMA * (gaussian(x).square() - 1) / math.sqrt(2),
        "skewness",
    ),
}

WHITENESS_TWINS = {
    "blurred along rows": lambda z: (z + z.roll(1, -1)) / math.sqrt(2),
    "blurred along columns": lambda z: (z + z.roll(1, -2)) / math.sqrt(2),
    "faintly blurred": lambda z: (z + 0.02 * z.roll(1, -1)) / math.sqrt(1 + 0.02**2),
    "falling diagonals": lambda z: (z + z.roll((1, 1), (-2, -1))) / math.sqrt(2),
    "rising diagonals": lambda z: (z + z.roll((1, -1), (-2, -1))) / math.sqrt(2),
    "every second row repeated": lambda z: z[..., ::2, :].repeat_interleave(2, -2),
    "interleaved streams": lambda z: (z + z.roll(2, -1)) / math.sqrt(2),
}

INDEPENDENCE_TWINS = {
    "one field for the batch": lambda z: z[:1].expand_as(z),
    "one field for the channels": lambda z: z[:, :1].expand_as(z),
    "two images share a field": lambda z: z[torch.tensor([0, 1, 2, 0])],
    "antithetic images": lambda z: torch.cat([z[:2], -z[:2]]),
}

FLAWED_GAUSSIANS = {
    "uniform": lambda rng, n: rng.uniform(-math.sqrt(3), math.sqrt(3), n),
    "laplace": lambda rng, n: rng.laplace(0, math.sqrt(0.5), n),
    "sum of twelve uniforms": lambda rng, n: rng.random((n, 12), dtype=np.float32).sum(1) - 6,
    "tails cut at three sigma": lambda rng, n: rng.standard_normal(n).clip(-3, 3),
}


@pytest.mark.parametrize("sq", [1.0, 10.0])
def test_moments_accept_numpys_poisson(sq: float) -> None:
    laws.check_moments(lambda x: counted(x, gain(sq)), WEDGE, sq=sq)


def test_moments_accept_numpys_gaussian() -> None:
    laws.check_moments(lambda x: x + SIGMA * gaussian(x), WEDGE, se=SE)


@pytest.mark.parametrize(("sq", "twin", "broken"), QUANTUM_TWINS.values(), ids=QUANTUM_TWINS)
def test_moments_refuse_wrong_quantum_noise(sq: float, twin: laws.Sampler, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        laws.check_moments(twin, WEDGE, sq=sq)


@pytest.mark.parametrize(("twin", "broken"), ELECTRONIC_TWINS.values(), ids=ELECTRONIC_TWINS)
def test_moments_refuse_wrong_electronic_noise(twin: laws.Sampler, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        laws.check_moments(twin, WEDGE, se=SE)


def test_moments_refuse_one_noise_after_the_other_with_saturation_between() -> None:
    def twice_exposed(image: Tensor) -> Tensor:
        return electronic_noise(quantum_noise(image, 4.0, clip=True, seed=0), 1.0, seed=1)

    with pytest.raises(AssertionError, match="mean"):
        laws.check_moments(twice_exposed, WEDGE, sq=4.0, se=1.0)


def test_a_doubled_sample_tightens_the_tolerance() -> None:
    def slightly_loud(image: Tensor) -> Tensor:
        return image + 1.004 * SIGMA * gaussian(image)

    laws.check_moments(slightly_loud, laws.wedge(1, 2**14), greys=1, se=SE)
    with pytest.raises(AssertionError, match="variance"):
        laws.check_moments(slightly_loud, laws.wedge(1, 2**22), greys=1, se=SE)


def test_whiteness_accepts_numpys_gaussian() -> None:
    image = torch.full((1, 512, 512), 0.5)
    laws.check_whiteness(lambda x: x + SIGMA * gaussian(x), image, se=SE)


@pytest.mark.parametrize("mix", WHITENESS_TWINS.values(), ids=WHITENESS_TWINS)
def test_whiteness_refuses_neighbours_that_know_each_other(mix: laws.Sampler) -> None:
    image = torch.full((1, 512, 512), 0.5)
    with pytest.raises(AssertionError, match="neighbour"):
        laws.check_whiteness(lambda x: x + SIGMA * mix(gaussian(x)), image, se=SE)


def test_independence_accepts_different_streams() -> None:
    streams = [lambda x, seed=seed: x + SIGMA * gaussian(x, seed) for seed in (1, 2)]
    laws.check_independence(*streams, image=torch.full(PLANES, 0.5), se=SE)


@pytest.mark.parametrize("share", INDEPENDENCE_TWINS.values(), ids=INDEPENDENCE_TWINS)
def test_independence_refuses_shared_noise(share: laws.Sampler) -> None:
    with pytest.raises(AssertionError, match="between planes"):
        laws.check_independence(
            lambda x: x + SIGMA * share(gaussian(x)), image=torch.full(PLANES, 0.5), se=SE
        )


def test_independence_refuses_a_call_that_repeats_itself() -> None:
    def frozen(image: Tensor) -> Tensor:
        return image + SIGMA * gaussian(image)

    laws.check_independence(frozen, image=torch.full(PLANES, 0.5), se=SE)
    with pytest.raises(AssertionError, match="between planes"):
        laws.check_independence(frozen, frozen, image=torch.full(PLANES, 0.5), se=SE)


@pytest.mark.parametrize("rate", [0.05, 1.0, 10.0, 50.0, 200.0])
def test_counts_accept_numpys_poisson_and_refuse_a_rounded_gaussian(rate: float) -> None:
    image = torch.full((1024, 1024), rate * gain(1), dtype=torch.float64)
    laws.check_counts(lambda x: counted(x, gain(1)), image, 1.0)
    with pytest.raises(AssertionError, match="chi-square"):
        laws.check_counts(lambda x: rounded_gaussian(x, gain(1)), image, 1.0)


@pytest.mark.parametrize("rate", [10.0, 1000.0])
def test_counts_refuse_a_rate_one_per_cent_off(rate: float) -> None:
    image = torch.full((1024, 1024), rate * gain(1), dtype=torch.float64)
    with pytest.raises(AssertionError, match="chi-square"):
        laws.check_counts(lambda x: counted(1.01 * x, gain(1)), image, 1.0)


def test_counts_refuse_photons_that_are_not_whole() -> None:
    image = torch.full((256, 256), 0.5)
    with pytest.raises(AssertionError, match="whole"):
        laws.check_counts(lambda x: x + (x * gain(4)).sqrt() * gaussian(x), image, 4.0)


def test_chi_square_on_proportions_would_accept_a_rounded_gaussian() -> None:
    image = torch.full((256, 256), 5.0 * gain(1), dtype=torch.float64)
    counts = laws.photons(rounded_gaussian(image, gain(1)), 1.0).clip(0)
    observed = np.bincount(counts)
    expected = stats.poisson.pmf(np.arange(len(observed)), 5.0)
    proportions = stats.chisquare(observed / observed.sum(), expected / expected.sum())
    assert proportions.pvalue > 0.99
    assert laws.chi_square(observed, expected * observed.sum()) < laws.FAMILY_WISE


def test_call_differences_refuse_calls_that_share_random_numbers() -> None:
    image = torch.full((512, 512), 0.5, dtype=torch.float64)
    first, second = np.random.default_rng(0).poisson(0.5 / gain(4), (2, 512, 512))
    second[:, :256] = first[:, :256]
    calls = iter((first, second))
    with pytest.raises(AssertionError, match="differences"):
        laws.check_call_differences(lambda _: torch.from_numpy(next(calls) * gain(4)), image, 4.0)


@pytest.mark.parametrize("flawed", FLAWED_GAUSSIANS.values(), ids=FLAWED_GAUSSIANS)
def test_normality_refuses_flawed_gaussians(
    flawed: Callable[[np.random.Generator, int], np.ndarray],
) -> None:
    image = torch.full((512, 512), 0.5)

    def noise(image: Tensor) -> Tensor:
        drawn = flawed(np.random.default_rng(0), image.numel())
        return image + SIGMA * torch.from_numpy(drawn).reshape(image.shape)

    with pytest.raises(AssertionError, match="against the normal"):
        laws.check_normality(noise, image, se=SE)


def test_normality_accepts_numpys_gaussian() -> None:
    image = torch.full((512, 512), 0.5)
    laws.check_normality(lambda x: x + SIGMA * gaussian(x), image, se=SE)
