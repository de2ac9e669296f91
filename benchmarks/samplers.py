"""The samplers that the report on exactness looks at, under one interface."""

import os
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from cxr_noise_transforms import electronic_noise, quantum_noise, radiographic_noise

# from signal and seed; ``None`` draws afresh; the signal is the rate where sq = 1 and n0 = 1
Draw = Callable[[Tensor, int | None], Tensor]

# standard deviation of the read-out beside counts: too small to be taken for a photon
READ_OUT = 0.05

TORCH = "torch.poisson and torch.randn"


class Sampler(NamedTuple):
    """Counts and normal values from ``(signal, seed)``.

    Attributes:
        name: as the report shows it.
        photons: Poisson counts at the rates given, ``(B, 1, H, W)``.
        read_out: standard normal values added to the signal, if it has any.
        exposure: counts plus ``READ_OUT`` times normal values, if it has any.
        common: whether it promises common random numbers between severities.
        promised: the outcome it must have; ``None`` where it is only looked at.
    """

    name: str
    photons: Draw
    read_out: Draw | None = None
    exposure: Draw | None = None
    common: bool = False
    promised: bool | None = True


def samplers(device: str) -> list[Sampler]:
    """Every sampler of this device, and a wrong one that the report must refuse."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return [
        *([ours(None, common=True)] if device == "cpu" else []),
        *([ours("triton", common=True)] if device == "cuda" or interpreted else []),
        # made of torch's samplers on the device, which nobody vouches for
        ours("torch")._replace(promised=True if device == "cpu" else None),
        Sampler(TORCH, torch_count, torch_normal, promised=None),
        Sampler("rounded Gaussian (must be refused)", rounded_gaussian, promised=False),
    ]


def ours(backend: str | None, *, common: bool = False) -> Sampler:
    """This package's sampler of one backend."""

    def draw(noise: Callable[..., Tensor], *severities: float, **scales: float) -> Draw:
        return lambda signal, seed: noise(signal, *severities, seed=seed, backend=backend, **scales)

    return Sampler(
        f'this package, backend="{backend}"' if backend else "this package",
        draw(quantum_noise, 1.0, n0=1.0),
        draw(electronic_noise, 1.0, sigma0=1.0),
        draw(radiographic_noise, 1.0, 1.0, n0=1.0, sigma0=READ_OUT),
        common,
    )


def torch_count(rates: Tensor, seed: int | None) -> Tensor:
    """torch.poisson as it is."""
    return torch.poisson(rates, generator=_generator(rates, seed))


def torch_normal(signal: Tensor, seed: int | None) -> Tensor:
    """torch.randn as it is."""
    generator = _generator(signal, seed)
    return signal + torch.randn(signal.shape, device=signal.device, generator=generator)


def rounded_gaussian(rates: Tensor, seed: int | None) -> Tensor:
    """Counts of the right mean and variance, and the wrong law."""
    return (rates + rates.sqrt() * torch_normal(torch.zeros_like(rates), seed)).round().clamp(min=0)


def _generator(like: Tensor, seed: int | None) -> torch.Generator | None:
    return None if seed is None else torch.Generator(like.device).manual_seed(seed)
