"""Noise in torchvision v2 pipelines."""

from __future__ import annotations

from typing import Any

import PIL.Image
import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2._utils import is_pure_tensor


class Noise(v2.Transform):
    """Add noise to the images and videos of a sample with probability ``p``.

    Draws from torch's global generator, as torchvision's own transforms do; masks, boxes, labels
    and, where the sample has an ``Image``, other tensors pass through. A severity range is drawn
    once per image of a batch ``(B, C, H, W)`` and once per video.

    Args:
        noise: any noise module of this package.
        p: probability of adding noise to a sample.

    Raises:
        TypeError: the sample holds a PIL image; put ``v2.ToImage()`` before.

    Example:
        >>> from cxr_noise_transforms import QuantumNoise
        >>> transform = v2.Compose([v2.ToDtype(torch.float32, scale=True), Noise(QuantumNoise(4))])
        >>> transform(tv_tensors.Image(torch.full((1, 8, 8), 128, dtype=torch.uint8))).dtype
        torch.float32
    """

    # not torch.Tensor, of which a mask is one
    _transformed_types = (is_pure_tensor, tv_tensors.Image, tv_tensors.Video)

    def __init__(self, noise: nn.Module, p: float = 1.0) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p must be a probability between 0 and 1, got {p}")
        self.noise = noise
        self.p = p

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Refuse PIL images, which would pass through unchanged."""
        if any(isinstance(item, PIL.Image.Image) for item in flat_inputs):
            raise TypeError(
                "Noise needs tensors, got a PIL image: put torchvision.transforms.v2.ToImage() "
                "before it"
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Whether this sample gets noise."""
        return {"apply": self.p == 1 or float(torch.rand(())) < self.p}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The noisy image, of the type that came in."""
        if not params["apply"]:
            return inpt
        image = inpt.as_subclass(Tensor)
        if isinstance(inpt, tv_tensors.Video) and image.ndim == 4:
            # a batch of one: (T, C, H, W) has as many axes as a batch of films
            noisy = self.noise(image[None])[0]
        else:
            noisy = self.noise(image)
        return noisy if is_pure_tensor(inpt) else tv_tensors.wrap(noisy, like=inpt)
