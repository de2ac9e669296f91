"""The laws of the noise: functions that raise AssertionError where a sampler breaks one.

A sampler is any ``noise(image) -> noisy image``. Tolerances are never typed: the moments must lie
within ``STANDARD_ERRORS`` of their law, with the standard error computed from the number of pixels
and the law's own cumulants; goodness of fit is judged by a p-value shared among all tests of a
family. The model's numbers are repeated here on purpose, so that a test cannot follow the package
into an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from torch import Tensor

Sampler = Callable[[Tensor], Tensor]

STANDARD_ERRORS = 5.0
# chance that a family of goodness-of-fit tests refuses a right sampler
FAMILY_WISE = 1e-6
# chi-square's own approximation needs this many expected per bin
LEAST_EXPECTED = 10
# (row, column) shifts to the nearest pixels, and two further out along each axis
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))


def wedge(
    greys: int = 20,
    pixels: int = 2**18,
    *,
    low: float = 0.0,
    high: float = 1.0,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> Tensor:
    """A grey wedge ``(1, greys * rows, columns)`` with ``pixels`` of every grey."""
    rows = math.isqrt(pixels)
    steps = torch.linspace(low, high, greys, dtype=dtype, device=device)
    return steps.repeat_interleave(rows)[None, :, None].repeat(1, 1, pixels // rows)


def cumulants(
    grey: Tensor,
    *,
    sq: float = 0.0,
    se: float = 0.0,
    n0: float = 1000.0,
    sigma0: float = 0.1,
    step: float = 0.0,
    orders: int = 6,
) -> tuple[Tensor, ...]:
    """The first cumulants of the law at ``grey``; those of independent sources add.

    A Poisson count of rate ``I / g`` in units of ``g = sq²/n0`` has cumulants ``I g^(k-1)``, the
    Gaussian adds to the second alone, and so does rounding to a fine ``step`` (Sheppard).
    """
    grey = grey.double()
    gain = sq**2 / n0
    quantum = [grey * gain**order for order in range(orders)]
    quantum[1] = quantum[1] + (sigma0 * se) ** 2 + step**2 / 12
    return tuple(quantum)


def check_moments(noise: Sampler, image: Tensor, greys: int = 20, **law: float) -> None:
    """Mean, variance and third cumulant of every grey of a wedge; says which of them are off."""
    clean = image.reshape(greys, -1)
    noisy = noise(image).reshape(greys, -1).double()
    grey, n = clean[:, 0].double(), clean.shape[1]
    k1, k2, k3, k4, _, k6 = cumulants(grey, **law)
    mean = grey + (noisy - grey[:, None]).mean(1)
    centred = noisy - mean[:, None]
    squares = centred.square()
    variance = squares.sum(1) / (n - 1)
    third = (squares * centred).mean(1) * n**2 / ((n - 1) * (n - 2))
    # variances of the unbiased estimators (Fisher 1929)
    of_variance = k4 / n + 2 * k2**2 / (n - 1)
    of_third = (k6 + 9 * k2 * k4 + 9 * k3**2 + 6 * k2**3) / (n - 2)
    wrong = [
        _deviation("mean", mean, k1, (k2 / n).sqrt()),
        _deviation("variance", variance, k2, of_variance.sqrt()),
        _deviation("skewness", third, k3, of_third.sqrt()),
    ]
    assert not any(wrong), "; ".join(filter(None, wrong))


def check_whiteness(noise: Sampler, image: Tensor, **law: float) -> None:
    """No covariance between a pixel and its neighbours."""
    field = standardised(noise(image), image, **law)
    rows, columns = field.shape[-2:]
    for down, right in NEIGHBOURS:
        here = field[..., : rows - down, max(0, -right) : columns - max(0, right)]
        there = field[..., down:, max(0, right) : columns + min(0, right)]
        # independent standardised numbers: their product has variance 1, at every shift
        error = torch.tensor(here.numel()).rsqrt().to(field)
        zero = torch.zeros_like(error)
        within((here * there).mean(), zero, error, f"covariance with the neighbour {down, right}")


def check_independence(*noises: Sampler, image: Tensor, **law: float) -> None:
    """No covariance between any two planes (images, channels, calls) of the same clean image."""
    fields = torch.stack([standardised(noise(image), image, **law) for noise in noises])
    planes = fields.flatten(0, -3).flatten(1)
    covariance = planes @ planes.T / planes.shape[1]
    between = ~torch.eye(len(planes), dtype=torch.bool, device=planes.device)
    measured = covariance[between]
    error = torch.full_like(measured, planes.shape[1] ** -0.5)
    within(measured, torch.zeros_like(measured), error, "covariance between planes")


def check_counts(noise: Sampler, image: Tensor, sq: float, *, tests: int = 1) -> None:
    """A flat image's photons are whole, and Poisson distributed by chi-square."""
    observed = photons(noise(image), sq)
    rate = image.flatten()[0].item() * 1000 / sq**2
    top = int(stats.poisson.isf(1e-12, rate))
    expected = stats.poisson.pmf(np.arange(top), rate)
    expected = np.append(expected, stats.poisson.sf(top - 1, rate)) * observed.size
    p_value = chi_square(np.bincount(observed.clip(0, top), minlength=top + 1), expected)
    fits(p_value, tests, f"chi-square of the counts against Poisson({rate:g})")


def check_call_differences(noise: Sampler, image: Tensor, sq: float, *, tests: int = 1) -> None:
    """Photons of two calls differ by Skellam's law, as those of independent exposures do."""
    difference = photons(noise(image), sq) - photons(noise(image), sq)
    rate = image.flatten()[0].item() * 1000 / sq**2
    top = math.ceil(8 * math.sqrt(2 * rate)) + 8
    expected = stats.skellam.pmf(np.arange(-top, top + 1), rate, rate) * difference.size
    observed = np.bincount(difference.clip(-top, top) + top, minlength=2 * top + 1)
    fits(chi_square(observed, expected), tests, f"chi-square of differences at rate {rate:g}")


def check_normality(noise: Sampler, image: Tensor, *, tests: int = 1, **law: float) -> None:
    """A flat image's noise is Gaussian: Kolmogorov-Smirnov for the bulk, chi-square for tails."""
    field = standardised(noise(image), image, **law).flatten().cpu().numpy()
    edges = np.arange(-4, 4.25, 0.25)
    observed = np.bincount(np.digitize(field, edges), minlength=len(edges) + 1)
    expected = np.diff(stats.norm.cdf(edges), prepend=0.0, append=1.0) * field.size
    fits(chi_square(observed, expected), 2 * tests, "chi-square against the normal")
    kolmogorov = stats.kstest(field, "norm", method="asymp")
    fits(kolmogorov.pvalue, 2 * tests, "Kolmogorov-Smirnov against the normal")


def chi_square(observed: ArrayLike, expected: ArrayLike) -> float:
    """p-value of counts (never of proportions), neighbouring bins pooled where few are expected."""
    pooled = [[0.0, 0.0]]
    for seen, due in zip(np.asarray(observed), np.asarray(expected), strict=True):
        if pooled[-1][1] >= LEAST_EXPECTED:
            pooled.append([0.0, 0.0])
        pooled[-1][0] += seen
        pooled[-1][1] += due
    if pooled[-1][1] < LEAST_EXPECTED and len(pooled) > 1:
        rest = pooled.pop()
        pooled[-1] = [pooled[-1][0] + rest[0], pooled[-1][1] + rest[1]]
    seen, due = np.array(pooled).T
    return float(stats.chi2.sf(((seen - due) ** 2 / due).sum(), len(due) - 1))


def standardised(noisy: Tensor, image: Tensor, **law: float) -> Tensor:
    """Noise in units of its law's standard deviation."""
    mean, variance = cumulants(image, **law, orders=2)
    return (noisy.double() - mean) / variance.sqrt()


def photons(noisy: Tensor, sq: float) -> NDArray[np.int64]:
    """Photon counts of a noisy image; refused where they are not whole numbers."""
    counts = noisy.double().flatten() * 1000 / sq**2
    whole = counts.round()
    # float32 holds a count with this relative error; a broken count is off by far more
    off = (counts - whole).abs() > 1e-6 * (1 + whole.abs())
    assert not off.any(), f"counts must be whole, {off.sum()} of {off.numel()} are not"
    return whole.long().cpu().numpy()


def quantiles(words: NDArray[np.int32]) -> NDArray[np.float64]:
    """Normal quantiles of the sampler's words, from the nearer end, where the digits are."""
    tail = 0.5 - np.abs(words + 0.5) / 2**32
    return np.copysign(special.ndtri(tail), words + 0.5)


def within(measured: Tensor, expected: Tensor, error: Tensor, what: str) -> None:
    """Refuse a measurement further than ``STANDARD_ERRORS`` from its law, or NaN."""
    wrong = _deviation(what, measured, expected, error)
    assert not wrong, wrong


def fits(p_value: float, tests: int, what: str) -> None:
    """Refuse a p-value below this test's share of the family's ``FAMILY_WISE`` error."""
    assert p_value >= FAMILY_WISE / tests, f"{what}: p = {p_value:.2g}"


def _deviation(what: str, measured: Tensor, expected: Tensor, error: Tensor) -> str:
    good = (measured - expected).abs() <= STANDARD_ERRORS * error
    if good.all():
        return ""
    worst = int((~good).flatten().int().argmax())
    seen, due, one = (value.flatten()[worst].item() for value in (measured, expected, error))
    return (
        f"{what}: {seen:.6g} where the law says {due:.6g}, standard error {one:.2g} "
        f"({(~good).sum()} of {good.numel()} are off)"
    )
