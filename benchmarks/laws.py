"""p-values of the laws of independent Poisson counts and normal values.

Fields are numpy arrays; counts are whole numbers in float64. Every function returns the chance of a
sample at least as far from the law, under the law.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft, stats

Field = NDArray[np.float64]

# chi-square's approximation needs this many expected per bin
_LEAST_EXPECTED = 10
# a moment whose estimator is more skewed than this is no normal variable
_MOST_SKEWED = 0.1
# equally likely classes of a continuous law, and of each margin of a table
_CLASSES, _MARGIN = 200, 8
# the widest shift called near
_NEAR = 16


def poisson_fit(counts: Field, rate: float) -> float:
    """Chi-square of counts against Poisson's law; 0 where a count is not whole."""
    if not _whole(counts):
        return 0.0
    low, high = _support(rate)
    law = stats.poisson(rate)
    # the law's tails go to the first and last bin
    below = law.cdf(np.arange(low, high))
    expected = np.diff(below, prepend=0.0, append=1.0) * counts.size
    observed = np.bincount((counts.clip(low, high) - low).astype(np.int64).ravel())
    return chi_square(np.pad(observed, (0, expected.size - observed.size)), expected)


def skellam_fit(first: Field, second: Field, rate: float) -> float:
    """Chi-square of differences against the law for two independent counts of one rate."""
    if not (_whole(first) and _whole(second)):
        return 0.0
    top = math.ceil(8 * math.sqrt(2 * rate)) + 8
    below = stats.skellam.cdf(np.arange(-top, top), rate, rate)
    difference = (first - second).clip(-top, top).astype(np.int64).ravel() + top
    expected = np.diff(below, prepend=0.0, append=1.0) * difference.size
    return chi_square(np.bincount(difference, minlength=2 * top + 1), expected)


def normal_fit(field: Field) -> float:
    """Chi-square against the standard normal law, in equally likely classes."""
    edges = stats.norm.ppf(np.arange(1, _CLASSES) / _CLASSES)
    observed = np.bincount(np.digitize(field.ravel(), edges), minlength=_CLASSES)
    return chi_square(observed, np.full(_CLASSES, field.size / _CLASSES))


def chi_square(observed: NDArray[np.int64], expected: Field) -> float:
    """Chi-square of counts, neighbouring bins pooled where few are expected."""
    starts, due = [0], 0.0
    for bin_, more in enumerate(expected):
        if due >= _LEAST_EXPECTED:
            starts.append(bin_)
            due = 0.0
        due += more
    if due < _LEAST_EXPECTED and len(starts) > 1:
        starts.pop()
    seen, law = np.add.reduceat(observed, starts), np.add.reduceat(expected, starts)
    return float(stats.chi2.sf(((seen - law) ** 2 / law).sum(), law.size - 1))


def poisson_moment(counts: Field, rate: float, order: int) -> float | None:
    """Mean (order 1) or a central moment of counts; ``None`` where there are too few events."""
    return _moment(counts - rate, poisson_central_moments(rate, 3 * order), order)


def normal_moment(field: Field, order: int) -> float | None:
    """A moment of standard normal values."""
    moments = [math.prod(range(1, k, 2)) * (k % 2 == 0) for k in range(3 * order + 1)]
    return _moment(field, [float(moment) for moment in moments], order)


def poisson_central_moments(rate: float, order: int) -> list[float]:
    """Central moments 0 to ``order`` of Poisson's law.

    Example:
        >>> poisson_central_moments(5.0, 4)
        [1.0, 0.0, 5.0, 5.0, 80.0]
    """
    moments = [1.0, 0.0]
    for n in range(1, order):
        moments.append(rate * sum(math.comb(n, k) * moments[k] for k in range(n)))
    return moments


def correlation(first: Field, second: Field) -> tuple[float, float]:
    """Correlation of two standardised fields at the same pixel, and its p-value."""
    r = float((first * second).mean())
    return r, float(2 * stats.norm.sf(abs(r) * math.sqrt(first.size)))


def nearby(field: Field) -> float:
    """Whiteness at all shifts of up to ``_NEAR`` pixels together, in two dimensions."""
    shifted = _at_all_shifts(field, field)
    square = np.roll(shifted, (_NEAR, _NEAR), (0, 1))[: 2 * _NEAR + 1, : 2 * _NEAR + 1]
    # a shift and its opposite are the same number
    half = square.ravel()[: square.size // 2]
    return float(stats.chi2.sf((half**2).sum(), half.size))


def anywhere(first: Field, second: Field, *, skip_zero: bool = False) -> float:
    """The largest correlation of two fields among the shifts of one against the other."""
    shifted = np.abs(_at_all_shifts(first, second))
    if skip_zero:
        shifted[0, 0] = 0
    shifts = shifted.size // 2 if first is second else shifted.size
    single = 2 * stats.norm.sf(shifted.max())
    return float(-np.expm1(shifts * np.log1p(-min(single, 1 - 1e-16))))


def independence(first: Field, second: Field) -> float:
    """Chi-square of the table of two fields at the same pixel, in classes of their own."""
    rows, columns = (np.digitize(f.ravel(), _classes(f)) for f in (first, second))
    shape = rows.max() + 1, columns.max() + 1
    table = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    if min(table.shape) < 2:
        return 1.0
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def same_uniform(low: Field, high: Field, low_rate: float, high_rate: float) -> float:
    """Chi-square of a pair of counts against the law they have as quantiles of one uniform.

    That law is the only one under which a count never falls as the rate rises; 0 where a pair of
    counts stands that no uniform gives.
    """
    laws = [stats.poisson(rate) for rate in (low_rate, high_rate)]
    cuts = [np.unique(law.ppf(np.arange(1, _MARGIN) / _MARGIN)) for law in laws]
    ends = [
        np.concatenate([[0.0], law.cdf(cut), [1.0]]) for law, cut in zip(laws, cuts, strict=True)
    ]
    # classes of uniforms, and how much of the one lies in the other
    overlap = np.minimum.outer(ends[0][1:], ends[1][1:]) - np.maximum.outer(
        ends[0][:-1], ends[1][:-1]
    )
    rows, columns = (
        np.digitize(counts.ravel(), cut, right=True)
        for counts, cut in zip((low, high), cuts, strict=True)
    )
    observed = np.bincount(rows * overlap.shape[1] + columns, minlength=overlap.size)
    expected = overlap.ravel().clip(min=0) * low.size
    possible = expected > 0
    if observed[~possible].any():
        return 0.0
    return chi_square(observed[possible], expected[possible])


def holm(p_values: list[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979).

    Example:
        >>> holm([0.01, 0.5, 0.02])
        [0.03, 0.5, 0.04]
    """
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.maximum.accumulate(np.asarray(p_values)[order] * factors).clip(max=1.0)
    result = np.empty_like(corrected)
    result[order] = corrected
    return [float(p) for p in result]


def _moment(centred: Field, moments: list[float], order: int) -> float | None:
    # the power's own mean, variance and third central moment, from the law's moments
    mean, second, third = (moments[order * k] for k in (1, 2, 3))
    variance = second - mean**2
    skewness = (third - 3 * mean * second + 2 * mean**3) / variance**1.5
    if abs(skewness) / math.sqrt(centred.size) > _MOST_SKEWED:
        return None
    z = (float((centred**order).mean()) - mean) / math.sqrt(variance / centred.size)
    return float(2 * stats.norm.sf(abs(z)))


def _at_all_shifts(first: Field, second: Field) -> Field:
    """Circular correlations of standardised fields, in units of their standard error."""
    product = fft.rfft2(first) * np.conj(fft.rfft2(second))
    shifted: Field = fft.irfft2(product, s=first.shape) / math.sqrt(first.size)
    return shifted


def _classes(field: Field) -> Field:
    cuts: Field = np.unique(np.quantile(field, np.arange(1, _MARGIN) / _MARGIN))
    return cuts


def _support(rate: float) -> tuple[int, int]:
    return int(stats.poisson.ppf(1e-14, rate)), int(stats.poisson.isf(1e-14, rate)) + 1


def _whole(counts: Field) -> bool:
    return bool((counts == np.rint(counts)).all())
