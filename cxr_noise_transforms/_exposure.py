"""The way of an image through a noise model: checked, exposed, digitised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import torch
from torch import Tensor

from ._checks import (
    Severity,
    check_backend,
    check_image,
    check_randomness,
    check_severity,
    count_images,
)
from ._random import draw_seeds, draw_severity
from ._signal import Digitiser, in_layout_of, signal_dtype, to_image, to_signal
from ._sources import Strengths, make_source

# (signal, source, one tensor per severity that broadcasts over the signal) -> noisy signal
NoiseModel = Callable[..., Tensor]


def expose(
    model: NoiseModel,
    image: Tensor,
    severities: Mapping[str, Severity],
    digitiser: Digitiser,
    seed: int | Tensor | None,
    generator: torch.Generator | None,
    backend: str | None,
) -> Tensor:
    """Put ``image`` through a noise model; where all its severities are 0 it comes back as it is.

    Args:
        model: ``(signal, source, *severities) -> noisy signal``.
        image: ``(..., H, W)``.
        severities: by the argument's name, as the caller gave them, in the model's order.
        digitiser: the way back from signal to image.
        seed: one int, or one per image.
        generator: on the image's device.
        backend: which sampler draws.
    """
    check_backend(backend)
    fixed = draw_severities(image, severities, seed=seed, generator=generator)
    if all(not isinstance(severity, Tensor) and severity == 0 for severity in fixed.values()):
        return image.clone()
    images = count_images(image, seed=seed, **fixed)
    source = make_source(backend, seed, generator, image, images)
    batch = image[None] if images is None else image
    levels = [_broadcast(severity, batch) for severity in fixed.values()]
    if not any(tensor.requires_grad for tensor in (image, *levels)):
        asked = Strengths()
        model(batch, asked, *levels)
        noisy = source.digitised(batch, asked.gain, asked.sigma, digitiser)
        if noisy is not None:
            return in_layout_of(image, noisy.reshape(image.shape))
    noisy = model(to_signal(batch, digitiser), source, *levels)
    exposed = None
    if any(isinstance(severity, Tensor) for severity in fixed.values()):
        exposed = reduce(torch.maximum, levels) != 0
    return in_layout_of(image, to_image(noisy, batch, exposed, digitiser).reshape(image.shape))


def draw_severities(
    image: Tensor,
    severities: Mapping[str, Severity],
    *,
    seed: int | Tensor | None,
    generator: torch.Generator | None,
) -> dict[str, float | Tensor]:
    """The severities of one call: ranges drawn per image, numbers and tensors as they are."""
    check_image(image)
    check_randomness(seed, generator, image)
    checked = {name: check_severity(name, severity) for name, severity in severities.items()}
    images = count_images(image, seed=seed, **checked)
    fixed = {name: value for name, value in checked.items() if not isinstance(value, tuple)}
    if len(fixed) == len(checked):
        return fixed
    seeds = draw_seeds(seed, generator, image, images)
    return {
        name: draw_severity(name, value, seeds) if isinstance(value, tuple) else value
        for name, value in checked.items()
    }


def _broadcast(severity: float | Tensor, images: Tensor) -> Tensor:
    """One severity per image or one for all, in the signal's dtype, with the images' axes."""
    dtype = signal_dtype(images)
    largest = torch.finfo(dtype).max
    if not isinstance(severity, Tensor):
        # a tensor of one element, so that a number and a tensor go through the same arithmetic
        shape, severity = (1,) * images.ndim, min(severity, largest)
        return torch.full(shape, severity, dtype=dtype, device=images.device)
    severity = severity.to(images.device, dtype, non_blocking=True).clamp(max=largest)
    return severity.reshape(-1, *(1,) * (images.ndim - 1))
