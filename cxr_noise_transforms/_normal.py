"""Standard normal values from words: the quantile of each word's uniform, in numpy.

With s = (k + 1/2) / 2^31 in (-1, 1) the quantile is sqrt(2) erfinv(s). The ratio quantile / s is
so smooth in L = log(1 - s^2) that a polynomial of degree 7 reaches float32 accuracy. Towards the
tails float32 cannot hold s near 1: those few pixels are computed in float64, where s is exact.
"""

from __future__ import annotations

import threading

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Words = NDArray[np.int32]

# pixels per numpy call: short calls keep threads waiting for the interpreter lock, long ones leave
# the cache
CHUNK = 131072


def constants(*values: float) -> list[Floats]:
    """float32 arrays of no dimension, the operands that numpy's loops start fastest with."""
    return [np.array(v, dtype=np.float32) for v in values]


_ONE, _SCALE = constants(1, 2.0**-31)
# log(1 - s^2) at quantile 3.3, up to which the quantile is good enough to count photons with
(TAIL,) = constants(-6.248)
# the same at quantile 2.8 (one pixel in 196), up to which float32 holds it to 4e-6
(_FINE_TAIL,) = constants(-4.586)
# quantile / s as a polynomial in log(1 - s^2), highest power first; relative error 5e-7;
# fitted by benchmarks/fit_sampler.py
_RATIO = constants(
    -4.594612528e-07,
    -1.244240356e-05,
    -1.204600987e-04,
    -2.840899516e-04,
    3.202152325e-03,
    1.629156688e-02,
    -3.281200932e-01,
    1.253314688e00,
)


_local = threading.local()


def scratch(arrays: int, n: int) -> Floats:
    """`arrays` float32 arrays of n pixels, kept per thread: fresh ones would cost page faults."""
    if not hasattr(_local, "arrays"):
        _local.arrays = np.empty((4, CHUNK), dtype=np.float32)
    kept: Floats = _local.arrays
    return kept[:arrays, :n]


def horner(x: Floats, coefficients: list[Floats], out: Floats) -> None:
    """Polynomial in x, highest power first."""
    first, second, *rest = coefficients
    np.multiply(x, first, out)
    np.add(out, second, out)
    for c in rest:
        np.multiply(out, x, out)
        np.add(out, c, out)


def central_quantiles(words: Words, out: Floats, log: Floats, s: Floats) -> None:
    """Quantiles into `out`, good wherever `log`, also written, is above TAIL; s is scratch."""
    np.copyto(s, words, casting="unsafe")
    np.multiply(s, _SCALE, s)
    np.multiply(s, s, log)
    np.subtract(_ONE, log, log)
    np.log(log, log)
    horner(log, _RATIO, out)
    np.multiply(out, s, out)


def exact_quantiles(words: Words) -> NDArray[np.float64]:
    """Quantiles in float64."""
    s = (words.astype(np.float64) + 0.5) * 2.0**-31
    return np.asarray(2.0**0.5 * torch.erfinv(torch.from_numpy(s)), dtype=np.float64)


def normals(words: Words, out: Floats) -> None:
    """One standard normal value per word."""
    tails = [np.empty(0, dtype=np.intp)]
    with np.errstate(divide="ignore", invalid="ignore"):
        for i in range(0, words.size, CHUNK):
            k = words[i : i + CHUNK]
            log, s = scratch(2, k.size)
            central_quantiles(k, out[i : i + CHUNK], log, s)
            tails.append(np.flatnonzero(log < _FINE_TAIL) + i)
    tail = np.concatenate(tails)
    out[tail] = exact_quantiles(words[tail])
