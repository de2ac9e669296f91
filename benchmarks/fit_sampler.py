"""Fit the polynomials of the counter-based sampler: ``python -m benchmarks.fit_sampler``.

Two minimax fits by iteratively reweighted least squares (Lawson's algorithm):

- the ratio of the normal quantile to s = 2u - 1, as a polynomial in log(1 - s²), up to the quantile
  3.3, relative error;
- A and C in x = rate + sqrt(rate) w + w² A(s) + C(s), s = w / sqrt(rate), where x is the real
  number at which the Poisson distribution function, continued by the incomplete gamma function,
  equals the normal distribution function at w; for rates from 16 on and |w| up to 3.3, absolute
  error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

LARGEST_QUANTILE = 3.3
LOWEST_RATE = 16.0
# -log(1 - s²) at the largest quantile, and a little beyond
DEPTH = 6.26
STEPS = 400


def lawson(columns: Array, target: Array, scale: Array) -> tuple[Array, float]:
    """Coefficients with the smallest largest ``|columns @ c - target| * scale``, and that error."""
    weight = np.ones(len(target))
    best, best_error = np.zeros(columns.shape[1]), np.inf
    for _ in range(STEPS):
        root = (np.sqrt(weight) * scale)[:, None]
        found = np.linalg.lstsq(columns * root, target * root[:, 0], rcond=None)[0]
        error = np.abs(columns @ found - target) * scale
        if error.max() < best_error:
            best, best_error = found, float(error.max())
        weight = weight * (error + 1e-12)
        weight /= weight.sum()
    return best, best_error


def fit_normal(degree: int = 7) -> tuple[Array, float]:
    """Quantile / s in powers of log(1 - s²), highest first, and the largest relative error."""
    depth = (1 - np.cos(np.linspace(0, np.pi, 4000))) / 2 * DEPTH + 1e-6
    s = np.sqrt(-np.expm1(-depth))
    ratio = -special.ndtri(np.exp(-depth) / (1 + s) / 2) / s
    # in Chebyshev polynomials, or the fit loses its digits; turned into plain powers at the end
    columns = np.polynomial.chebyshev.chebvander(2 * depth / DEPTH - 1, degree)
    coefficients, error = lawson(columns, ratio, 1 / ratio)
    series = np.polynomial.Chebyshev(coefficients, domain=[0, DEPTH])
    powers = series.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef
    return (powers * (-1.0) ** np.arange(degree + 1))[::-1], error


def fit_poisson() -> tuple[Array, Array, float]:
    """A (cubic) and C (linear), lowest power first, and the largest error of x."""
    inverse_root = np.cos(np.linspace(0, np.pi / 2, 80))[:-1] / np.sqrt(LOWEST_RATE)
    inverse_root = inverse_root[inverse_root > 1 / 200]
    quantile = np.cos(np.linspace(0, np.pi, 101)) * LARGEST_QUANTILE
    r, w = (axis.ravel() for axis in np.meshgrid(inverse_root, quantile))
    rate = 1 / r**2
    target = real_count(w, rate) - rate - np.sqrt(rate) * w
    # the limit of many photons, w² / 6 + 1 / 3, where the distribution function has no digits left
    r = np.r_[r, np.full(101, 1e-5)]
    limit = np.linspace(-LARGEST_QUANTILE, LARGEST_QUANTILE, 101)
    w, target = np.r_[w, limit], np.r_[target, limit**2 / 6 + 1 / 3]
    s = w * r
    columns = np.stack([*(w * w * s**i for i in range(4)), np.ones_like(s), s], axis=1)
    coefficients, error = lawson(columns, target, np.ones_like(target))
    return coefficients[:4], coefficients[4:], error


def real_count(quantile: Array, rate: Array) -> Array:
    """The real x with Q(x, rate) = the normal distribution at ``quantile``, by bisection."""
    lower_tail, upper_tail = special.ndtr(quantile), special.ndtr(-quantile)
    low, high = np.full_like(quantile, 1e-9), rate + 10 * np.sqrt(rate) + 30
    for _ in range(80):
        middle = (low + high) / 2
        # on the smaller tail, which has the digits
        below = np.where(
            lower_tail < upper_tail,
            special.gammaincc(middle, rate) < lower_tail,
            special.gammainc(middle, rate) > upper_tail,
        )
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


if __name__ == "__main__":
    ratio, relative = fit_normal()
    print(f"quantile / s in log(1 - s²), highest power first, relative error {relative:.1e}")
    print("  ", ", ".join(f"{value:.9e}" for value in ratio))
    a, c, absolute = fit_poisson()
    print(f"A(s) and C(s), lowest power first, error {absolute:.1e} photons")
    print("  A", ", ".join(f"{value:.8e}" for value in a))
    print("  C", ", ".join(f"{value:.8e}" for value in c))
