"""The samplers with fake tensors, and under torch.vmap: its images are those of a larger batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def per_image(name: str) -> None:
    """Register both rules for an operator of this package, whose tensors have one per image."""
    operator = getattr(torch.ops.cxr_noise_transforms, name).default

    def rule(info: Any, axes: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        folded = (
            _folded(argument, axis, info.batch_size) if isinstance(argument, Tensor) else argument
            for argument, axis in zip(arguments, axes, strict=True)
        )
        noisy = operator(*folded)
        return noisy.unflatten(0, (info.batch_size, len(noisy) // info.batch_size)), 0

    torch.library.register_fake(operator, lambda images, *_: torch.empty_like(images))
    torch.library.register_vmap(operator, rule)


def _folded(tensor: Tensor, axis: int | None, size: int) -> Tensor:
    mapped = tensor.expand(size, *tensor.shape) if axis is None else tensor.movedim(axis, 0)
    return mapped.flatten(0, 1)
