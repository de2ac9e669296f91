"""Every check of an argument, and every message."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Mapping, Sequence
from typing import TypeGuard, TypeVar

import torch
from torch import Tensor

from ._gradient import GRADIENTS
from ._signal import FULL_SCALE, Digitiser

_Domain = TypeVar("_Domain")
Severity = float | Tensor | Sequence[float]
# a severity, or several in the order of the noise's own
Film = float | Tensor | Sequence[float | Tensor] | None

BACKENDS = ("torch", "numba", "triton")
# limits of a value range, far inside what float32 can hold
_NARROWEST, _WIDEST = 1e-30, 1e30
# pixels looked at along each axis of an image, so few that no call takes longer for it
_SAMPLED = 4
# pixels; a correlation that reaches further is no detector's
_WIDEST_BLUR = 16
_DTYPES = (*FULL_SCALE, torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_image(image: Tensor) -> None:
    """Refuse what is not an image tensor; looks at metadata alone."""
    if not isinstance(image, Tensor):
        raise TypeError(
            f"image must be a torch.Tensor, got {type(image).__module__}.{type(image).__name__}; "
            "convert it first (torch.from_numpy, torchvision.transforms.v2.ToImage)"
        )
    if image.dtype not in _DTYPES:
        raise TypeError(
            "image must be uint8, uint16, float16, bfloat16, float32 or float64, "
            f"got {image.dtype}; convert it to float and say its value_range"
        )
    if image.ndim < 2:
        raise ValueError(
            f"image must have shape (..., H, W), got {image.ndim} axes {tuple(image.shape)}"
        )
    if image.layout != torch.strided:
        raise TypeError(f"image must be a dense tensor, got layout {image.layout}")


def warn_of_range(image: Tensor, value_range: tuple[float, float]) -> None:
    """Warn where most of a float image lies outside the value range, judged by a few pixels."""
    if not image.is_floating_point() or not _is_readable(image):
        return
    steps = [max(-(-size // _SAMPLED), 1) for size in image.shape]
    sample = image[tuple(slice(step // 2, None, step) for step in steps)]
    values, (low, high) = _values(sample.reshape(-1)), value_range
    # what an interpolation overshoots is no other range
    margin = (high - low) / 100
    outside = sum(value < low - margin or value > high + margin for value in values)
    if 2 * outside > len(values):
        warnings.warn(
            f"most values of the image lie outside value_range {value_range}, the scale of its "
            "noise; give the range of its values, such as value_range=(0, 255), and add noise "
            "before they are normalised",
            stacklevel=2,
        )


def check_severity(name: str, severity: Severity) -> float | tuple[float, float] | Tensor:
    """A severity as a float, a range ``(low, high)`` of floats, or a tensor ``()`` or ``(B,)``."""
    if isinstance(severity, Tensor):
        return _check_severity_tensor(name, severity)
    if isinstance(severity, (tuple, list)):
        if len(severity) != 2:
            raise ValueError(
                f"{name} must be a number, a range (low, high) or a tensor (B,) with one severity "
                f"per image, got a {type(severity).__name__} of {len(severity)}"
            )
        low, high = (_check_severity_number(f"both ends of {name}", end) for end in severity)
        if low > high:
            raise ValueError(f"{name} must be a range (low, high) with low <= high, got {severity}")
        return low, high
    expected = "a number, a range (low, high) or a tensor (B,)"
    return _check_severity_number(name, severity, expected)


def check_scale(name: str, scale: float) -> float:
    """A positive, finite constant of the model (``n0``, ``sigma0``)."""
    if not is_number(scale):
        raise TypeError(f"{name} must be a number, got {type(scale).__name__}")
    number = _as_float(name, scale)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be positive and finite, got {scale}")
    return number


def check_decades(decades: float) -> None:
    """Refuse a latitude that no film has."""
    if not is_number(decades):
        raise TypeError(f"decades must be a number, got {type(decades).__name__}")
    if not 0.1 <= decades <= 5:
        raise ValueError(f"decades must be between 0.1 and 5, got {decades}")


def check_domain(domain: _Domain) -> _Domain:
    """Refuse what is no domain."""
    ways = ("to_exposure", "to_display")
    if domain is not None and not all(callable(getattr(domain, way, None)) for way in ways):
        raise TypeError(f"domain must be None or a domain such as LogExposure(), got {domain!r}")
    return domain


def check_blur(blur: float) -> float | None:
    """A blur in pixels; none where it is 0."""
    if not is_number(blur):
        raise TypeError(f"blur must be a number of pixels, got {type(blur).__name__}")
    if not 0 <= blur <= _WIDEST_BLUR:
        raise ValueError(f"blur must be between 0 and {_WIDEST_BLUR} pixels, got {blur}")
    return float(blur) or None


def check_film(names: Sequence[str], film: Film) -> dict[str, float | Tensor]:
    """The severities that a film has already, by name; none where nothing is known of it."""
    if film is None:
        return {}
    held = film if len(names) > 1 else (film,)
    if not isinstance(held, Sequence) or len(held) != len(names):
        raise ValueError(
            f"film must be ({', '.join(names)}), the severities that the film has, got {film!r}"
        )
    return {name: check_film_severity(name, one) for name, one in zip(names, held, strict=True)}


def check_film_severity(name: str, film: object) -> float | Tensor:
    """One severity that a film has, or one per film."""
    called = f"{name} of film"
    if isinstance(film, Tensor):
        return _check_severity_tensor(called, film)
    return _check_severity_number(called, film, "a number or a tensor (B,)")


def check_reach(
    name: str, severity: float | tuple[float, float] | Tensor, film: float | Tensor
) -> None:
    """Refuse a severity below the film's, where reading it stalls no device."""
    highest = severity[1] if isinstance(severity, tuple) else severity
    if any(_values(torch.as_tensor(highest < film).reshape(-1))):
        raise ValueError(
            f"{name} must not be below the film's, {_shown(film)}, because noise is never taken "
            f"away, got {_shown(severity)}"
        )


def check_positive(name: str, value: float | Tensor) -> None:
    """Refuse what is not positive and finite; tensors where reading them stalls no device."""
    for one in _values(value.reshape(-1)) if isinstance(value, Tensor) else [value]:
        check_scale(name, one)


def check_dqe(dqe: float) -> None:
    """Refuse a share of the photons that cannot be."""
    if check_scale("dqe", dqe) > 1:
        raise ValueError(f"dqe must be above 0 and at most 1, got {dqe}")


def check_beam(beam: str, beams: Mapping[str, float]) -> float:
    """What is known of a beam."""
    if beam not in beams:
        raise ValueError(f"beam must be one of {', '.join(beams)}, got {beam!r}")
    return beams[beam]


def check_backend(backend: str | None) -> str | None:
    """Refuse a backend that does not exist."""
    if backend not in (None, *BACKENDS):
        raise ValueError(f"backend must be None or one of {', '.join(BACKENDS)}, got {backend!r}")
    return backend


def check_gradient(gradient: str) -> str:
    """Refuse a gradient that does not exist."""
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be one of {', '.join(GRADIENTS)}, got {gradient!r}")
    return gradient


def check_digitiser(value_range: Sequence[float], clip: bool, bits: int | None) -> Digitiser:
    """The digitiser of these arguments; an empty range and impossible bits are refused."""
    if not (
        isinstance(value_range, (tuple, list))
        and len(value_range) == 2
        and all(is_number(end) for end in value_range)
    ):
        raise TypeError(f"value_range must be two numbers (low, high), got {value_range!r}")
    low, high = value_range
    low, high = _as_float("value_range", low), _as_float("value_range", high)
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"value_range must be finite with low < high, got {tuple(value_range)}")
    if high - low < _NARROWEST or max(abs(low), abs(high)) > _WIDEST:
        raise ValueError(
            f"value_range must span at least {_NARROWEST} within +-{_WIDEST}, "
            f"got {tuple(value_range)}"
        )
    if not isinstance(clip, bool):
        raise TypeError(f"clip must be True or False, got {clip!r}")
    if bits is not None:
        if not is_integer(bits):
            raise TypeError(f"bits must be None or an integer, got {bits!r}")
        if not 1 <= bits <= 16:
            raise ValueError(f"bits must be between 1 and 16, got {bits}")
    return Digitiser((low, high), clip, None if bits is None else int(bits))


def check_randomness(
    seed: int | Tensor | None, generator: torch.Generator | None, image: Tensor
) -> None:
    """Refuse a seed or generator that cannot serve this image."""
    if seed is not None and generator is not None:
        raise ValueError(f"give seed or generator, not both: got seed {seed} and a generator")
    if generator is not None:
        _check_generator(generator, image)
    elif isinstance(seed, Tensor):
        if seed.dtype != torch.int64:
            raise TypeError(f"seed must be int64 when given as a tensor, got {seed.dtype}")
        if seed.ndim > 1:
            raise ValueError(f"seed must have shape (B,), one per image, got {tuple(seed.shape)}")
    elif seed is not None:
        check_integer_seed(seed, "an int or an int64 tensor (B,)")


def check_integer_seed(seed: object, expected: str = "an int") -> None:
    """Refuse a seed that is not an integer."""
    if not is_integer(seed):
        raise TypeError(f"seed must be {expected}, got {type(seed).__name__} {seed!r}")


def count_images(image: Tensor, **per_image: Severity | int | None) -> int | None:
    """Images in the batch, or ``None`` where ``image`` is one image.

    A tensor of four or more axes is a batch; so is any for which an argument has one value per
    image.

    Raises:
        ValueError: an argument's length is not the batch's.
    """
    batched = image.ndim >= 4
    for name, value in per_image.items():
        if not isinstance(value, Tensor) or value.ndim == 0:
            continue
        if image.ndim < 3:
            raise ValueError(
                f"{name} with one value per image needs an image with a leading batch axis, "
                f"got an image of shape {tuple(image.shape)}"
            )
        if value.shape[0] != image.shape[0]:
            raise ValueError(
                f"{name} must have one value per image, {image.shape[0]} for an image of shape "
                f"{tuple(image.shape)}, got {value.shape[0]}"
            )
        batched = True
    return image.shape[0] if batched else None


def _check_severity_tensor(name: str, severity: Tensor) -> Tensor:
    if severity.ndim > 1:
        raise ValueError(
            f"{name} must be a number or have shape (B,), one severity per image, "
            f"got shape {tuple(severity.shape)}"
        )
    if severity.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got layout {severity.layout}")
    if severity.dtype == torch.bool or severity.is_complex():
        raise TypeError(f"{name} must be real, got {severity.dtype}")
    for value in _values(severity.reshape(-1)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be finite and not negative, got {value}")
    return severity


def _shown(severity: float | tuple[float, float] | Tensor) -> object:
    return severity.tolist() if isinstance(severity, Tensor) else severity


def _is_readable(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def _values(tensor: Tensor) -> list[float]:
    """What a tensor holds; nothing where reading would stall a device, or has nothing to read."""
    if not _is_readable(tensor):
        return []
    try:
        values: list[float] = tensor.tolist()
    # under torch.vmap, and of fake tensors
    except RuntimeError:
        return []
    return values


def _check_severity_number(name: str, severity: object, expected: str = "a number") -> float:
    if not is_number(severity):
        raise TypeError(f"{name} must be {expected}, got {type(severity).__name__}")
    number = _as_float(name, severity)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be finite and not negative, got {severity}")
    return number


def _check_generator(generator: torch.Generator, image: Tensor) -> None:
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator must be a torch.Generator, got {type(generator).__name__}")
    same = generator.device.type == image.device.type and (
        generator.device.index in (None, image.device.index)
    )
    if not same:
        raise ValueError(
            f"generator must be on the image's device {image.device}, got {generator.device}"
        )


def is_number(value: object) -> TypeGuard[float]:
    """Whether this is a real number, as which True and False do not count."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def is_integer(value: object) -> TypeGuard[int]:
    """Whether this is an integer, as which True and False do not count."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _as_float(name: str, number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise ValueError(f"{name} must be finite, got an integer beyond every float") from None
