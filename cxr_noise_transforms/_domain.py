"""Domains: in which quantity of a stored film its photons were counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ._checks import check_decades


class Domain(Protocol):
    """The way from a film's signal to the exposure of the detector, and back."""

    def to_exposure(self, signal: Tensor) -> Tensor:
        """Exposure in units of the largest, 1."""

    def to_display(self, exposure: Tensor) -> Tensor:
        """The signal that shows this exposure."""


@dataclass(frozen=True)
class LogExposure:
    """Films that show the logarithm of the exposure, white where little came through.

    E = exp(-L v),  v = -ln(E) / L,  L = decades ln(10): black (v = 0) is the largest exposure, 1,
    and white (v = 1) is 10^-decades of it.

    With ``domain=LogExposure()`` photons are counted and read out as E, of which ``n0 / sq**2``
    are expected at black, and the film shows the logarithm of what was counted:
    Var[v'] = exp(L v) gain / L² + exp(2 L v) sigma² / L²,  E[v'] = v + L Var[v'] / 2, to first
    order in the relative noise: noise lies behind heart, spine and diaphragm.

    Args:
        decades: powers of ten between the exposures of black and of white, 0.1 to 5.

    Raises:
        TypeError: decades is no number.
        ValueError: decades is not between 0.1 and 5.

    Note:
        Counts are at least half a photon, and half a standard deviation of the read-out, before
        the logarithm is taken.

    Example:
        >>> import torch
        >>> domain = LogExposure(decades=2.0)
        >>> domain.to_exposure(torch.tensor([0.0, 0.5, 1.0]))
        tensor([1.0000, 0.1000, 0.0100])
        >>> domain.to_display(torch.tensor([1.0, 0.1, 0.01]))
        tensor([-0.0000, 0.5000, 1.0000])
    """

    decades: float = 2.0

    def __post_init__(self) -> None:
        check_decades(self.decades)

    @property
    def latitude(self) -> float:
        """L, the natural logarithm of the largest exposure over the smallest."""
        return self.decades * math.log(10)

    def to_exposure(self, signal: Tensor) -> Tensor:
        """The exposure, E = exp(-L v), rounded once: every device counts the same photons."""
        # MPS has no float64
        exact = signal if signal.device.type == "mps" else signal.double()
        return (-self.latitude * exact).exp().to(signal.dtype)

    def to_display(self, exposure: Tensor) -> Tensor:
        """The display value, v = -ln(E) / L."""
        return exposure.log() / -self.latitude
