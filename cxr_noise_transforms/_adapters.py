"""What the adapters share: the check of their arguments, and of films with three channels."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from ._checks import is_number
from ._noise import NoiseModule

_THREE_NOISES = (
    "each of the 3 channels of a film gets a noise of its own; add noise to one channel and expand "
    "afterwards (NoisyBatch: channels=3)"
)


def check_adapter(noise: nn.Module, name: str, probability: float) -> None:
    """Refuse what an adapter cannot apply, or not with this probability."""
    if not isinstance(noise, nn.Module):
        raise TypeError(
            f"noise must be a noise module such as QuantumNoise, got {type(noise).__name__}"
        )
    check_probability(name, probability)


def check_probability(name: str, probability: float) -> None:
    """Refuse what is no probability."""
    if not is_number(probability):
        raise TypeError(
            f"{name} must be a number, got {type(probability).__name__} {probability!r}"
        )
    if not 0 <= probability <= 1:
        raise ValueError(f"{name} must be a probability between 0 and 1, got {probability}")


def warn_of_channels(adapter: Any, noise: nn.Module, channels: int) -> None:
    """Warn, once per adapter, of films whose three channels get three noises.

    Looks at no value. What a module of another kind does with its channels is its own affair.
    """
    if channels != 3 or not isinstance(noise, NoiseModule) or torch.compiler.is_compiling():
        return
    if not getattr(adapter, "_told_of_channels", False):
        adapter._told_of_channels = True  # noqa: SLF001 (kept on the adapter, beside its own)
        warnings.warn(
            f"{_THREE_NOISES}, or ignore this where they are three exposures", stacklevel=2
        )


def is_grey_in_colours(adapter: Any, noise: nn.Module, films: Tensor) -> bool:
    """Whether films ``(B, 3, H, W)`` hold one grey channel three times.

    Raises:
        ValueError: the channels differ; on a device, where comparing them would wait for it, there
            is a warning instead.
    """
    if films.ndim != 4 or films.shape[1] != 3 or not isinstance(noise, NoiseModule):
        return False
    if films.device.type != "cpu":
        warn_of_channels(adapter, noise, 3)
        return False
    if not torch.equal(films, films[:, :1].expand_as(films)):
        shape = tuple(films.shape)
        raise ValueError(f"{_THREE_NOISES}; got three that differ, of shape {shape}")
    return True
