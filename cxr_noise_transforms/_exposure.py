"""The way of an image through a noise model: checked, exposed, digitised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import torch
from torch import Tensor

from ._checks import (
    Severity,
    check_image,
    check_randomness,
    check_severity,
    count_images,
)
from ._random import draw_severity, make_source
from ._signal import Digitiser, to_image, to_signal

# (signal, source of randomness, one tensor per severity that broadcasts over the signal) -> noisy
NoiseModel = Callable[..., Tensor]


def expose(
    model: NoiseModel,
    image: Tensor,
    severities: Mapping[str, Severity],
    digitiser: Digitiser,
    *,
    seed: int | Tensor | None,
    generator: torch.Generator | None,
) -> Tensor:
    """Put ``image`` through a noise model; where all its severities are 0 it comes back as it is.

    Args:
        model: ``(signal, source, *severities) -> noisy signal``.
        image: ``(..., H, W)``.
        severities: by the argument's name, as the caller gave them, in the model's order.
        digitiser: the way back from signal to image.
        seed: one int, or one per image.
        generator: on the image's device.
    """
    fixed = draw_severities(image, severities, seed=seed, generator=generator)
    if all(not isinstance(severity, Tensor) and severity == 0 for severity in fixed.values()):
        return image.clone()
    source = make_source(seed, generator, image, count_images(image, seed=seed, **fixed))
    signal = to_signal(image, digitiser)
    levels = [_broadcast(severity, signal) for severity in fixed.values()]
    noisy = model(signal, source, *levels)
    exposed = reduce(torch.maximum, levels) != 0
    return to_image(noisy, image, exposed, digitiser)


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
    return {
        name: draw_severity(name, severity, seed, generator, image, images)
        if isinstance(severity, tuple)
        else severity
        for name, severity in checked.items()
    }


def _broadcast(severity: float | Tensor, signal: Tensor) -> Tensor:
    if not isinstance(severity, Tensor):
        # a tensor of one element, so that a number and a tensor go through the same arithmetic
        severity = min(severity, torch.finfo(signal.dtype).max)
        return torch.full((1,) * signal.ndim, severity, dtype=signal.dtype, device=signal.device)
    severity = severity.to(signal.device, signal.dtype, non_blocking=True)
    return severity.reshape(-1, *(1,) * (signal.ndim - 1))
