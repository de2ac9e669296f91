"""Noise in torchvision v2 pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from ._adapters import check_adapter, warn_of_channels
from ._signal import in_form_of


def _is_plain(item: Any) -> bool:
    return isinstance(item, Tensor) and not isinstance(item, tv_tensors.TVTensor)


def _is_plain_image(item: Any) -> bool:
    return _is_plain(item) and item.ndim >= 3


class Noise(v2.Transform):
    """Add noise to the images and videos of a sample with probability ``p``.

    Draws from torch's global generator, as torchvision's own transforms do. In a sample without
    ``Image`` and ``Video`` the first plain tensor of three or more axes is the image; all else
    passes through: masks, boxes, labels, and tensors of fewer axes. A severity range is drawn once
    per image of a batch ``(B, C, H, W)`` and once per video.

    Args:
        noise: any noise module of this package.
        p: probability of adding noise to a sample.

    Raises:
        TypeError: ``noise`` is no module, or ``p`` no number; the sample holds no image, or neither
            ``Image`` nor ``Video`` but a PIL image or a numpy array of two or more axes: put
            ``v2.ToImage()`` before.
        ValueError: ``p`` is not between 0 and 1.

    Example:
        >>> from cxr_noise_transforms import QuantumNoise
        >>> transform = v2.Compose([v2.ToDtype(torch.float32, scale=True), Noise(QuantumNoise(4))])
        >>> transform(tv_tensors.Image(torch.full((1, 8, 8), 128, dtype=torch.uint8))).dtype
        torch.float32
    """

    # not torch.Tensor, of which a mask is one
    _transformed_types = (_is_plain_image, tv_tensors.Image, tv_tensors.Video)

    def __init__(self, noise: nn.Module, p: float = 1.0) -> None:
        super().__init__()
        check_adapter(noise, "p", p)
        self.noise = noise
        self.p = p

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Refuse a sample whose image would pass through unchanged."""
        if any(isinstance(item, tv_tensors.Image | tv_tensors.Video) for item in flat_inputs):
            return
        for item in flat_inputs:
            array = isinstance(item, np.ndarray) and item.ndim >= 2
            if array or isinstance(item, PIL.Image.Image):
                found = "numpy array" if array else "PIL image"
                raise TypeError(
                    f"Noise needs tensors, got a {found}: put torchvision.transforms.v2.ToImage() "
                    f"before it, or make the image a tv_tensors.Image where the {found} is not it"
                )
        if not any(_is_plain_image(item) for item in flat_inputs):
            found = ", ".join(
                f"{type(item).__name__} {tuple(item.shape)}"
                if isinstance(item, Tensor)
                else type(item).__name__
                for item in flat_inputs
            )
            raise TypeError(
                "found no image: Noise needs a tv_tensors.Image, a Video or a plain tensor "
                f"(..., C, H, W), got {found or 'an empty sample'}"
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Whether this sample gets noise."""
        return {"apply": self.p == 1 or float(torch.rand(())) < self.p}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The noisy image, of the type that came in."""
        if not params["apply"]:
            return inpt
        image = inpt.as_subclass(Tensor)
        warn_of_channels(self, self.noise, image.shape[-3] if image.ndim > 2 else 1)
        if isinstance(inpt, tv_tensors.Video) and image.ndim == 4:
            # a batch of one: (T, C, H, W) has as many axes as a batch of films
            noisy = self.noise(image[None])[0]
        else:
            noisy = self.noise(image)
        return in_form_of(inpt, noisy) if _is_plain(inpt) else tv_tensors.wrap(noisy, like=inpt)
