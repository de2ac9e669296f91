"""What activation maps come down to: how much lies inside a mask, and how they agree."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from .activation import activation_maps, last_features


class Spoken(nn.Module):
    """A segmentation network as a classifier: the mean logit over what it predicts of each organ.

    z_c = sum over {x: z_c(x) > 0} of z_c(x) / number of pixels; 0 where it predicts nothing.

    Shapes: ``(B, C, H, W)`` to ``(B, L)``.

    References:
        Vinogradova et al. 2020, arXiv:2002.11434 (Grad-CAM of a set of pixels).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(B, L)``."""
        return self.network(image).relu().mean(dim=(2, 3))


def has_map(network: nn.Module) -> bool:
    """Whether :func:`network_maps` can draw one: not of tokens, as a vision transformer's are."""
    return hasattr(network, "decoder") or not hasattr(network, "patch_embed")


def network_maps(network: nn.Module, images: Tensor, class_index: int = 0) -> Tensor:
    """Activation maps of the last features of a network of this study, of the decoder for masks.

    Shapes: images ``(B, C, H, W)`` to ``(B, H, W)``.

    Args:
        network: of segmentation-models-pytorch, or of timm.
        images: as the network takes them.
        class_index: which organ or class, from 0.

    Raises:
        ValueError: as :func:`activation_maps` and :func:`last_features`.
    """
    if not hasattr(network, "decoder"):
        return activation_maps(network, images, last_features(network), class_index)
    # the encoder's last features of a small film are 2 x 2: a map that cannot move
    with warnings.catch_warnings():
        # a decoder takes a list, whose gradients a map does not need
        warnings.filterwarnings("ignore", "Full backward hook is firing")
        return activation_maps(Spoken(network), images, "network.decoder", class_index)


def inside_share(maps: Tensor, masks: Tensor) -> Tensor:
    """Share of a map's energy that lies inside a mask; NaN for a map that is 0 everywhere.

    Shapes: maps and masks ``(B, H, W)`` to ``(B,)``.

    Args:
        maps: >= 0.
        masks: 1 inside, 0 outside.

    Example:
        >>> maps, masks = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[0, 1]]])
        >>> inside_share(maps, masks).tolist()
        [0.75]
    """
    return (maps * masks).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's rank correlation of the pixels of two maps; NaN where one of them is constant.

    Shapes: both ``(B, H, W)`` to ``(B,)``.

    Example:
        >>> one = torch.tensor([[[0.0, 1.0, 2.0]]])
        >>> rank_correlation(one, one**3).tolist()
        [1.0]
    """
    first, second = (_centred_ranks(one.flatten(1)) for one in (maps, others))
    norms = first.square().sum(1) * second.square().sum(1)
    return (first * second).sum(1) / norms.sqrt()


def confidence(logits: Tensor) -> Tensor:
    """How sure a network is of what it says: |2 p - 1|, mean over classes and pixels.

    Shapes: ``(B, ...)`` to ``(B,)``, from 0 to 1.
    """
    return (2 * logits.sigmoid() - 1).abs().flatten(1).mean(1)


def _centred_ranks(values: Tensor) -> Tensor:
    """Ranks of every row less their mean, ties at their mean rank."""
    ranks = []
    for row in values:
        _, place, count = row.unique(return_inverse=True, return_counts=True)
        last = count.cumsum(0).double()
        ranks.append((last - (count - 1) / 2)[place])
    stacked = torch.stack(ranks)
    return stacked - stacked.mean(1, keepdim=True)
