"""Fixtures of all tests: the devices, and the three noises under one signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms import (
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    quantum_noise,
    radiographic_noise,
)

# on small images threads wait for each other longer than they work, above all on a shared machine
torch.set_num_threads(1)


def _both(image: Tensor, severity: object, **arguments: object) -> Tensor:
    return radiographic_noise(image, severity, severity, **arguments)


def _both_module(severity: object, **arguments: object) -> nn.Module:
    return RadiographicNoise(severity, severity, **arguments)


class Kind(NamedTuple):
    """A noise twice over, as a function and as a module."""

    noise: Callable[..., Tensor]
    module: Callable[..., nn.Module]


KINDS = {
    "quantum": Kind(quantum_noise, QuantumNoise),
    "electronic": Kind(electronic_noise, ElectronicNoise),
    "radiographic": Kind(_both, _both_module),
}
DEVICES = ("cpu", *(["cuda"] if torch.cuda.is_available() else []))


@pytest.fixture(params=DEVICES, scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """Every device of this machine."""
    return request.param


@pytest.fixture(params=KINDS, scope="session")
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each noise in turn; a test that asks for ``noise`` and ``module`` gets two of one kind."""
    return KINDS[request.param]


@pytest.fixture(scope="session")
def noise(kind: Kind) -> Callable[..., Tensor]:
    """``noise(image, severity, **arguments)``; radiographic noise has both sources at it."""
    return kind.noise


@pytest.fixture(scope="session")
def module(kind: Kind) -> Callable[..., nn.Module]:
    """``module(severity, **arguments)``; radiographic noise has both sources at it."""
    return kind.module
