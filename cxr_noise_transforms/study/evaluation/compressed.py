"""Trained networks as they are deployed: quantised to 8 bits, or with most weights pruned."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, HistogramObserver, PerChannelMinMaxObserver
from torch.nn.utils import prune

_Layer: TypeAlias = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
#: shares of the weights that are pruned: half, and four fifths
PRUNED = (0.5, 0.8)


def quantised(network: nn.Module, images: Iterable[Tensor]) -> nn.Module:
    """A copy whose convolutions and linear layers take 8-bit inputs and have 8-bit weights.

    Post-training static quantisation, in the values that it gives: weights symmetric with a scale
    per output channel, inputs with a scale and zero point from a histogram of what the layer sees
    on clean images. The arithmetic between two roundings stays in float32, where integer
    kernels differ by no more than their own rounding; layers in between are not rounded. Of a layer
    that is not called, as torch's attention uses its weights itself, the weights alone are rounded.

    Args:
        network: with at least one such layer.
        images: batches as the network takes them, for the ranges.

    Raises:
        ValueError: there is no such layer.

    References:
        Krishnamoorthi 2018, arXiv:1806.08342; Nagel et al. 2021, arXiv:2106.08295.
    """
    found = deepcopy(network).eval()
    made: dict[nn.Module, _Quantised] = {}
    for name, layer in _layers(found).items():
        # a layer may stand in several places
        made[layer] = made.get(layer) or _Quantised(layer)
        found.set_submodule(name, made[layer])
    ranges = [one.taken for one in found.modules() if isinstance(one, _Quantised)]
    with torch.inference_mode():
        for batch in images:
            found(batch)
    for one in ranges:
        one.disable_observer()
        one.enable_fake_quant()
    return found


def pruned(network: nn.Module, share: float) -> nn.Module:
    """A copy without the weights of least magnitude, over all its layers; biases stay.

    Args:
        network: with at least one convolution or linear layer.
        share: of these weights that become 0, 0 to 1. Nothing is trained afterwards.

    Raises:
        ValueError: there is no such layer, or no such share.

    References:
        Han et al. 2015, arXiv:1506.02626.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share must be from 0 to 1, got {share}")
    found = deepcopy(network).eval()
    weights = [(layer, "weight") for layer in dict.fromkeys(_layers(found).values())]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=share)
    for layer, name in weights:
        prune.remove(layer, name)
    return found


class _Quantised(nn.Module):
    """A layer with 8-bit weights that rounds what it takes; at first it only observes it."""

    def __init__(self, layer: _Layer) -> None:
        super().__init__()
        self.layer = layer
        self.taken = FakeQuantize(observer=HistogramObserver, quant_min=0, quant_max=255)
        self.taken.disable_fake_quant()
        with torch.no_grad():
            layer.weight.copy_(_rounded(layer))

    @property
    def weight(self) -> Tensor:
        """For modules that do not call the layer."""
        found: Tensor = self.layer.weight
        return found

    @property
    def bias(self) -> Tensor | None:
        """Likewise."""
        return self.layer.bias

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = self.layer(self.taken(image))
        return found


def _rounded(layer: _Layer) -> Tensor:
    """A layer's weights as 8-bit numbers have them."""
    how: dict[str, Any] = {
        "observer": PerChannelMinMaxObserver, "quant_min": -127, "quant_max": 127,
        "dtype": torch.qint8, "qscheme": torch.per_channel_symmetric,
        # output channels of a transposed convolution come second
        "ch_axis": int(isinstance(layer, nn.ConvTranspose2d)),
    }  # fmt: skip
    quantise = FakeQuantize(**how).to(layer.weight.device)
    found: Tensor = quantise(layer.weight.detach())
    return found


def _layers(network: nn.Module) -> dict[str, _Layer]:
    """By their names, of which a layer may have several."""
    every = network.named_modules(remove_duplicate=False)
    found = {name: one for name, one in every if name and isinstance(one, _Layer)}
    if not found:
        raise ValueError(
            f"{type(network).__name__} has no convolution or linear layer inside of it"
        )
    return found
