"""Correlated quantum noise: the light of a scintillator spreads over neighbouring pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# a Gaussian ends here, in standard deviations
_REACH = 4


def blurred(counted: Tensor, signal: Tensor, gain: Tensor, blur: float) -> Tensor:
    """Quantum noise ``counted`` whose standardised residual is smoothed; the signal stays sharp.

    Q' = I + sqrt(I gain) h * z with z = (Q - I) / sqrt(I gain) and the squares of h summing to 1.
    """
    deviation = (signal.clamp(min=0) * gain).sqrt()
    # neither a pixel without photons nor one that is infinite or NaN reaches its neighbours
    noisy = (deviation > 0) & deviation.isfinite()
    residual = torch.where(noisy, (counted - signal) / deviation, 0.0)
    return torch.where(noisy, signal + deviation * _smoothed(residual, blur), counted)


def _smoothed(residual: Tensor, blur: float) -> Tensor:
    # summed exactly and rounded once, so that a film's noise is not its batch's; MPS has no float64
    exact = residual if residual.device.type == "mps" else residual.double()
    reach = math.ceil(_REACH * blur)
    offsets = torch.arange(-reach, reach + 1, dtype=exact.dtype, device=exact.device)
    kernel = (-offsets.square() / (2 * blur**2)).exp()
    kernel = kernel / kernel.square().sum().sqrt()
    across = _along_rows(exact, kernel)
    return _along_rows(across.mT, kernel).mT.to(residual.dtype)


def _along_rows(films: Tensor, kernel: Tensor) -> Tensor:
    """Every row convolved; its two ends are neighbours."""
    width, reach = films.shape[-1], len(kernel) // 2
    around = torch.arange(-reach, width + reach, device=films.device) % width
    rows = films[..., around].reshape(-1, 1, width + 2 * reach)
    return torch.conv1d(rows, kernel[None, None]).reshape(films.shape)
