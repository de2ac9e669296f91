"""Poisson counts by inverse CDF, one word per count: exact, in numpy.

Definition: count = smallest n with F(n; rate) >= u, where F is the Poisson distribution function
and u the word's uniform. It rises with the rate and with the word, so the same words give common
random numbers at every rate.

1. Rates below 16: a table over (rate, uniform). A cell whose two extreme corners have the same
   count holds that count, because the count is monotone in both; other cells are marked.
2. Other rates: with w the normal quantile of u and s = w / sqrt(rate), the real number x that
   solves F(x - 1; rate) = u (F continued by the incomplete gamma function) is
       x = rate + sqrt(rate) w + w^2 A(s) + C(s)   within ERROR, for |w| < 3.3,
   and count = floor(x) unless x is within the error of an integer. A and C are polynomials fitted
   to x (benchmarks/fit_sampler.py); they begin like the expansion of Cornish and Fisher,
   A(0) = 1/6 and C(0) = 1/3.
3. What is left (0.3 to 3 % of the pixels) is decided by F itself in float64. So the result does not
   depend on the processor's float32 functions, nor on how the pixels are divided into chunks.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from ._normal import CHUNK, TAIL, Floats, Words, central_quantiles, constants, horner, scratch

Indices = NDArray[np.intp]
Doubles = NDArray[np.float64]

LOW, _ROWS_PER_PHOTON = constants(16, 64)
# leading bits of the word that choose the column
_COLUMN_BITS = 10
# cell = lowest count in it, plus one of these where the highest is one more, or more than that
_PAIR, _OPEN = 64, 128

_A = constants(-1.80461e-3, 4.72914e-3, -1.392723e-2, 0.16671589)
_C1, _C0 = constants(-2.666062e-2, 0.33271502 - 0.5)
# |computed x - x| < ERROR + SLOPE sqrt(rate): the fit, and the float32 error of w
ERROR, SLOPE = 8e-4, 2e-5
_SURE, _SLOPE = constants(0.5 - ERROR, -SLOPE)

# fewer pixels than torch divides over threads of its own
_GRAIN = 16384
# from here on the float64 expansion of x is better than the incomplete gamma function
LARGE = 1e4


def counts(rates: Floats, words: Words, out: Floats) -> None:
    """Count of each pixel; NaN where the rate is NaN, 0 where it is negative."""
    none = np.empty(0, dtype=np.intp)
    pairs, opens = [none], [none]
    with np.errstate(all="ignore"):
        for i in range(0, rates.size, CHUNK):
            rate, k, count = rates[i : i + CHUNK], words[i : i + CHUNK], out[i : i + CHUNK]
            low = rate < LOW
            lows = np.count_nonzero(low)
            if lows < rate.size:
                pair, open_ = _by_quantile(rate, k, count)
                pairs.append(pair + i)
                opens.append(open_ + i)
            if lows == rate.size:
                count[:], pair, open_ = _by_table(rate, k)
                pairs.append(pair + i)
                opens.append(open_ + i)
            elif lows:
                at = np.flatnonzero(low)
                count[at], pair, open_ = _by_table(np.take(rate, at), np.take(k, at))
                pairs.append(at[pair] + i)
                opens.append(at[open_] + i)
        for way, found in ((_of_two, pairs), (_search, opens)):
            unsure = np.concatenate(found)
            for i in range(0, unsure.size, _GRAIN):
                some = unsure[i : i + _GRAIN]
                out[some] = way(rates[some], words[some], out[some])


def _by_quantile(rate: Floats, words: Words, count: Floats) -> tuple[Indices, Indices]:
    """Way 2 for every pixel.

    Returns indices, among rates from LOW on, of the pixels that may be one more than the count
    written, and of those that may be anything.
    """
    w, root, s, y = scratch(4, rate.size)
    central_quantiles(words, w, root, s)
    tail = np.flatnonzero(root < TAIL)
    np.sqrt(rate, root)
    _offset(rate, w, root, s, y)
    # rint(y) is floor(x), and y lies halfway between two integers where x is an integer
    np.rint(y, s)
    np.add(w, s, count)
    np.subtract(y, s, y)
    np.abs(y, s)
    np.multiply(root, _SLOPE, root)
    np.add(root, _SURE, root)
    unsure = np.flatnonzero(s > root)
    unsure, tail = unsure[rate[unsure] >= LOW], tail[rate[tail] >= LOW]
    # x just above an integer: the count may be one less than was written
    count[unsure] -= y[unsure] < 0
    return unsure, tail


def _offset(rate: Floats, w: Floats, root: Floats, s: Floats, y: Floats) -> None:
    """Write y = x - 1/2 - floor(rate), which float32 can hold; w becomes floor(rate), s scratch."""
    np.divide(w, root, s)
    horner(s, _A, y)
    np.multiply(y, w, y)
    np.add(y, root, y)
    np.multiply(y, w, y)
    np.multiply(s, _C1, s)
    np.add(y, s, y)
    np.floor(rate, w)
    np.subtract(rate, w, s)
    np.add(y, s, y)
    np.add(y, _C0, y)


def _by_table(rate: Floats, words: Words) -> tuple[NDArray[np.uint8], Indices, Indices]:
    """Way 1 for rates below LOW: counts, and indices of those that may be one more, or any more."""
    row = np.multiply(rate, _ROWS_PER_PHOTON).astype(np.int32)
    np.left_shift(row, _COLUMN_BITS, row)
    column = np.right_shift(words.view(np.uint32), 32 - _COLUMN_BITS).view(np.int32)
    np.bitwise_or(row, column, row)
    # clip: a negative rate finds the first cell, which holds 0
    cell = np.take(_table(), row.astype(np.intp), mode="clip")
    unsure = np.flatnonzero(cell >= _PAIR)
    kind = cell[unsure]
    np.bitwise_and(cell, _PAIR - 1, cell)
    return cell, unsure[kind < _OPEN], unsure[kind >= _OPEN]


@cache
def _table() -> NDArray[np.uint8]:
    """The cells of way 1, row by row: 1 MiB."""
    rows, columns = int(LOW * _ROWS_PER_PHOTON), 1 << _COLUMN_BITS
    edges = torch.arange(rows + 1, dtype=torch.float64) / float(_ROWS_PER_PHOTON)
    low = np.zeros((rows + 1, columns + 1), dtype=np.uint8)
    high = np.zeros_like(low)
    for n in range(_PAIR):
        below = torch.special.gammaincc(torch.full_like(edges, n + 1), edges).numpy()
        # number of words, in the order of their uniforms, whose count is at most n; in columns
        threshold = np.rint(below * 2.0**32) * 2.0 ** (_COLUMN_BITS - 32)
        low[np.arange(rows + 1), np.ceil(threshold).astype(np.intp)] += 1
        high[np.arange(rows + 1), np.floor(threshold).astype(np.intp)] += 1
    low = low.cumsum(axis=1, dtype=np.uint8)[:-1, :-1]
    more = high.cumsum(axis=1, dtype=np.uint8)[1:, :-1] - low
    table = low + np.where(more > 1, _OPEN, _PAIR * more).astype(np.uint8)
    # negative words have the smaller uniforms, but the larger leading bits
    return np.roll(table, columns // 2, axis=1).ravel()


def _of_two(rates: Floats, words: Words, lower: Floats) -> Doubles:
    """The count, known to be `lower` or one more."""
    rate, n, u = rates.astype(np.float64), lower.astype(np.float64), _uniforms(words)
    small, large = np.flatnonzero(rate < LARGE), np.flatnonzero(rate >= LARGE)
    n[small] += _distribution(n[small], rate[small]) < u[small]
    n[large] = np.floor(_expansion(rate[large], _quantiles(u[large])))
    return n


def _search(rates: Floats, words: Words, _: Floats) -> Doubles:
    """The count, with nothing known."""
    rate, u = rates.astype(np.float64), _uniforms(words)
    w = _quantiles(u)
    # a lower bound: A(s) > 1/8 and C(s) > 0 for -sqrt(2) < s < 3, and x rises with s
    s = np.minimum(w / np.sqrt(rate), 3)
    n = np.floor(np.fmax(rate * (1 + s + s * s / 8), 0))
    todo = np.flatnonzero(rate < LARGE)
    while todo.size:
        todo = todo[_distribution(n[todo], rate[todo]) < u[todo]]
        n[todo] += 1
    large = np.flatnonzero(rate >= LARGE)
    n[large] = np.floor(_expansion(rate[large], w[large]))
    return n


def large_counts(rates: Doubles, words: Words) -> Doubles:
    """Counts at float64 rates from LARGE on, in float64."""
    found: Doubles = np.floor(_expansion(rates, _quantiles(_uniforms(words))))
    return found


def _uniforms(words: Words) -> Doubles:
    return 0.5 + (words.astype(np.float64) + 0.5) * 2.0**-32


def _quantiles(u: Doubles) -> Doubles:
    return np.asarray(torch.special.ndtri(torch.from_numpy(u)), dtype=np.float64)


def _distribution(n: Doubles, rate: Doubles) -> Doubles:
    """F(n; rate)."""
    below = torch.special.gammaincc(torch.from_numpy(n + 1), torch.from_numpy(rate))
    return np.asarray(below, dtype=np.float64)


def _expansion(rate: Doubles, w: Doubles) -> Doubles:
    """The real x by Cornish and Fisher; error about w^5 / (17280 rate^1.5), below 1e-6 at LARGE."""
    w2 = w * w
    x = (3 * w2 * w2 + 7 * w2 - 16) / 810 / rate
    x -= w * (w2 + 2) / 72 / np.sqrt(rate)
    return rate + (w * np.sqrt(rate) + ((w2 + 2) / 6 + x))
