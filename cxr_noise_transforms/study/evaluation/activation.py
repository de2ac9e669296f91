"""Where on a film a network sees what it says: class activation maps."""

from __future__ import annotations

from copy import deepcopy

import torch
from monai.visualize import GradCAM
from torch import Tensor, nn

from cxr_noise_transforms.study.predictions import refuse_nan


def activation_maps(network: nn.Module, images: Tensor, layer: str, class_index: int = 0) -> Tensor:
    """Gradient-weighted class activation maps (MONAI's Grad-CAM), from 0 to 1.

    With ``A_k`` the channels of a layer and ``z`` the logit of the class, the map is
    ``max(0, sum_k mean(dz / dA_k) A_k)``, brought to the film's size and divided by its maximum.
    A film whose map is 0 everywhere keeps that.

    Shapes: images ``(B, C, H, W)`` to ``(B, H, W)``.

    Args:
        network: films to logits ``(B, L)``; a copy of it is evaluated.
        images: as the network takes them.
        layer: name of a module of the network, see :func:`last_features`.
        class_index: which logit, from 0.

    Raises:
        ValueError: no such layer, or no such class; a film has NaN in its map.

    Example:
        >>> network = nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> film = torch.zeros(1, 1, 4, 4)
        >>> film[..., 1, 2] = 0.5
        >>> activation_maps(network, film, "0").nonzero().tolist()
        [[0, 1, 2]]

    References:
        Selvaraju et al. 2017, arXiv:1610.02391.
    """
    if layer not in dict(network.named_modules()):
        raise ValueError(f"layer must be a module of {type(network).__name__}, got {layer!r}")
    device = next((one.device for one in network.parameters()), images.device)
    with torch.inference_mode(mode=False), torch.enable_grad():
        # hooks and gradients are left on a copy
        network = deepcopy(network).eval()
        taken = images.clone().to(device)
        classes = network(taken).shape[1]
        if not 0 <= class_index < classes:
            raise ValueError(f"class_index must be from 0 to {classes - 1}, got {class_index}")
        explain = GradCAM(network, target_layers=layer, postprocessing=lambda maps: maps)
        maps = explain(taken.requires_grad_(), class_idx=class_index)
        # hooks and copy hold each other, and the graph of all films: no collector sees its size
        explain.nn_module.activations.clear()
        explain.nn_module.gradients.clear()
        explain.nn_module.score = None
        explained = network.get_submodule(layer)
        explained._forward_hooks.clear()  # noqa: SLF001 (MONAI keeps no handle of them)
        explained._backward_hooks.clear()  # noqa: SLF001
    maps = maps[:, 0].detach().relu()
    refuse_nan(maps, [str(place) for place in range(len(maps))])
    highest = maps.amax(dim=(1, 2), keepdim=True)
    return maps / torch.where(highest > 0, highest, 1)


def last_features(network: nn.Module) -> str:
    """Name of a timm network's last layer with a place for every part of the film.

    Raises:
        ValueError: the network does not name its features.

    Example:
        >>> import timm
        >>> last_features(timm.create_model("densenet121"))
        'features.norm5'
    """
    features = getattr(network, "feature_info", None)
    if not features:
        raise ValueError(
            f"{type(network).__name__} must name its features, as timm's convolutional networks "
            "do, for a map: name the layer"
        )
    return str(features[-1]["module"])
