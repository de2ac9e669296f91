"""Networks that keep no statistics: batch normalisation replaced by group normalisation."""

from __future__ import annotations

from math import gcd

from timm.layers import BatchNormAct2d
from torch import nn

_GROUPS = 32


def group_normalised(network: nn.Module) -> nn.Module:
    """The network with group normalisation in the place of every 2D batch normalisation, in place.

    Each has 32 groups, or as many as divide its channels, and begins with weight and bias of the
    layer that it replaces; running statistics are gone.

    Args:
        network: any; of timm too, whose batch normalisation may hold an activation.

    Raises:
        ValueError: the network has no batch normalisation.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 48, 3), nn.BatchNorm2d(48))
        >>> group_normalised(network)[1].num_groups
        16

    References:
        Wu and He 2018, arXiv:1803.08494.
    """
    parts = list(network.named_modules())
    found = {name: part for name, part in parts if isinstance(part, nn.BatchNorm2d)}
    if not found:
        raise ValueError(f"{type(network).__name__} has no batch normalisation to be replaced")
    for name, batch in found.items():
        network.set_submodule(name, _of_groups(batch))
    return network


def _of_groups(batch: nn.BatchNorm2d) -> nn.Module:
    channels = batch.num_features
    group = nn.GroupNorm(gcd(_GROUPS, channels), channels, eps=batch.eps, affine=batch.affine)
    if batch.affine:
        group.weight, group.bias = batch.weight, batch.bias
    if isinstance(batch, BatchNormAct2d):
        return nn.Sequential(group, batch.drop, batch.act)
    return group
