"""Quantum noise of 8-bit films by a table over (grey level, uniform).

The noisy level rises with the uniform, so a cell of the table whose first and last words give one
level holds it for every word between. Pixels in other cells take the general way, whose result this
is bit for bit.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import _spans
from ._normal import CHUNK, Words
from ._philox import PHOTONS, words
from ._poisson import counts

Levels = NDArray[np.uint8]

# leading bits of the word that choose the column
_COLUMN_BITS = 9
_OPEN = 256


@torch.library.custom_op("cxr_noise_transforms::photon_levels", mutates_args=())
def photon_levels(image: Tensor, gain: Tensor, seeds: Tensor) -> Tensor:
    """Quantum noise from 8-bit levels to 8-bit levels.

    Args:
        image: uint8 ``(B, ...)`` on the CPU.
        gain: signal per photon ``(B,)``; where it is 0 the image comes back as it is.
        seeds: int64 ``(B,)``.
    """
    levels, noisy, result = _spans.rows(image)
    scale, keys = gain.to(torch.float32).numpy(), seeds.tolist()

    def work(film: int, start: int, stop: int) -> None:
        if scale[film] == 0:
            result[film, start:stop] = levels[film, start:stop]
            return
        drawn = words(keys[film], PHOTONS, start, stop - start)
        _by_table(levels[film, start:stop], drawn, scale[film], result[film, start:stop])

    _spans.run(levels.shape[0], levels.shape[1], work)
    return noisy


@photon_levels.register_fake
def _like(image: Tensor, gain: Tensor, seeds: Tensor) -> Tensor:  # noqa: ARG001
    return torch.empty_like(image, memory_format=torch.contiguous_format)


def _by_table(levels: Levels, drawn: Words, gain: np.float32, out: Levels) -> None:
    cells, opens = _table(gain), []
    for i in range(0, levels.size, CHUNK):
        index = levels[i : i + CHUNK].astype(np.int32)
        np.left_shift(index, _COLUMN_BITS, index)
        leading = np.right_shift(drawn[i : i + CHUNK].view(np.uint32), 32 - _COLUMN_BITS)
        np.bitwise_or(index, leading.view(np.int32), index)
        cell = np.take(cells, index.astype(np.intp), mode="clip")
        np.copyto(out[i : i + CHUNK], cell, casting="unsafe")
        opens.append(np.flatnonzero(cell >= _OPEN) + i)
    some = np.concatenate(opens)
    out[some] = _by_counts(levels[some], drawn[some], gain)


@lru_cache(maxsize=16)
def _table(gain: np.float32) -> NDArray[np.int16]:
    """Level of each cell's first word, plus _OPEN where the last word has another: 256 KiB."""
    first = np.arange(-(2**31), 2**31, 1 << 32 - _COLUMN_BITS)
    last = first + (1 << 32 - _COLUMN_BITS) - 1
    grey = np.repeat(np.arange(256, dtype=np.uint8), first.size)
    low, high = (_by_counts(grey, np.tile(w, 256).astype(np.int32), gain) for w in (first, last))
    cells = low + _OPEN * (low != high).astype(np.int16)
    # columns in the order of the leading bits as an unsigned number
    table: NDArray[np.int16] = np.roll(cells.reshape(256, -1), first.size // 2, axis=1).ravel()
    return table


def _by_counts(levels: Levels, drawn: Words, gain: np.float32) -> Levels:
    """The general way: level, signal, count, noisy signal, nearest level, in that arithmetic."""
    full = np.float32(255)
    signal = levels.astype(np.float32) / full
    with np.errstate(all="ignore"):
        rates = signal / gain
        count = np.empty_like(rates)
        counts(rates, drawn, count)
        noisy = np.where(np.isposinf(rates), signal, count * gain)
    level: Levels = np.clip(np.rint(noisy * full), 0, full).astype(np.uint8)
    return level
