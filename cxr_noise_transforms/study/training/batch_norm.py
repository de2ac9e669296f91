"""Batch normalisation's statistics, estimated anew from a few unlabelled films."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from typing import NamedTuple

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
    with _hooked(layers, partial(_mix, prior=prior)):
        copy(films)
    return copy


class Shift(NamedTuple):
    """How far a layer's input is from what its batch normalisation expects, mean over channels.

    Attributes:
        layer: its name.
        mean: |mean - running mean| / running standard deviation.
        log_variance: log2(variance / running variance): 1 is twice the variance.
    """

    layer: str
    mean: float
    log_variance: float


@torch.no_grad()
def statistics_shift(network: nn.Module, films: Tensor) -> list[Shift]:
    """The shift of every layer's statistics on these films, from the first layer to the last.

    Args:
        network: in evaluation mode; empty for one without batch normalisation.
        films: ``(n, C, H, W)``, prepared as for a prediction.

    Example:
        >>> layer = nn.BatchNorm2d(1).eval()
        >>> films = 3 + 2 * torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
        >>> [one] = statistics_shift(nn.Sequential(layer), films)
        >>> one.layer, round(one.mean, 3), round(one.log_variance, 3)
        ('0', 3.0, 2.0)
    """
    names = {part: name for name, part in network.named_modules()}
    found: list[Shift] = []

    def note(layer: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
        variance, mean = _moments(inputs[0])
        expected, spread = layer.running_mean, layer.running_var
        if expected is not None and spread is not None:
            # as the layer itself guards against a channel that is constant
            spread, variance = spread + layer.eps, variance + layer.eps
            away = ((mean - expected).abs() / spread.sqrt()).mean().item()
            ratio = (variance / spread).log2().mean().item()
            found.append(Shift(names[layer], round(away, 5), round(ratio, 5)))

    with _hooked(_layers(network), note):
        network(films)
    return found


def has_statistics(network: nn.Module) -> bool:
    """Whether there is a layer of batch normalisation that keeps statistics."""
    return bool(_layers(network))


def _layers(network: nn.Module) -> list[_BatchNorm]:
    parts = (part for part in network.modules() if isinstance(part, _BatchNorm))
    return [part for part in parts if part.track_running_stats]


@contextmanager
def _hooked(layers: list[_BatchNorm], see: Callable[..., None]) -> Iterator[None]:
    """Every layer with its input is seen before it normalises it."""
    hooks = [layer.register_forward_pre_hook(see) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _mix(layer: _BatchNorm, inputs: tuple[Tensor, ...], *, prior: float) -> None:
    """Mix a layer's statistics with those of what it is about to normalise."""
    (signal,) = inputs
    weight = len(signal) / (prior + len(signal))
    variance, mean = _moments(signal)
    for held, found in ((layer.running_mean, mean), (layer.running_var, variance)):
        if held is not None:
            held.lerp_(found.to(held.dtype), weight)


def _moments(signal: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and mean of every channel."""
    axes = [axis for axis in range(signal.ndim) if axis != 1]
    return torch.var_mean(signal.float(), axes, correction=0)
