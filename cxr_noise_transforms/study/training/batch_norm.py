"""Batch normalisation's statistics, estimated anew from a few unlabelled films."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# films that the statistics of the training count for
PRIOR = 16


@torch.no_grad()
def reestimated(network: nn.Module, films: Tensor, prior: float = PRIOR) -> nn.Module:
    """A copy of a network whose batch normalisation has seen these films.

    In every layer, with N = ``prior`` and n films,

        mean = (N mean_training + n mean_films) / (N + n),

    and likewise the variance. All films go through the network at once, and every layer sees them
    as the layers before it, estimated anew already, hand them on.

    Args:
        network: with at least one layer of batch normalisation that keeps statistics.
        films: ``(n, C, H, W)``, prepared as for a prediction; labels are not needed.
        prior: N, how many films the old statistics count for, >= 0; 0 forgets them.

    Returns:
        A copy in evaluation mode, on the films' device; the network itself stays as it is.

    Raises:
        ValueError: the network has no such layer, there are no films, or ``prior`` is negative.

    References:
        Schneider et al. 2020, arXiv:2006.16971 (the mixture).
    """
    if not len(films) or prior < 0:
        raise ValueError(
            f"re-estimation must have at least one film and prior >= 0, got {len(films)} films, "
            f"prior {prior}"
        )
    copy = deepcopy(network).to(films.device).eval()
    layers = _layers(copy)
    if not layers:
        raise ValueError(
            f"{type(network).__name__} has no batch normalisation: there is nothing to re-estimate"
        )
    with _hooked(layers, prior):
        copy(films)
    return copy


def has_statistics(network: nn.Module) -> bool:
    """Whether there is a layer of batch normalisation that keeps statistics."""
    return bool(_layers(network))


def _layers(network: nn.Module) -> list[_BatchNorm]:
    parts = (part for part in network.modules() if isinstance(part, _BatchNorm))
    return [part for part in parts if part.track_running_stats]


@contextmanager
def _hooked(layers: list[_BatchNorm], prior: float) -> Iterator[None]:
    hooks = [layer.register_forward_pre_hook(partial(_mix, prior=prior)) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _mix(layer: _BatchNorm, inputs: tuple[Tensor, ...], *, prior: float) -> None:
    """Mix a layer's statistics with those of what it is about to normalise."""
    (signal,) = inputs
    axes = [axis for axis in range(signal.ndim) if axis != 1]
    weight = len(signal) / (prior + len(signal))
    variance, mean = torch.var_mean(signal.float(), axes, correction=0)
    for held, found in ((layer.running_mean, mean), (layer.running_var, variance)):
        if held is not None:
            held.lerp_(found.to(held.dtype), weight)
