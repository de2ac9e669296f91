"""This package's own ways through the tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from cxr_noise_transforms import electronic_noise, quantum_noise, radiographic_noise

from .grid import NOISES, Contender

DEFAULT = "this package"
SEEDED = "this package, seed=0"
REFERENCE = 'this package, backend="torch"'
NAMES = (DEFAULT, SEEDED, REFERENCE)


def _radiographic(films: Tensor, severity: float, **arguments: object) -> Tensor:
    return radiographic_noise(films, severity, severity, **arguments)  # type: ignore[arg-type]


_FUNCTIONS: dict[str, Callable[..., Tensor]] = dict(
    zip(NOISES, (quantum_noise, electronic_noise, _radiographic), strict=True)
)


def _contender(name: str, noise: str, draws: str, **arguments: object) -> Contender:
    def prepare(films: Tensor, severity: float) -> Callable[[], Tensor]:
        return partial(_FUNCTIONS[noise], films, severity, **arguments)

    return Contender(name, noise, prepare, draws, package="cxr_noise_transforms")


OURS = tuple(
    contender
    for noise in NOISES
    for contender in (
        _contender(DEFAULT, noise, "the default sampler, seeds from torch's global generator"),
        _contender(SEEDED, noise, "the default sampler, one stream per film from an int", seed=0),
        _contender(
            REFERENCE, noise, "`torch.poisson` and `torch.randn`, unseeded", backend="torch"
        ),
    )
)
