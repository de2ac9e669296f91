"""Fit the polynomials of the counter-based sampler: ``python -m benchmarks.fit_sampler``.

Minimax fits by iteratively reweighted least squares (Lawson's algorithm):

- log2(1 + t) / t, for the CPU's kernel, which has no vector logarithm; absolute error of the
  logarithm;
- the normal quantile from s = 2u - 1, as quantile / s in powers of log2(1 - s²) down to -9, and
  beyond, for the GPU's kernel, itself in sqrt(-log2(1 - s²)); relative error;
- A, C and D in x = rate + sqrt(rate) w + w² A(s) + C(s) + D / rate, s = w / sqrt(rate), where x is
  the real number at which the Poisson distribution function, continued by the incomplete gamma
  function, equals the normal distribution function at w; with an error that may grow as the rate
  falls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

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


def fit_polynomial(x: Array, y: Array, degree: int) -> tuple[Array, float]:
    """Y in powers of x, highest first, and the largest relative error."""
    low, high = x.min(), x.max()
    # in Chebyshev polynomials, or the fit loses its digits; turned into plain powers at the end
    columns = np.polynomial.chebyshev.chebvander((2 * x - low - high) / (high - low), degree)
    coefficients, error = lawson(columns, y, 1 / np.abs(y))
    series = np.polynomial.Chebyshev(coefficients, domain=[low, high])
    powers = series.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef
    return powers[::-1], error


def between(low: float, high: float, points: int = 4000) -> Array:
    """Chebyshev points, which lie close at both ends."""
    return low + (high - low) * (1 - np.cos(np.linspace(0, np.pi, points))) / 2


def quantile_of(depth: Array) -> tuple[Array, Array]:
    """The normal quantile and s where log(1 - s²) = -depth."""
    s = np.sqrt(-np.expm1(-depth))
    return -special.ndtri(np.exp(-depth) / (1 + s) / 2), s


def fit_logarithm(degree: int) -> tuple[Array, float]:
    """log2(1 + t) / t in powers of t, where 1 + t is within a factor of sqrt(2) of 1."""
    t = between(np.sqrt(0.5) - 1, np.sqrt(2) - 1)
    columns = t[:, None] ** np.arange(1, degree + 2)
    coefficients, error = lawson(columns, np.log2(1 + t), np.ones_like(t))
    return coefficients[::-1], error


def fit_quantile(deepest: float, degree: int) -> tuple[Array, float]:
    """Quantile / s in powers of log2(1 - s²), down to -deepest."""
    depth = between(1e-6, deepest)
    quantile, s = quantile_of(depth * np.log(2))
    return fit_polynomial(-depth, quantile / s, degree)


def fit_tail(shallowest: float, deepest: float, degree: int) -> tuple[Array, float]:
    """Quantile in powers of sqrt(-log2(1 - s²)), between two values of -log2(1 - s²)."""
    root = between(shallowest**0.5, deepest**0.5)
    return fit_polynomial(root, quantile_of(root**2 * np.log(2))[0], degree)


def fit_count(
    lowest_rate: float, widest: float, degrees: tuple[int, int], slope: float
) -> tuple[Array, Array, float, float]:
    """A, C (highest power first) and D, and the largest error of x.

    Args:
        lowest_rate: the fit holds from this rate on,
        widest: and up to this absolute quantile.
        degrees: of A and C.
        slope: the error may grow as ``1 + slope * lowest_rate / rate``.
    """
    r = np.cos(np.linspace(0, np.pi / 2, 80))[:-1] / np.sqrt(lowest_rate)
    r, w = (axis.ravel() for axis in np.meshgrid(r[r > 1 / 200], between(-widest, widest, 101)))
    rate = 1 / r**2
    target = real_count(w, rate) - rate - np.sqrt(rate) * w
    # the limit of many photons, w² / 6 + 1 / 3, where the distribution function has no digits left
    limit = between(-widest, widest, 101)
    r, w, target = (
        np.r_[r, np.full(101, 1e-5)],
        np.r_[w, limit],
        np.r_[target, limit**2 / 6 + 1 / 3],
    )
    s, (a, c) = w * r, degrees
    columns = [*(w * w * s**i for i in range(a + 1)), *(s**i for i in range(c + 1)), r * r]
    scale = 1 / (1 + slope * lowest_rate * r * r)
    found, error = lawson(np.stack(columns, axis=1), target, scale)
    return found[a::-1], found[a + 1 : a + c + 2][::-1], float(found[-1]), error


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


def show(name: str, coefficients: Array) -> None:
    """Print one polynomial, highest power first."""
    print(f"  {name}", ", ".join(f"{value:.8e}" for value in coefficients))


def main() -> None:
    """Print every polynomial with its error."""
    for name, found, error in (
        ("log2(1 + t) / t", *fit_logarithm(6)),
        ("quantile / s in log2(1 - s²)", *fit_quantile(9.02, 7)),
        ("quantile in sqrt(-log2(1 - s²))", *fit_tail(8.88, 31.35, 6)),
    ):
        print(f"{name}, error {error:.1e}")
        show("", found)
    a, c, d, error = fit_count(lowest_rate=12, widest=4.0, degrees=(6, 3), slope=50)
    print(f"A(s), C(s) and D, error {error:.1e} photons, times 1 + 50 * 12 / rate")
    show("A", a)
    show("C", c)
    show("D", np.array([d]))


if __name__ == "__main__":
    main()
