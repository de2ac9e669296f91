"""Sums over images under many weightings of them, compiled by Numba: what every resample needs.

The images come in the order of their scores, the highest first, and each adds a row of weights, so
that all weightings go down the same ranking together and no sorted or widened copy is made.
"""
# ruff: noqa: ANN001, ANN202
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

# weightings at once: their sums fit the first cache
_BLOCK = 512
# products that are worth another thread
_MANY = 2_000_000
# where no weight is above, nothing is divided by it
_TINY = 1e-300


class RankedSums(NamedTuple):
    """Sums over images, ``(R,)`` each; positive are the images with the label.

    Attributes:
        positives: of the weights of positive images.
        total: of all weights.
        pairs: of the products of weights over pairs of a positive and a negative image whose
            positive has the higher score, equal scores counting half.
        precision: over distinct scores, of the weight of positives there times the precision.
        squares: of weights times the squared difference of score and target.
        gaps: over bins, of the size of the weighted sum of target minus score.
        flagged_positives: ``(cuts, R)``, of positive images before each cut.
        flagged: ``(cuts, R)``, of all images before each cut.
    """

    positives: NDArray[np.float64]
    total: NDArray[np.float64]
    pairs: NDArray[np.float64]
    precision: NDArray[np.float64]
    squares: NDArray[np.float64]
    gaps: NDArray[np.float64]
    flagged_positives: NDArray[np.float64]
    flagged: NDArray[np.float64]


def ranked_sums(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    bins: NDArray[np.intp],
    cuts: NDArray[np.intp],
    rows: NDArray[np.intp],
    weights: NDArray[Any],
) -> RankedSums:
    """The sums of one ranking.

    Args:
        scores: ``(n,)``, descending.
        positive: ``(n,)``, whether each image has the label.
        bins: ``(n,)``, descending.
        cuts: numbers of leading images; none lies between equal scores.
        rows: ``(n,)``, which row of the weights is each image's.
        weights: ``(m, R)``, not negative.
    """
    weights = _plain(weights)
    found = np.zeros((6, weights.shape[1]))
    flagged = np.zeros((2, len(cuts), weights.shape[1]))
    work = partial(_rank, scores, positive, bins, cuts, rows, weights, found, flagged)
    _in_blocks(work, weights.shape[1], len(rows))
    return RankedSums(*found, *flagged)


def weighted_mean(
    values: NDArray[np.float64], rows: NDArray[np.intp], weights: NDArray[Any]
) -> NDArray[np.float64]:
    """The mean of values under every weighting ``(R,)``; NaN where there is no weight.

    Args:
        values: ``(n,)``.
        rows: ``(n,)``, which row of the weights is each value's.
        weights: ``(m, R)``, not negative.
    """
    weights = _plain(weights)
    found = np.zeros((2, weights.shape[1]))
    work = partial(_add, values, rows, weights, found)
    _in_blocks(work, weights.shape[1], len(rows))
    total = found[1]
    return np.divide(found[0], total, out=np.full_like(total, np.nan), where=total != 0)


def _plain(weights: NDArray[Any]) -> NDArray[Any]:
    kind = np.uint8 if weights.dtype == np.uint8 else np.float64
    return np.ascontiguousarray(weights, kind)


def _in_blocks(work: Callable[[int, int], None], columns: int, images: int) -> None:
    """All columns, on as many threads as torch has; which one does which changes no bit."""
    starts = range(0, columns, _BLOCK)
    ends = [min(columns, start + _BLOCK) for start in starts]
    threads = min(torch.get_num_threads(), len(starts), 1 + images * columns // _MANY)
    if threads < 2:
        for start, end in zip(starts, ends, strict=True):
            work(start, end)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, starts, ends))


def _compiled(function: Callable[..., None]) -> Callable[..., None]:
    """A loop that Numba compiles when it is first called, and keeps if there is a folder for it."""
    options = {"error_model": "numpy", "nogil": True}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)


@_compiled
def _add(values, rows, weights, found, start, stop):
    for image in range(len(values)):
        value, row = values[image], rows[image]
        for column in range(start, stop):
            weight = float(weights[row, column])
            found[0, column] += value * weight
            found[1, column] += weight


@_compiled
def _rank(scores, positive, bins, cuts, rows, weights, found, flagged, start, stop):
    # of its own: threads that share a line of the cache wait for each other
    sums = np.zeros((9, stop - start))
    first, count = 0, len(scores)
    while first < count:
        _cut(cuts, first, sums, flagged, start, stop)
        if first > 0 and bins[first] != bins[first - 1]:
            _end_bin(sums)
        last = first + 1
        while last < count and scores[last] == scores[first]:
            last += 1
        own = weights[rows[first], start:stop]
        if last > first + 1:
            for image in range(first, last):
                _collect(scores[image], positive[image], weights[rows[image], start:stop], sums)
            _end_equals(sums)
        elif positive[first]:
            _positive(scores[first], own, sums)
        else:
            _negative(scores[first], own, sums)
        first = last
    _cut(cuts, count, sums, flagged, start, stop)
    _end_bin(sums)
    found[:, start:stop] = sums[:6]


@_compiled
def _cut(cuts, leading, sums, flagged, start, stop):
    for cut in range(len(cuts)):
        if cuts[cut] == leading:
            flagged[:, cut, start:stop] = sums[:2]


@_compiled
def _end_bin(sums):
    gaps, gap = sums[5], sums[6]
    for column in range(len(gap)):
        gaps[column] += abs(gap[column])
        gap[column] = 0.0


@_compiled
def _positive(score, weights, sums):
    hits, above, precision, squares, gap = sums[0], sums[1], sums[3], sums[4], sums[6]
    square, difference = (score - 1.0) ** 2, 1.0 - score
    for column in range(len(weights)):
        weight = float(weights[column])
        squares[column] += square * weight
        gap[column] += difference * weight
        hits[column] += weight
        above[column] += weight
        precision[column] += weight * hits[column] / max(above[column], _TINY)


@_compiled
def _negative(score, weights, sums):
    hits, above, pairs, squares, gap = sums[0], sums[1], sums[2], sums[4], sums[6]
    square = score**2
    for column in range(len(weights)):
        weight = float(weights[column])
        squares[column] += square * weight
        gap[column] -= score * weight
        above[column] += weight
        pairs[column] += hits[column] * weight


@_compiled
def _collect(score, positive, weights, sums):
    target = 1.0 if positive else 0.0
    side, squares, gap = sums[7 if positive else 8], sums[4], sums[6]
    square, difference = (score - target) ** 2, target - score
    for column in range(len(weights)):
        weight = float(weights[column])
        side[column] += weight
        squares[column] += square * weight
        gap[column] += difference * weight


@_compiled
def _end_equals(sums):
    hits, above, pairs, precision = sums[0], sums[1], sums[2], sums[3]
    new, false = sums[7], sums[8]
    for column in range(len(hits)):
        pairs[column] += (hits[column] + new[column] / 2) * false[column]
        hits[column] += new[column]
        above[column] += new[column] + false[column]
        precision[column] += new[column] * hits[column] / max(above[column], _TINY)
        new[column] = false[column] = 0.0
