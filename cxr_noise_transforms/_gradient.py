"""Derivatives of the draws: the noise as a function of its signal, with the randomness held fixed.

The values never change. Plain tensor operations carry the derivatives, so that they hold backward
and forward, under torch.func and under torch.compile.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad

GRADIENTS = ("pathwise", "straight_through", "none")


def derivative_wanted(*tensors: Tensor) -> bool:
    """Whether a derivative by any of these may be asked for."""
    # under torch.func a tensor tells of the innermost transform alone
    if torch._C._are_functorch_transforms_active():  # noqa: SLF001 (no public name says it)
        return True
    return any(tensor.requires_grad or _has_tangent(tensor) for tensor in tensors)


def with_photon_derivative(noisy: Tensor, signal: Tensor, gain: Tensor, gradient: str) -> Tensor:
    """Quantum noise ``noisy`` with its derivative by ``signal`` and ``gain``.

    Pathwise: of Q = I + z sqrt(I gain) with z fixed, so dQ/dI = (1 + Q / I) / 2 and
    dQ/dgain = (Q - I) / (2 gain). In the mean these are the derivatives of E[Q] = I and, times
    2 Q, of E[Q²] = I² + I gain. Straight-through: dQ/dI = 1.
    """
    if gradient == "none":
        return noisy
    clean, per_photon = signal.detach(), gain.detach()
    if gradient == "straight_through":
        return _following(noisy, signal, lambda: clean.new_ones(()))
    following = _following(noisy, signal, lambda: _by_signal(noisy, clean))
    return _following(following, gain, lambda: (noisy - clean) / (2 * per_photon))


def with_read_out_derivative(noisy: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
    """Electronic noise ``noisy`` with dE/dI = 1 and dE/dsigma = (E - I) / sigma."""
    clean, deviation = signal.detach(), sigma.detach()
    following = _following(noisy, signal, lambda: clean.new_ones(()))
    return _following(following, sigma, lambda: (noisy - clean) / deviation)


def round_straight_through(signal: Tensor) -> Tensor:
    """``signal`` rounded to nearest, with the derivative of the identity."""
    return with_identity_derivative(signal.detach().round(), signal)


def with_identity_derivative(noisy: Tensor, signal: Tensor) -> Tensor:
    """``noisy``, which changes as ``signal`` does."""
    return _following(noisy, signal, lambda: noisy.detach().new_ones(()))


def finite_derivative(value: Tensor, result: Tensor) -> Tensor:
    """``value``, which passes no derivative where the ``result`` of it is infinite or NaN."""
    return torch.where(result.isfinite(), value, value.detach())


def _by_signal(noisy: Tensor, clean: Tensor) -> Tensor:
    # at I = 0 no photon comes, whatever z: the derivative is that of the mean
    ratio = torch.where(clean == 0, 1.0, noisy / clean)
    return torch.where(clean < 0, 0.0, (1 + ratio) / 2)


def _following(noisy: Tensor, value: Tensor, slope: Callable[[], Tensor]) -> Tensor:
    """``noisy``, which changes by ``slope`` as ``value`` changes."""
    if not derivative_wanted(value):
        return noisy
    # an infinite pixel, or a severity of 0, must not spoil the sum over the image
    finite = slope().nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    change = finite * (value - value.detach())
    return noisy + torch.where(change == 0, change, 0.0)


def _has_tangent(tensor: Tensor) -> bool:
    # a compiler traces the transform that makes tangents, never a tensor that has one
    if torch.compiler.is_compiling():
        return False
    dual = forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return dual.tangent is not None
