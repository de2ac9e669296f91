"""The counter-based sampler: noise from (signal, strength, seed) alone, on the CPU in numpy.

Two operators that torch.compile and torch.export see as one node each. Pixels are shared out over
threads in spans; no result depends on the partition.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import _spans
from ._normal import normals
from ._philox import PHOTONS, READ_OUT, words
from ._poisson import LARGE, counts, large_counts


@torch.library.custom_op("cxr_noise_transforms::photons", mutates_args=())
def photons(signal: Tensor, gain: Tensor, seeds: Tensor) -> Tensor:
    """``gain * Poisson(signal / gain)`` per image, ``signal`` itself where the gain is 0.

    Args:
        signal: ``(B, ...)`` on the CPU, float32 or float64.
        gain: signal per photon ``(B,)``.
        seeds: int64 ``(B,)``.
    """
    pixels, noisy, result = _spans.rows(signal)
    # numpy divides float32 by a float32 as torch does
    scale, keys = gain.to(signal.dtype).numpy(), seeds.tolist()

    def work(image: int, start: int, stop: int) -> None:
        clean, out = pixels[image, start:stop], result[image, start:stop]
        if scale[image] == 0:
            np.copyto(out, clean)
            return
        with np.errstate(all="ignore"):
            rates = clean / scale[image]
            rates32 = rates.astype(np.float32, copy=False)
            drawn = words(keys[image], PHOTONS, start, stop - start)
            if out.dtype == np.float32:
                counts(rates32, drawn, out)
            else:
                count = np.empty_like(rates32)
                counts(rates32, drawn, count)
                np.copyto(out, count)
                large = np.flatnonzero(rates >= LARGE)
                out[large] = large_counts(rates[large], drawn[large])
            np.multiply(out, scale[image], out)
            if np.fmax.reduce(rates) == np.inf:
                # photons without number show no noise
                np.copyto(out, clean, where=np.isposinf(rates))

    _spans.run(pixels.shape[0], pixels.shape[1], work)
    return noisy


@torch.library.custom_op("cxr_noise_transforms::read_out", mutates_args=())
def read_out(signal: Tensor, sigma: Tensor, seeds: Tensor) -> Tensor:
    """``signal + sigma * normal`` per image.

    Args:
        signal: ``(B, ...)`` on the CPU, float32 or float64.
        sigma: standard deviation ``(B,)``.
        seeds: int64 ``(B,)``.
    """
    pixels, noisy, result = _spans.rows(signal)
    scale, keys = sigma.to(signal.dtype).numpy(), seeds.tolist()

    def work(image: int, start: int, stop: int) -> None:
        clean, out = pixels[image, start:stop], result[image, start:stop]
        drawn = np.empty(stop - start, dtype=np.float32)
        normals(words(keys[image], READ_OUT, start, stop - start), drawn)
        with np.errstate(all="ignore"):
            np.multiply(drawn, scale[image], out)
            np.add(out, clean, out)

    _spans.run(pixels.shape[0], pixels.shape[1], work)
    return noisy


@photons.register_fake
@read_out.register_fake
def _like(signal: Tensor, strength: Tensor, seeds: Tensor) -> Tensor:  # noqa: ARG001
    return torch.empty_like(signal, memory_format=torch.contiguous_format)
