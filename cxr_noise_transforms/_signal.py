"""The boundary: image to signal with full scale 1, and back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# largest code value of the integer image types
FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0}


class Digitiser(NamedTuple):
    """How a signal becomes an image again: its range, and what happens outside it."""

    value_range: tuple[float, float] = (0.0, 1.0)
    clip: bool = False
    bits: int | None = None


def to_signal(image: Tensor, digitiser: Digitiser) -> Tensor:
    """Signal with full scale 1, float32 (float64 for float64 images)."""
    if image.dtype in FULL_SCALE:
        return image.to(torch.float32) / FULL_SCALE[image.dtype]
    signal = image if image.dtype == torch.float64 else image.to(torch.float32)
    low, high = digitiser.value_range
    return signal if (low, high) == (0, 1) else (signal - low) / (high - low)


def to_image(noisy: Tensor, image: Tensor, exposed: Tensor, digitiser: Digitiser) -> Tensor:
    """The noisy signal as an image like ``image``; where not ``exposed``, ``image`` itself."""
    if digitiser.bits is not None:
        steps = 2**digitiser.bits - 1
        noisy = (noisy.clamp(0.0, 1.0) * steps).round() / steps
    elif digitiser.clip:
        noisy = noisy.clamp(0.0, 1.0)
    if image.dtype in FULL_SCALE:
        full = FULL_SCALE[image.dtype]
        noisy = (noisy * full).round().clamp(0.0, full)
    elif digitiser.value_range != (0, 1):
        low, high = digitiser.value_range
        noisy = low + noisy * (high - low)
    # compared in the signal's dtype, which holds every value of the image exactly
    result = torch.where(exposed, noisy, image.to(noisy.dtype)).to(image.dtype)
    if result.stride() != image.stride():
        result = torch.empty_like(image).copy_(result)
    return result
