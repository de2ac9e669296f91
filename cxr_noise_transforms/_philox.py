"""One 32-bit word per pixel from Philox4x64-10, as a pure function of (seed, stream, pixel).

Specification
-------------
key      = (seed mod 2^64, stream)            stream: one small integer per noise source
counter  = (1 + pixel // 8, 0, 0, 0)          one block of four 64-bit words for eight pixels
word     = block[(pixel % 8) // 2], its low half for even pixels and its high half for odd ones,
           read as a two's complement 32-bit integer k
uniform  = 1/2 + (k + 1/2) / 2^32             in (0, 1), symmetric: ~k gives 1 - uniform

`pixel` counts within one image in C order. Counter 0 is never used because numpy's generator
increments before it draws: `np.random.Philox(key, counter=c)` begins with block c + 1.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

# streams, one per noise source of an exposure
PHOTONS, READ_OUT = 0, 1

PIXELS_PER_BLOCK = 8
_MASK = (1 << 64) - 1


def words(seed: int, stream: int, start: int, n: int) -> NDArray[np.int32]:
    """Words of pixels `start` ... `start + n - 1`; `start` must be a multiple of 8."""
    if start % PIXELS_PER_BLOCK:
        raise ValueError(f"start must be a multiple of {PIXELS_PER_BLOCK}, got {start}")
    # two explicit uint64: a list that mixes large and small integers may turn into floats
    key = np.array([seed & _MASK, stream & _MASK], dtype=np.uint64)
    generator = np.random.Philox(key=key, counter=start // PIXELS_PER_BLOCK)
    raw = generator.random_raw((n + 1) // 2)
    if sys.byteorder == "big":
        raw = raw.byteswap().view(np.uint32).byteswap().view(np.uint64)
    return raw.view(np.int32)[:n]
