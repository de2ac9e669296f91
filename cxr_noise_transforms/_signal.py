"""The boundary: image to signal with full scale 1, and back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ._gradient import round_straight_through

# largest code value of the integer image types
FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0}


class Digitiser(NamedTuple):
    """How a signal becomes an image again: its range, and what happens outside it."""

    value_range: tuple[float, float] = (0.0, 1.0)
    clip: bool = False
    bits: int | None = None


def signal_dtype(image: Tensor) -> torch.dtype:
    """float32, or float64 for float64 images."""
    return torch.float64 if image.dtype == torch.float64 else torch.float32


def to_signal(image: Tensor, digitiser: Digitiser) -> Tensor:
    """Signal with full scale 1."""
    signal = image.to(signal_dtype(image))
    if image.dtype in FULL_SCALE:
        return divided(signal, FULL_SCALE[image.dtype])
    low, high = digitiser.value_range
    return signal if (low, high) == (0, 1) else divided(signal - low, high - low)


def to_image(noisy: Tensor, image: Tensor, exposed: Tensor | None, digitiser: Digitiser) -> Tensor:
    """The noisy signal as an image like ``image``; where not ``exposed``, ``image`` itself.

    ``exposed`` is ``None`` where every pixel is.
    """
    full = FULL_SCALE.get(image.dtype)
    if digitiser.clip or digitiser.bits is not None:
        noisy = noisy.clamp(0.0, 1.0)
    if digitiser.bits is not None:
        steps = 2**digitiser.bits - 1
        # an integer image is rounded to its own levels below, and only once
        if full is None or steps < full:
            noisy = divided(round_straight_through(noisy * steps), steps)
    if full is not None:
        noisy = (noisy * full).round().clamp(0.0, full)
    elif digitiser.value_range != (0, 1):
        low, high = digitiser.value_range
        noisy = low + noisy * (high - low)
    result = _saturated(noisy, image.dtype).to(image.dtype)
    return result if exposed is None else _chosen(exposed, result, image)


def largest_finite(dtype: torch.dtype) -> float:
    """What finite values saturate to where float32 exceeds the image's dtype, else infinity."""
    return torch.finfo(dtype).max if dtype in (torch.float16, torch.bfloat16) else torch.inf


def _saturated(noisy: Tensor, dtype: torch.dtype) -> Tensor:
    largest = largest_finite(dtype)
    if largest == torch.inf:
        return noisy
    return torch.where(noisy.isinf(), noisy, noisy.clamp(-largest, largest))


def _chosen(exposed: Tensor, noisy: Tensor, image: Tensor) -> Tensor:
    # in the image's dtype: a way through float32 rewrites the bits of a half-precision NaN
    if image.dtype != torch.uint16:
        return torch.where(exposed, noisy, image)
    # torch 2.6 does not choose between uint16
    return torch.where(exposed, noisy.int(), image.int()).to(image.dtype)


def divided(numerator: Tensor, divisor: float) -> Tensor:
    """``numerator / divisor``, rounded once on every device."""
    if numerator.is_cuda:
        # by a number, CUDA multiplies with the reciprocal, and the last bit is not the CPU's
        return numerator / torch.full((), divisor, dtype=numerator.dtype, device=numerator.device)
    return numerator / divisor


def in_form_of(image: Tensor, result: Tensor) -> Tensor:
    """``result`` in the memory format of ``image``, and of its type with what that carries."""
    if type(result) is not type(image) and not isinstance(image, torch.nn.Parameter):
        kept = image.clone()
        kept.copy_(result)
        return kept
    if result.stride() == image.stride():
        return result
    return torch.empty_like(image).copy_(result)
