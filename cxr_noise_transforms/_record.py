"""What a noise drew, as JSON, and the same noise from it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from . import __version__, electronic, quantum, radiographic  # noqa: F401 (known by name below)
from ._domain import LogExposure
from ._noise import NoiseModule

_VERSION = "cxr_noise_transforms"
_KEYS = {_VERSION, "noise", "arguments", "drawn", "seed"}


def noise_record(noise: NoiseModule) -> dict[str, Any]:
    """What a noise drew in its last call: numbers and lists that JSON keeps exactly.

    Args:
        noise: a noise module that has been called. One of your own keeps the arguments of its
            constructor under their names.

    Returns:
        ``noise``, the name of its class; ``arguments`` of its constructor; ``drawn``, each severity
        as a number or one per image; ``seed``, likewise (``None`` where all was clean); and the
        version of the package.

    Raises:
        TypeError: the noise is no module of this package, or has an argument that it does not keep
            or that JSON does not hold.
        ValueError: the noise has not been called, or its last call drew from torch's generator by
            ``torch.poisson`` and ``torch.randn``, which keeps no seed.

    Example:
        >>> from cxr_noise_transforms import QuantumNoise
        >>> noise, films = QuantumNoise((1.0, 4.0)), torch.rand(2, 1, 64, 64)
        >>> noisy = noise(films)
        >>> bool((replay_record(films, noise_record(noise)) == noisy).all())
        True
    """
    if not isinstance(noise, NoiseModule):
        raise TypeError(
            f"noise must be a noise module such as QuantumNoise, got {type(noise).__name__}"
        )
    seeds, drawn = noise.drawn_seeds, {name: _plain(one) for name, one in noise.drawn.items()}
    if seeds is None and (not drawn or _any(drawn)):
        raise ValueError(
            f"{type(noise).__name__} must have been called with a seed, or with a backend that "
            "draws from seeds, before it can say what it drew"
        )
    return {
        _VERSION: __version__,
        "noise": type(noise).__name__,
        "arguments": dict(_arguments(noise)),
        "drawn": drawn,
        "seed": None if seeds is None else seeds.tolist(),
    }


def replay_record(image: Tensor, record: Mapping[str, Any]) -> Tensor:
    """The noise of a record on the image that it was drawn for: the same noisy image bit for bit.

    Args:
        image: as it was given to the noise; shapes as in :class:`QuantumNoise`.
        record: of :func:`noise_record`, also by way of JSON.

    Raises:
        TypeError, ValueError: the record is none, or of a noise that is not imported; the image is
            refused as by :class:`QuantumNoise`.

    Note:
        The image is not in the record: another one gets the noise that it would have had.
    """
    if not isinstance(record, Mapping) or record.keys() != _KEYS:
        raise ValueError(f"record must be one of noise_record, got {record!r:.200}")
    kinds = {kind.__name__: kind for kind in _below(NoiseModule)}
    if record["noise"] not in kinds:
        raise ValueError(
            f"record must be of a noise that is imported, one of {', '.join(sorted(kinds))}, "
            f"got {record['noise']!r}"
        )
    drawn = {name: _severity(one) for name, one in record["drawn"].items()}
    noise = kinds[record["noise"]](**dict(_restored(record["arguments"])), **drawn)
    seed = record["seed"]
    return noise.forward(image, seed=torch.tensor(seed) if isinstance(seed, list) else seed)


def _arguments(noise: NoiseModule) -> Iterator[tuple[str, Any]]:
    """The constructor's arguments but the severities, as the noise holds them."""
    for name in _names(type(noise)):
        if name in noise.drawn:
            continue
        if name == "film":
            value: Any = [_plain(one) for one in noise.film_severities().values()] or None
        elif hasattr(noise, name):
            value = getattr(noise, name)
        else:
            raise TypeError(
                f"{type(noise).__name__} must keep its argument {name} under this name to be "
                "recorded"
            )
        if isinstance(value, LogExposure):
            value = asdict(value)
        elif isinstance(value, tuple):
            value = list(value)
        if not isinstance(value, (bool, int, float, str, list, dict, type(None))):
            raise TypeError(
                f"{name} of {type(noise).__name__} must be a number, a name, a list or LogExposure "
                f"to be recorded, got {type(value).__name__}"
            )
        # what is not set has its default
        if value is not None:
            yield name, value


def _restored(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in arguments.items():
        if name == "film":
            film = [_severity(one) for one in value]
            yield name, film if len(film) > 1 else film[0]
        else:
            yield name, LogExposure(**value) if name == "domain" else value


def _names(kind: type[NoiseModule]) -> Iterator[str]:
    for name, parameter in inspect.signature(kind).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            shared = inspect.signature(NoiseModule).parameters.items()
            yield from (one for one, that in shared if that.kind is that.KEYWORD_ONLY)
        else:
            yield name


def _below(kind: type[NoiseModule]) -> Iterator[type[NoiseModule]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _plain(severity: float | Tensor) -> Any:
    return severity.tolist() if isinstance(severity, Tensor) else severity


def _any(drawn: Mapping[str, Any]) -> bool:
    return any(any(one) if isinstance(one, list) else one for one in drawn.values())


def _severity(recorded: Any) -> Any:
    """A number as it is; one per image in float32, in which they are drawn, where that holds it."""
    if not isinstance(recorded, list):
        return recorded
    exact = torch.tensor(recorded, dtype=torch.float64)
    drawn = exact.float()
    return drawn if torch.equal(drawn.double(), exact) else exact
