"""Noise in Kornia pipelines."""

from __future__ import annotations

from typing import Any

import torch
from kornia.augmentation import IntensityAugmentationBase2D
from kornia.augmentation.random_generator import RandomGeneratorBase
from torch import Tensor, nn

from ._adapters import check_adapter, warn_of_channels


class RandomNoise(IntensityAugmentationBase2D):
    """Add noise to each image of a batch ``(B, C, H, W)`` with probability ``p``.

    The parameters are one seed per image, so that ``params=`` replays the same noise bit for
    bit, for a whole batch or a part of it.

    Args:
        noise: any noise module of this package.
        p: probability of adding noise to an image.
        same_on_batch: one decision, severity and stream for the whole batch.
        keepdim: return ``(C, H, W)`` for ``(C, H, W)`` instead of a batch of one.

    Raises:
        TypeError: ``noise`` is no module, or ``p`` no number.
        ValueError: ``p`` is not between 0 and 1.

    Example:
        >>> from cxr_noise_transforms import ElectronicNoise
        >>> films = torch.full((2, 1, 64, 64), 0.5)
        >>> noise = RandomNoise(ElectronicNoise(se=(0, 2)), p=1.0)
        >>> noisy = noise(films)
        >>> bool((noisy == noise(films, params=noise._params)).all())
        True
    """

    # a noise module may hold one severity per image: it sees the whole batch
    SUBSTITUTE_SKIPPED_SAMPLES = True

    def __init__(
        self,
        noise: nn.Module,
        p: float = 0.5,
        same_on_batch: bool = False,
        keepdim: bool = False,
    ) -> None:
        check_adapter(noise, "p", p)
        super().__init__(p=p, same_on_batch=same_on_batch, p_batch=1.0, keepdim=keepdim)
        self.noise = noise
        # what Kornia shows in the repr
        self.flags = {"noise": noise}
        self._param_generator = _SeedGenerator()

    def apply_transform(
        self,
        input: Tensor,  # noqa: A002 (Kornia's name)
        params: dict[str, Tensor],
        flags: dict[str, Any],  # noqa: ARG002
        transform: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """The noisy images; draws nothing that ``params`` does not hold."""
        warn_of_channels(self, self.noise, input.shape[1])
        return self.noise(input, seed=params["seed"].to(input.device))


class _SeedGenerator(RandomGeneratorBase):
    """One int64 seed per image."""

    def make_samplers(self, device: torch.device, dtype: torch.dtype) -> None:  # noqa: ARG002
        self._device = device

    def forward(
        self, batch_shape: tuple[int, ...], same_on_batch: bool = False
    ) -> dict[str, Tensor]:
        count = 1 if same_on_batch else batch_shape[0]
        seeds = torch.randint(2**63 - 1, (count,), dtype=torch.int64, device=self._device)
        return {"seed": seeds.expand(batch_shape[0]).clone()}

    def __repr__(self) -> str:
        return "seed per image"
