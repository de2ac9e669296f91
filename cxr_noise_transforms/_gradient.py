"""Derivatives of the draws: the noise as a function of its signal, with the randomness held fixed.

The values never change: each function passes its first argument on and only adds a backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

GRADIENTS = ("pathwise", "straight_through", "none")


def with_photon_gradient(noisy: Tensor, signal: Tensor, gain: Tensor, gradient: str) -> Tensor:
    """Quantum noise ``noisy`` of ``signal`` that passes a gradient back.

    Pathwise: of Q = I + z sqrt(I gain) with z fixed, so dQ/dI = (1 + Q / I) / 2 and
    dQ/dgain = (Q - I) / (2 gain). In the mean these are the derivatives of E[Q] = I and, times
    2 Q, of E[Q²] = I² + I gain. Straight-through: dQ/dI = 1.
    """
    if gradient == "none" or not (signal.requires_grad or gain.requires_grad):
        return noisy
    if gradient == "straight_through":
        return _draw(noisy, signal, torch.ones_like(signal), gain, None)
    clean = signal.detach()
    # at I = 0 no photon comes, whatever z: the derivative is that of the mean
    ratio = torch.where(clean == 0, 1.0, noisy / clean)
    by_signal = torch.where(clean < 0, 0.0, (1 + ratio) / 2)
    by_gain = _finite((noisy - clean) / (2 * gain))
    return _draw(noisy, signal, by_signal, gain, by_gain)


def with_read_out_gradient(noisy: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
    """Electronic noise ``noisy`` of ``signal``: dE/dI = 1 and dE/dsigma = (E - I) / sigma."""
    if not (signal.requires_grad or sigma.requires_grad):
        return noisy
    by_sigma = _finite((noisy - signal) / sigma)
    return _draw(noisy, signal, torch.ones_like(signal), sigma, by_sigma)


def round_straight_through(signal: Tensor) -> Tensor:
    """``signal`` rounded to nearest, with the gradient of the identity."""
    if not signal.requires_grad:
        return signal.round()
    rounded: Tensor = _Round.apply(signal)
    return rounded


def _finite(derivative: Tensor) -> Tensor:
    # an infinite pixel, or a severity of 0, must not spoil the sum over the image
    return derivative.detach().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)


def _draw(*arguments: Tensor | None) -> Tensor:
    drawn: Tensor = _Draw.apply(*arguments)
    return drawn


class _Draw(torch.autograd.Function):
    """A drawn value with the partial derivatives that belong to it."""

    @staticmethod
    def forward(
        ctx: Any,
        noisy: Tensor,
        signal: Tensor,  # noqa: ARG004 (a gradient flows to it)
        by_signal: Tensor,
        strength: Tensor,
        by_strength: Tensor | None,
    ) -> Tensor:
        ctx.save_for_backward(by_signal, by_strength)
        ctx.strength_shape = strength.shape
        return noisy.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_signal, by_strength = ctx.saved_tensors
        (gradient,) = gradients
        to_strength = None
        if by_strength is not None and ctx.needs_input_grad[3]:
            to_strength = (gradient * by_strength).sum_to_size(ctx.strength_shape)
        return None, gradient * by_signal, None, to_strength, None


class _Round(torch.autograd.Function):
    """Rounding that passes its gradient on."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor) -> Tensor:  # noqa: ARG004
        return signal.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        return gradients[0]
