"""What else can be wrong with a film, besides noise: controls of a stress test.

A degradation is any callable from films ``(B, 1, H, W)``, within their value range, to films of the
same shape. It comes before the noise, as it does in life.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from cxr_noise_transforms.study.columns import UNDEGRADED

from .kinds import KINDS

Degradation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Contrast:
    """Low contrast: what differs from the film's mean, times a factor.

    Args:
        factor: 0 to 1; 1 is the film as it is.

    Example:
        >>> import torch
        >>> import torch
        >>> Contrast(0.5)(torch.tensor([[[[0.0, 1.0]]]])).tolist()
        [[[[0.25, 0.75]]]]
    """

    factor: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what would raise the contrast."""
        if not 0 <= self.factor <= 1:
            raise ValueError(f"contrast must be a factor from 0 to 1, got {self.factor}")

    def __call__(self, films: Tensor) -> Tensor:
        """The films of less contrast."""
        mean = films.mean(dim=(-2, -1), keepdim=True)
        return mean + self.factor * (films - mean)


@dataclass(frozen=True)
class Resolution:
    """Low resolution: reduced by a factor with anti-aliasing, and brought back to its size.

    Args:
        factor: at least 1; 224 / 139 is a film of 224 pixels that was once of 139.

    Example:
        >>> import torch
        >>> import torch
        >>> Resolution(2)(torch.eye(4)[None, None]).shape
        torch.Size([1, 1, 4, 4])
    """

    factor: float = 2.0

    def __post_init__(self) -> None:
        """Refuse what would add pixels."""
        if not 1 <= self.factor < math.inf:
            raise ValueError(f"resolution must be a factor of at least 1, got {self.factor}")

    def __call__(self, films: Tensor) -> Tensor:
        """The films of lower resolution."""
        size = films.shape[-2:]
        small = [max(1, round(side / self.factor)) for side in size]
        reduced = nn.functional.interpolate(films, small, mode="bilinear", antialias=True)
        # between the reduced film's own values
        return nn.functional.interpolate(reduced, size, mode="bilinear")


def degraded(films: Tensor, degradation: Degradation) -> Tensor:
    """The films, degraded.

    Raises:
        ValueError: it changes their shape or gives NaN or infinity.
    """
    worse = degradation(films)
    if not isinstance(worse, Tensor) or worse.shape != films.shape or not worse.isfinite().all():
        raise ValueError(
            f"a degradation must give films {tuple(films.shape)} of finite values, {degradation} "
            "does not"
        )
    return worse


_BY_NAME: dict[str, type[Contrast | Resolution]] = {
    "contrast": Contrast,
    "resolution": Resolution,
}


def degradation_of(name: str) -> Degradation | None:
    """A degradation by its name, such as ``"contrast=0.5"``; ``None`` for ``"none"``.

    Raises:
        ValueError: there is no such degradation, or it has no such strength.

    Example:
        >>> degradation_of("resolution=2")
        Resolution(factor=2.0)
    """
    if name == UNDEGRADED:
        return None
    kind, _, strength = name.partition("=")
    known = ", ".join([*(f"{kind}=NUMBER" for kind in _BY_NAME), *KINDS])
    try:
        factor = float(strength)
    except ValueError:
        factor = None
    if kind not in _BY_NAME or factor is None:
        raise ValueError(f"degradation must be {UNDEGRADED}, {known}, got {name!r}")
    return _BY_NAME[kind](factor)
