"""p-values of the laws of independent Poisson counts and normal values.

Fields are numpy arrays; counts are whole numbers in float64. A rate of ``None`` stands for the
standard normal law. Every function returns the chance of a sample at least as far from the law,
under the law.
"""

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
# differences of probabilities that are smaller are 0
_ROUNDING = 1e-12


def standardised(values: Field, rate: float | None) -> Field:
    """Values in units of their law's standard deviation, about its mean."""
    return values if rate is None else (values - rate) / math.sqrt(rate)


def fit(values: Field, rate: float | None) -> float:
    """Chi-square against the law; 0 where a count is not whole."""
    if rate is None:
        edges = stats.norm.ppf(np.arange(1, _CLASSES) / _CLASSES)
        observed = np.bincount(np.digitize(values.ravel(), edges), minlength=_CLASSES)
        return chi_square(observed, np.full(_CLASSES, values.size / _CLASSES))
    law = stats.poisson(rate)
    return _whole_fit(values, law, int(law.ppf(1e-14)), int(law.isf(1e-14)) + 1)


def skellam_fit(first: Field, second: Field, rate: float) -> float:
    """Chi-square of differences against the law for two independent counts of one rate."""
    top = math.ceil(8 * math.sqrt(2 * rate)) + 8
    return _whole_fit(first - second, stats.skellam(rate, rate), -top, top)


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


def moment(values: Field, rate: float | None, order: int) -> float | None:
    """Mean (order 1) or a central moment; ``None`` where there are too few events."""
    moments = central_moments(rate, 3 * order)
    # the power's own mean, variance and third central moment, from the law's moments
    mean, second, third = (moments[order * k] for k in (1, 2, 3))
    variance = second - mean**2
    skewness = (third - 3 * mean * second + 2 * mean**3) / variance**1.5
    if abs(skewness) / math.sqrt(values.size) > _MOST_SKEWED:
        return None
    measured = float(((values - (rate or 0.0)) ** order).mean())
    return float(2 * stats.norm.sf(abs(measured - mean) / math.sqrt(variance / values.size)))


def central_moments(rate: float | None, order: int) -> list[float]:
    """Central moments 0 to ``order`` of Poisson's law, or of the normal law.

    Example:
        >>> central_moments(5.0, 4), central_moments(None, 4)
        ([1.0, 0.0, 5.0, 5.0, 80.0], [1.0, 0.0, 1.0, 0.0, 3.0])
    """
    moments = [1.0, 0.0]
    for n in range(1, order):
        lower = [math.comb(n, k) * moments[k] for k in range(n)]
        moments.append(n * moments[n - 1] if rate is None else rate * sum(lower))
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
    if skip_zero or first is second:
        shifted[0, 0] = 0
    shifts = shifted.size // 2 if first is second else shifted.size
    single = 2 * stats.norm.sf(shifted.max())
    return float(-np.expm1(shifts * np.log1p(-min(single, 1 - 1e-16))))


def independence(first: Field, second: Field) -> float:
    """Chi-square of the table of two fields at the same pixel, in classes of their own."""
    at = np.arange(1, _MARGIN) / _MARGIN
    classes = [np.digitize(f.ravel(), np.unique(np.quantile(f, at))) for f in (first, second)]
    table = stats.contingency.crosstab(*classes).count
    if min(table.shape) < 2:
        return 1.0
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def same_uniform(low: Field, high: Field, low_rate: float, high_rate: float) -> float:
    """Chi-square of a pair of counts against the law they have as quantiles of one uniform.

    That law is the only one under which a count never falls as the rate rises; 0 where a pair of
    counts stands that no uniform gives.
    """
    classes, below = [], []
    for counts, rate in ((low, low_rate), (high, high_rate)):
        law = stats.poisson(rate)
        cuts = np.unique(law.ppf(np.arange(1, _MARGIN) / _MARGIN))
        classes.append(np.digitize(counts.ravel(), cuts, right=True))
        below.append([0.0, *law.cdf(cuts), 1.0])
    # P(A <= a, B <= b) = min(F(a), G(b))
    pairs = np.diff(np.diff(np.minimum.outer(*below), axis=0), axis=1)
    observed = np.zeros_like(pairs, dtype=np.int64)
    np.add.at(observed, tuple(classes), 1)
    possible = pairs > _ROUNDING
    if observed[~possible].any():
        return 0.0
    return chi_square(observed[possible], pairs[possible] * low.size)


def _whole_fit(values: Field, law: stats.rv_discrete, low: int, high: int) -> float:
    if (values != np.rint(values)).any():
        return 0.0
    # the law's tails go to the first and last bin
    below = law.cdf(np.arange(low, high))
    expected = np.diff(below, prepend=0.0, append=1.0) * values.size
    observed = np.bincount((values.clip(low, high) - low).astype(np.int64).ravel(),
                           minlength=expected.size)  # fmt: skip
    return chi_square(observed, expected)


def _at_all_shifts(first: Field, second: Field) -> Field:
    """Circular correlations of standardised fields, in units of their standard error."""
    product = fft.rfft2(first) * np.conj(fft.rfft2(second))
    shifted: Field = fft.irfft2(product, s=first.shape) / math.sqrt(first.size)
    return shifted
