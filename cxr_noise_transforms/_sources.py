"""Where the noise of one call comes from: the reference in torch, or the counter-based sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ._cpu import expose
from ._random import draw_seeds, mixed
from ._signal import Digitiser

# above this rate the reference rescales a draw at this rate: torch.poisson overflows further up
# (pytorch#86782), and a step of one photon is there below the resolution of float32
_LARGEST_RATE = 2.0**30


class Source(Protocol):
    """Draws for a signal ``(B, ...)``; strengths ``(B, 1, ..., 1)`` or one for all images."""

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """``gain * Poisson(signal / gain)``; ``signal`` itself where the gain is 0."""

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """``signal + sigma * normal``."""

    def digitised(
        self, images: Tensor, gain: Tensor | None, sigma: Tensor | None, digitiser: Digitiser
    ) -> Tensor | None:
        """The noisy images ``(B, ...)`` in one step, or ``None`` where there is no such step."""


def make_source(
    backend: str | None,
    seed: int | Tensor | None,
    generator: torch.Generator | None,
    image: Tensor,
    images: int | None,
) -> Source:
    """The source that ``backend`` names, or the best one for the image's device.

    Raises:
        ValueError: the backend named does not serve the image's device.
        RuntimeError: the backend named is not installed.
    """
    if backend is None:
        backend = "torch" if seed is None and image.device.type != "cpu" else "numpy"
    elif backend == "numpy" and image.device.type != "cpu":
        raise ValueError(f"backend 'numpy' needs an image on the CPU, got {image.device}")
    if backend == "torch" and seed is None:
        return TorchSource(generator)
    seeds = draw_seeds(seed, generator, image, images).reshape(-1)
    if backend == "triton":
        return TritonSource(seeds.to(image.device))
    return TorchSource(seeds) if backend == "torch" else CounterSource(seeds)


class CounterSource:
    """Philox4x64-10 and inverse distribution functions: noise from pixel, strength and seed."""

    def __init__(self, seeds: Tensor) -> None:
        self.seeds = seeds

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """One uniform per pixel: the counts rise with the rate."""
        return self.digitised(signal, gain, None, Digitiser())

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """One uniform per pixel: the noise scales with sigma."""
        return self.digitised(signal, None, sigma, Digitiser())

    def digitised(
        self, images: Tensor, gain: Tensor | None, sigma: Tensor | None, digitiser: Digitiser
    ) -> Tensor:
        """Image to image: read once, written once."""
        per_photon, deviation = self._per_image(gain), self._per_image(sigma)
        noisy = expose(images.cpu(), per_photon, deviation, self.seeds.cpu(), digitiser)
        return noisy.to(images.device)

    def _per_image(self, strength: Tensor | None) -> Tensor | None:
        return None if strength is None else strength.reshape(-1).expand(len(self.seeds)).cpu()


class TritonSource:
    """The counter-based sampler where the image is: one fused kernel.

    Raises:
        RuntimeError: Triton is not installed.
    """

    def __init__(self, seeds: Tensor) -> None:
        try:
            # Triton is heavy, and absent on some systems: imported only when it is asked for
            from . import _triton  # noqa: PLC0415
        except ImportError as error:
            raise RuntimeError(
                f"backend 'triton' needs the package triton, which cannot be imported: {error}"
            ) from error
        self._expose = _triton.expose
        self.seeds = seeds

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """One uniform per pixel: the counts rise with the rate."""
        return self._expose(signal, self._per_image(gain), None, self.seeds, Digitiser())

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """One uniform per pixel: the noise scales with sigma."""
        return self._expose(signal, None, self._per_image(sigma), self.seeds, Digitiser())

    def digitised(
        self, images: Tensor, gain: Tensor | None, sigma: Tensor | None, digitiser: Digitiser
    ) -> Tensor:
        """Image to image: read once, written once."""
        per_photon, deviation = self._per_image(gain), self._per_image(sigma)
        return self._expose(images, per_photon, deviation, self.seeds, digitiser)

    def _per_image(self, strength: Tensor | None) -> Tensor | None:
        return None if strength is None else strength.reshape(-1).expand(len(self.seeds))


class TorchSource:
    """The reference: ``torch.poisson`` and ``torch.randn``.

    Args:
        stream: a generator, ``None`` for torch's global one, or seeds ``(B,)`` for a generator
            per image and noise source.
    """

    def __init__(self, stream: torch.Generator | Tensor | None) -> None:
        self.stream = stream

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """A rate that is negative or NaN counts nothing, one beyond the largest is rescaled."""
        rate = torch.where(gain > 0, signal / gain, 0.0)
        safe = rate.clamp(0.0, _LARGEST_RATE).nan_to_num(nan=0.0)
        counts = self._draw(torch.poisson, safe, 0)
        # a factor, so that infinity stays infinity instead of becoming inf - inf
        relative = (counts - _LARGEST_RATE) * (gain / signal / _LARGEST_RATE).sqrt()
        noisy = torch.where(rate <= _LARGEST_RATE, counts * gain, signal * (1 + relative))
        return torch.where(gain > 0, noisy, signal)

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """Normal numbers in the signal's dtype."""
        return signal + sigma * self._draw(_standard_normal, signal, 1)

    def digitised(self, *_: object) -> None:
        """No step of its own: signal, draw, image."""

    def _draw(self, sample: Callable[..., Tensor], images: Tensor, stream: int) -> Tensor:
        images = images.contiguous()
        if not isinstance(self.stream, Tensor):
            return sample(images, generator=self.stream)
        seeds = mixed(self.stream, stream).tolist()
        drawn = [
            sample(image, generator=torch.Generator(image.device).manual_seed(seed))
            for image, seed in zip(images, seeds, strict=True)
        ]
        return torch.stack(drawn) if drawn else torch.empty_like(images)


def _standard_normal(image: Tensor, generator: torch.Generator | None) -> Tensor:
    shape, dtype, device = image.shape, image.dtype, image.device
    # with generator=None spelled out, torch refuses symbolic shapes
    if generator is None:
        return torch.randn(shape, dtype=dtype, device=device)
    return torch.randn(shape, dtype=dtype, device=device, generator=generator)


class Strengths:
    """Draws nothing: notes how strong the noise is that a model asks for."""

    def __init__(self) -> None:
        self.gain: Tensor | None = None
        self.sigma: Tensor | None = None

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """Note the signal per photon."""
        self.gain = gain
        return signal

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """Note the standard deviation."""
        self.sigma = sigma
        return signal
