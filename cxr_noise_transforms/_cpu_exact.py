"""Counts and normal quantiles of single words in float64: what decides where float32 cannot."""
# ruff: noqa: ANN001, ANN202
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numba import config, njit
from numpy import float32, uint8
from numpy.typing import NDArray

if config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set")

compiled = njit(error_model="numpy")

# below this rate a table knows most counts: rows per photon, and leading bits of the word
LOW, ROWS, BITS = float32(12), 64, 10
OPEN = uint8(255)
# below this rate F is summed up
_FEW = 64.0
# from here on Cornish and Fisher's expansion tells the count
MANY = 1e4


def polynomial(x, coefficients):
    """Horner's scheme, highest power first."""
    y = coefficients[0]
    for i in range(1, len(coefficients)):
        y = y * x + coefficients[i]
    return y


_polynomial = compiled(polynomial)


@compiled
def quantile(word):
    """Standard normal quantile."""
    q = (word + 0.5) * 2.0**-32
    tail = 0.5 - abs(q)
    # Abramowitz and Stegun 26.2.23, to 5e-4; Halley's steps leave 1e-10 of it, then nothing
    t = math.sqrt(-2 * math.log(tail))
    w = t - _polynomial(t, (0.010328, 0.802853, 2.515517)) / _polynomial(
        t, (0.001308, 0.189269, 1.432788, 1.0)
    )
    for _ in range(2):
        density = math.exp(-0.5 * w * w) / math.sqrt(2 * math.pi)
        step = (0.5 * math.erfc(w * math.sqrt(0.5)) - tail) / density
        w += step / (1 - 0.5 * w * step)
    return math.copysign(w, q)


@compiled
def count(rate, word):
    """The smallest n with F(n; rate) >= u; NaN where the rate is."""
    u = 0.5 + (word + 0.5) * 2.0**-32
    if rate < _FEW:
        mass = below = math.exp(-rate)
        n = 0.0
        while below < u:
            n += 1
            mass *= rate / n
            below += mass
        return n
    x = expansion(rate, quantile(word))
    if rate >= MANY:
        return np.floor(x)
    n = np.floor(x + 0.5) - 1
    return n + 1 if _distribution(n, rate) < u else n


@compiled
def expansion(rate, w):
    """The real x with F(x - 1; rate) = u, whose quantile is w, by Cornish and Fisher.

    The error is about w^5 / (17280 rate^1.5), below 1e-6 from MANY on.
    """
    square = w * w
    x = (3 * square * square + 7 * square - 16) / 810 / rate
    x -= w * (square + 2) / 72 / math.sqrt(rate)
    return rate + (w * math.sqrt(rate) + ((square + 2) / 6 + x))


@compiled
def _distribution(n, rate):
    """F(n; rate) to 1e-11 for rates from _FEW on, by Temme's uniform expansion (DLMF 8.12).

    With a = n + 1 and eta²/2 = rate/a - 1 - log(rate/a) it is erfc(eta sqrt(a/2)) / 2 plus
    exp(-a eta²/2) / sqrt(2 pi a) times a double series in eta and 1/a.
    """
    a = n + 1
    # log(rate/a) = 2 atanh z, which takes the cancellation out of eta
    z = (rate - a) / (rate + a)
    h = _polynomial(z * z, (1 / 13, 1 / 11, 1 / 9, 1 / 7, 1 / 5, 1 / 3))
    g = (rate + a) / (2 * a) - z * h
    eta = 2 * z * math.sqrt(g)
    c0 = (-571 / 261273600, 1 / 25515, -139 / 777600, 1 / 2835, 1 / 864, -2 / 135, 1 / 12, -1 / 3)
    c1 = (-1 / 2488320, 1 / 4860, -77 / 77760, 1 / 378, -1 / 288, -1 / 540)
    c2 = (1 / 497664, 1 / 1296, -139 / 51840, 25 / 6048)
    c3 = (571 / 2488320, 101 / 155520)
    series = _polynomial(eta, c2) + _polynomial(eta, c3) / a
    series = _polynomial(eta, c0) + (_polynomial(eta, c1) + series / a) / a
    density = math.exp(-2 * a * z * z * g) / math.sqrt(2 * math.pi * a)
    return 0.5 * math.erfc(eta * math.sqrt(0.5 * a)) + density * series


@cache
def table() -> NDArray[uint8]:
    """Counts below rate LOW over (rate, leading bits of the word); OPEN where there are two."""
    edges = np.arange(int(LOW) * ROWS + 1)[:, None] / ROWS
    mass = np.cumprod(np.hstack([np.exp(-edges), edges / np.arange(1, OPEN)]), axis=1)
    below = np.cumsum(mass, axis=1)
    columns, half_a_word = np.arange(1 << BITS), 2.0 ** (BITS - 33)
    first, last = ((columns + at) / columns.size for at in (half_a_word, 1 - half_a_word))
    # counts rise with the rate and with the word: a cell's extremes are at two of its corners
    lowest = np.stack([np.searchsorted(row, first) for row in below[:-1]])
    highest = np.stack([np.searchsorted(row, last) for row in below[1:]])
    return np.where(lowest == highest, lowest, OPEN).astype(uint8).ravel()
