"""The reference: noise from ``torch.poisson`` and ``torch.randn``."""

from __future__ import annotations

import torch
from torch import Tensor

from ._random import mixed
from ._vmap import per_image

# above this rate a draw at this rate is rescaled: torch.poisson overflows further up
# (pytorch#86782), and a step of one photon is there below the resolution of float32
_LARGEST_RATE = 2.0**30
# streams of a seed
_PHOTONS, _READ_OUT = 0, 1


class Reference:
    """Draws step by step.

    Args:
        source: a generator, ``None`` for torch's global one, or seeds ``(B,)`` for a generator
            per image and stream.
    """

    def __init__(self, source: torch.Generator | Tensor | None) -> None:
        self.source = source
        self.seeds = source if isinstance(source, Tensor) else None

    def whole(self, *_: object) -> None:
        """No step of its own."""

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """A rate that is negative or NaN counts nothing, one beyond the largest is rescaled."""
        rate = torch.where(gain > 0, signal / gain, 0.0)
        safe = rate.clamp(0.0, _LARGEST_RATE).nan_to_num(nan=0.0)
        counts = self._draw(safe, _PHOTONS)
        # a factor, so that infinity stays infinity instead of becoming inf - inf
        relative = (counts - _LARGEST_RATE) * (gain / signal / _LARGEST_RATE).sqrt()
        noisy = torch.where(rate <= _LARGEST_RATE, counts * gain, signal * (1 + relative))
        return torch.where(gain > 0, noisy, signal)

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """Normal numbers in the signal's dtype."""
        return signal + sigma * self._draw(signal, _READ_OUT)

    def _draw(self, rates: Tensor, stream: int) -> Tensor:
        rates = rates.contiguous()
        if isinstance(self.source, Tensor):
            drawn: Tensor = _seeded(rates, mixed(self.source, stream), stream)
            return drawn
        return _drawn(rates, stream, self.source)


def _drawn(rates: Tensor, stream: int, generator: torch.Generator | None) -> Tensor:
    """Poisson counts of ``rates``, or as many normal numbers."""
    if stream == _PHOTONS:
        return torch.poisson(rates, generator=generator)
    shape, dtype, device = rates.shape, rates.dtype, rates.device
    # with generator=None spelled out, torch refuses symbolic shapes
    if generator is None:
        return torch.randn(shape, dtype=dtype, device=device)
    return torch.randn(shape, dtype=dtype, device=device, generator=generator)


@torch.library.custom_op("cxr_noise_transforms::reference", mutates_args=())
def _seeded(rates: Tensor, seeds: Tensor, stream: int) -> Tensor:
    result = torch.empty_like(rates)
    for image, one, seed in zip(result, rates, seeds.tolist(), strict=True):
        image.copy_(_drawn(one, stream, torch.Generator(rates.device).manual_seed(seed)))
    return result


per_image("reference")
