"""The law of docs/sampler.md as a scalar program, compiled for this processor by Numba.

    noisy = digitised(gain * count + sigma * normal)

An image goes through in tiles that the first cache holds. The loops over a tile are plain, so that
LLVM vectorises them; what they cannot decide they mark, and float64 decides it pixel by pixel.

Traps
-----
- Products and sums are fused (`contract`) in polynomials alone, where a bound covers the
  difference. The pixel's own arithmetic rounds both, as torch and the GPU's kernel do.
- Numba widens int32 + int32 to int64, and float32 beside a Python number to float64.
"""
# ruff: noqa: ANN001, ANN202
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

import math
import sys

import numpy as np
from numba import njit
from numpy import float32, float64, int32, uint8, uint64

from . import _cpu_exact as exact
from ._cpu_exact import BITS, LOW, MANY, OPEN, ROWS, compiled

# pixels per tile, and blocks of Philox, each of which serves eight
TILE = 2048
_BLOCKS = TILE // 8

_inlined = njit(error_model="numpy", forceinline=True)
_fused = njit(error_model="numpy", forceinline=True, fastmath={"contract"})
_polynomial = _fused(exact.polynomial)

# streams, one per noise source of an exposure
_PHOTONS, _READ_OUT = uint64(0), uint64(1)
# Philox4x64: the multipliers in halves, and what a round adds to the keys
_M0_LOW, _M0_HIGH = uint64(0xE14C6C93), uint64(0xD2E7470E)
_M1_LOW, _M1_HIGH = uint64(0x95121157), uint64(0xCA5A8263)
_W0, _W1 = uint64(0x9E3779B97F4A7C15), uint64(0xBB67AE8584CAA73B)
_LOWER, _HALF = uint64(0xFFFFFFFF), uint64(32)
_BIG_ENDIAN = sys.byteorder == "big"

# polynomials, highest power first, fitted by benchmarks/fit_sampler.py
# log2(1 + t) / t, with 1 + t from sqrt(1/2) to sqrt(2)
_LOG2 = tuple(np.array([
    0.17063452, -0.27269801, 0.29726261, -0.35896184, 0.48046503, -0.72137587, 1.44269973,
], float32))  # fmt: skip
# quantile / s in log2(1 - s²), down to _TAIL, which is quantile 3.3
_RATIO = tuple(np.array([
    -3.537133e-08, -1.381427e-06, -1.929124e-05, -6.567693e-05,
    1.066104e-03, 7.826918e-03, -2.274357e-01, 1.253315,
], float32))  # fmt: skip
_TAIL = float32(-9)
# x = rate + root w + w² A(s) + C(s) + D / rate, from rate LOW on
_A = tuple(np.array([
    2.631139e-04, -4.352802e-04, 4.953852e-04, -1.472685e-03, 3.743449e-03, -1.39012e-02,
    1.666659e-01,
], float32))  # fmt: skip
_C = tuple(np.array([8.678756e-04, 8.558252e-03, -2.765465e-02, 3.333402e-01], float32))
_D = float32(-2.140378e-02)
# bound of the error of x: a constant, and per |w| root, and per 1 / rate
_ERROR = tuple(np.array([1e-5, 2e-6, 5e-3], float32))


def expose(image, noisy, numbers, seed, block, table):
    """Noise of a stretch of one film that begins with this block of Philox."""
    gain, sigma, low, span = numbers[0], numbers[1], numbers[2], numbers[3]
    steps, largest = numbers[4], numbers[5]
    signals = np.empty(TILE, numbers.dtype)
    rates, drawn = np.empty(TILE, float32), np.empty(TILE, float32)
    state, blocks = np.empty((4, _BLOCKS), uint64), np.empty(TILE // 2, uint64)
    words, unsure = blocks.view(int32), np.zeros(TILE, uint8)
    for start in range(0, image.size, TILE):
        pixels, result = image[start : start + TILE], noisy[start : start + TILE]
        signal, rate = signals[: pixels.size], rates[: pixels.size]
        for i in range(pixels.size):
            signal[i] = pixels[i]
            signal[i] = (signal[i] - low) / span
        if gain != 0:
            _draw(seed, _PHOTONS, block, state, blocks)
            _photons(signal, gain, words, rate, drawn, unsure, table)
        if sigma != 0:
            _draw(seed, _READ_OUT, block, state, blocks)
            _read_out(signal, sigma, words, drawn, unsure)
        _digitise(signal, result, low, span, steps, largest)
        block += uint64(_BLOCKS)


@compiled
def _digitise(signal, result, low, span, steps, largest):
    """The way back: saturated from steps 0 on, rounded to as many; finite values stay finite."""
    zero, one = float32(0), float32(1)
    if steps >= 0:
        for i in range(signal.size):
            signal[i] = min(max(signal[i], zero), one)
    if steps > 0:
        for i in range(signal.size):
            signal[i] = np.rint(signal[i] * steps) / steps
    for i in range(signal.size):
        level = low + signal[i] * span
        if result.itemsize < 4:
            # zero comes first: NaN, which no integer can hold, becomes 0
            result[i] = int32(min(max(zero, np.rint(level)), span))
        elif largest < abs(level) < np.inf:
            result[i] = math.copysign(largest, level)
        else:
            result[i] = level


# Philox


@_inlined
def _product(word, low, high):
    """Upper and lower half of a product of 64 bits by 64, in parts that a vector multiplies."""
    first = (word & _LOWER) * low
    second = (word >> _HALF) * low + (first >> _HALF)
    third = (word & _LOWER) * high + (second & _LOWER)
    upper = (word >> _HALF) * high + (second >> _HALF) + (third >> _HALF)
    return upper, (third << _HALF) | (first & _LOWER)


@compiled
def _draw(seed, stream, block, state, blocks):
    """Philox4x64-10 of one tile, each round over all of its blocks."""
    c0, c1, c2, c3 = state[0], state[1], state[2], state[3]
    for i in range(_BLOCKS):
        # counter 0 is never used, as in numpy
        c0[i] = block + uint64(i + 1)
        c1[i] = c2[i] = c3[i] = 0
    k0, k1 = seed, stream
    for _ in range(10):
        for i in range(_BLOCKS):
            high0, low0 = _product(c0[i], _M0_LOW, _M0_HIGH)
            high1, low1 = _product(c2[i], _M1_LOW, _M1_HIGH)
            c0[i], c1[i], c2[i], c3[i] = high1 ^ c1[i] ^ k0, low1, high0 ^ c3[i] ^ k1, low0
        k0 += _W0
        k1 += _W1
    for i in range(_BLOCKS):
        for j in range(4):
            word = state[j, i]
            # even pixels have the lower half
            blocks[4 * i + j] = word << _HALF | word >> _HALF if _BIG_ENDIAN else word


# normal values


@_inlined
def _log2(x):
    """Of a positive float32."""
    root_half = int32(0x3F3504F3)
    bits = int32(float32(x).view(int32) - root_half)
    power = int32(bits >> 23)
    mantissa = int32(bits - int32(power << 23) + root_half).view(float32)
    t = mantissa - float32(1)
    return float32(power) + t * _polynomial(t, _LOG2)


@_inlined
def _quantile(word):
    """Standard normal quantile of a word, to 1e-6 of itself, unless it lies in the tails."""
    unit, half = float32(2.0**-31), float32(0.5)
    s = (float32(word) + half) * unit
    # 1 - |s|, which float32 holds where |s| rounds to 1
    rest = (float32(int32((word ^ int32(word >> 31)) ^ int32(0x7FFFFFFF))) + half) * unit
    log = _log2(rest * (float32(2) - rest))
    return _polynomial(log, _RATIO) * s, log <= _TAIL


@compiled
def _read_out(signal, sigma, words, normal, unsure):
    """Add sigma times a normal value to every pixel."""
    for i in range(TILE):
        normal[i], unsure[i] = _quantile(words[i])
    eights = unsure.view(uint64)
    for i in range(_BLOCKS):
        if eights[i]:
            for j in range(8 * i, 8 * i + 8):
                if unsure[j]:
                    normal[j] = exact.quantile(words[j])
            eights[i] = 0
    for i in range(signal.size):
        signal[i] += sigma * normal[i]


# counts


@compiled
def _photons(signal, gain, words, rate, count, unsure, table):
    """Replace every pixel by gain times a count; one with photons without number shows no noise."""
    few = 0
    for i in range(signal.size):
        rate[i] = signal[i] / gain
        few += rate[i] < LOW
    if few < rate.size:
        _by_quantile(rate, words, count, unsure)
    if few:
        _by_table(rate, words, count, unsure, table)
    _settle(rate, words, count, unsure)
    for i in range(signal.size):
        if signal.itemsize == 8 and rate[i] >= MANY:
            wide = signal[i] / gain
            if wide < np.inf:
                signal[i] = np.floor(exact.expansion(wide, exact.quantile(words[i]))) * gain
        elif rate[i] < np.inf:
            signal[i] = count[i] * gain


@compiled
def _by_quantile(rate, words, count, unsure):
    """Counts from rate LOW on: floor(x), unless x lies within its error of an integer."""
    for i in range(rate.size):
        w, tail = _quantile(words[i])
        root, inverse = np.sqrt(rate[i]), float32(1) / rate[i]
        s = w * root * inverse
        whole = np.floor(rate[i])
        # x less the whole photons of the rate, which float32 can hold
        x = (_polynomial(s, _A) * w + root) * w + _polynomial(s, _C) + inverse * _D
        x += rate[i] - whole
        error = _ERROR[0] + _ERROR[1] * abs(w) * root + _ERROR[2] * inverse
        count[i] = whole + np.floor(x)
        unsure[i] = tail | (abs(x - np.rint(x)) < error)


@compiled
def _by_table(rate, words, count, unsure, table):
    """Counts below rate LOW; other pixels are left alone."""
    cell = np.empty(TILE, int32)
    for i in range(rate.size):
        low = rate[i] if (rate[i] > 0) & (rate[i] < LOW) else float32(0)
        column = int32(int32(words[i] >> (32 - BITS)) + (1 << (BITS - 1)))
        cell[i] = int32(int32(low * float32(ROWS)) << BITS) | column
    # a loop of loads and nothing else, or they are not all issued at once
    for i in range(rate.size):
        cell[i] = table[cell[i]]
    for i in range(rate.size):
        low = rate[i] < LOW
        count[i] = float32(cell[i]) if low else count[i]
        unsure[i] = cell[i] == OPEN if low else unsure[i]


@compiled
def _settle(rate, words, count, unsure):
    """Decide the pixels that are marked, and unmark them."""
    eights = unsure.view(uint64)
    for i in range(_BLOCKS):
        if eights[i]:
            for j in range(8 * i, 8 * i + 8):
                if unsure[j]:
                    count[j] = exact.count(float64(rate[j]), words[j])
            eights[i] = 0
