"""The whole exposure on the CPU, from image to image."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _counter
from ._levels import photon_levels
from ._signal import Digitiser, to_image, to_signal


def expose(
    image: Tensor, gain: Tensor | None, sigma: Tensor | None, seeds: Tensor, digitiser: Digitiser
) -> Tensor:
    """Noisy images like ``image``; one with neither gain nor sigma comes back bit for bit.

    Args:
        image: ``(B, ...)`` on the CPU.
        gain: signal per photon ``(B,)``; 0 or ``None`` for no quantum noise.
        sigma: standard deviation of the read-out ``(B,)``; 0 or ``None`` for no electronic noise.
        seeds: int64 ``(B,)``.
        digitiser: the way back from signal to image.
    """
    low, high = digitiser.value_range
    noisy: Tensor = _expose(image, gain, sigma, seeds, low, high, digitiser.clip, digitiser.bits)
    return noisy


@torch.library.custom_op("cxr_noise_transforms::expose_on_cpu", mutates_args=())
def _expose(
    image: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    low: float,
    high: float,
    clip: bool,
    bits: int | None,
) -> Tensor:
    if image.dtype == torch.uint8 and gain is not None and sigma is None and (bits or 8) >= 8:
        levels: Tensor = photon_levels(image, gain, seeds)
        return levels
    digitiser = Digitiser((low, high), clip, bits)
    noisy, exposed = to_signal(image, digitiser), torch.zeros(len(image), dtype=torch.bool)
    if gain is not None:
        noisy, exposed = _counter.photons(noisy, gain, seeds), exposed | (gain != 0)
    if sigma is not None:
        noisy, exposed = _counter.read_out(noisy, sigma, seeds), exposed | (sigma != 0)
    exposed = exposed.reshape(-1, *(1,) * (image.ndim - 1))
    return to_image(noisy, image, exposed, digitiser).contiguous()


@_expose.register_fake
def _like(image: Tensor, *_: object) -> Tensor:
    return torch.empty_like(image, memory_format=torch.contiguous_format)
