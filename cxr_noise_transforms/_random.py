"""Seeds to per-image streams, and the reference draws from them."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from ._checks import check_integer_seed

# multipliers of the splitmix64 finaliser (Steele, Lea and Flood 2014), as signed words
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
# hashed with the seed apart from the noise, which is then the same for a drawn severity and for
# the same severity given as a number
_SEVERITY_SALT = {"sq": 1, "se": 2}

Source = torch.Generator | list[torch.Generator] | None


def image_seeds(seed: int, image_ids: Tensor | Iterable[int | str]) -> Tensor:
    """One seed per image from a base seed and the images' identities.

    Args:
        seed: the base seed, for example the number of the noise repetition.
        image_ids: one identity per image: integers, names, or an int64 tensor ``(B,)``.

    Returns:
        int64 tensor ``(B,)`` on the CPU (on the device of ``image_ids`` if that is a tensor);
        image 0 keeps the base seed.

    Raises:
        TypeError: the seed is no int, or an identity neither an integer nor a string.

    Example:
        >>> first = image_seeds(7, ["film_b.png", "film_a.png"])
        >>> bool((first == image_seeds(7, ["film_a.png", "film_b.png"]).flip(0)).all())
        True
    """
    check_integer_seed(seed)
    if isinstance(image_ids, Tensor):
        if image_ids.dtype != torch.int64 or image_ids.ndim != 1:
            raise TypeError(
                f"image_ids must be int64 of shape (B,) when given as a tensor, "
                f"got {image_ids.dtype} of shape {tuple(image_ids.shape)}"
            )
        ids = image_ids
    elif isinstance(image_ids, str):
        raise TypeError(f"image_ids must hold one identity per image, got one string {image_ids!r}")
    else:
        ids = torch.tensor([_identity(image_id) for image_id in image_ids], dtype=torch.int64)
    return _mix(ids) ^ _signed(seed)


def make_source(
    seed: int | Tensor | None, generator: torch.Generator | None, image: Tensor, images: int | None
) -> Source:
    """Where one call's random numbers come from: one generator, one per image, or the global one.

    Args:
        seed: checked seed, ``None``, an int, or an int64 tensor ``()`` or ``(B,)``.
        generator: checked generator or ``None``.
        image: decides the device.
        images: number of images in the batch, ``None`` for one image.
    """
    if seed is None:
        return generator
    return _generators(_streams(seed, images), image.device)


def draw_severity(
    name: str,
    bounds: tuple[float, float],
    seed: int | Tensor | None,
    generator: torch.Generator | None,
    image: Tensor,
    images: int | None,
) -> Tensor:
    """Severities uniform within ``bounds``, ``(B,)`` for a batch and ``()`` for one image."""
    if seed is None:
        shape = () if images is None else (images,)
        uniform = torch.rand(shape, device=image.device, **_given(generator))
    else:
        # 24 bits of a hash of the seed: the same severity on every device
        word = _mix(_mix(_streams(seed, images)) ^ _SEVERITY_SALT[name])
        uniform = ((word & 0xFFFFFF).to(torch.float32) / 2**24).to(image.device)
    low, high = bounds
    return low + (high - low) * uniform


def poisson(rate: Tensor, source: Source) -> Tensor:
    """Poisson counts; nothing is counted where the rate is negative or NaN."""
    return _draw(torch.poisson, rate.clamp(min=0.0).nan_to_num(nan=0.0), source)


def normal(like: Tensor, source: Source) -> Tensor:
    """Standard normal numbers in the shape, dtype and device of ``like``."""

    def randn(image: Tensor, generator: torch.Generator | None) -> Tensor:
        shape, dtype, device = image.shape, image.dtype, image.device
        return torch.randn(shape, dtype=dtype, device=device, **_given(generator))

    return _draw(randn, like, source)


def _draw(sample: Callable[..., Tensor], images: Tensor, source: Source) -> Tensor:
    images = images.contiguous()
    if isinstance(source, list):
        drawn = [sample(image, generator=g) for image, g in zip(images, source, strict=True)]
        return torch.stack(drawn) if drawn else torch.empty_like(images)
    return sample(images, generator=source)


def _given(generator: torch.Generator | None) -> dict[str, Any]:
    # with generator=None spelled out, torch refuses symbolic shapes
    return {} if generator is None else {"generator": generator}


def _streams(seed: int | Tensor, images: int | None) -> Tensor:
    """int64 seeds ``(B,)``, or ``()`` for one image, from a checked ``seed``."""
    if isinstance(seed, Tensor) and seed.ndim == 1:
        return seed
    base = seed if isinstance(seed, Tensor) else torch.tensor(_signed(seed))
    if images is None:
        return base
    return base ^ _mix(torch.arange(images, device=base.device))


def _generators(seeds: Tensor, device: torch.device) -> Source:
    # mixed, because torch seeds its CPU generator with the low 32 bits alone
    mixed = _mix(seeds)
    if seeds.ndim == 0:
        return torch.Generator(device).manual_seed(int(mixed))
    return [torch.Generator(device).manual_seed(one) for one in mixed.tolist()]


def _mix(words: Tensor) -> Tensor:
    """The splitmix64 finaliser, a bijection of the 64-bit words that keeps 0."""
    words = (words ^ _shift_right(words, 30)) * _MIX[0]
    words = (words ^ _shift_right(words, 27)) * _MIX[1]
    return words ^ _shift_right(words, 31)


def _shift_right(words: Tensor, bits: int) -> Tensor:
    # int64 shifts are arithmetic in torch: clear the copies of the sign
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def _identity(image_id: int | str) -> int:
    if isinstance(image_id, str):
        digest = hashlib.blake2b(image_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little", signed=True)
    try:
        return _signed(operator.index(image_id))
    except TypeError:
        raise TypeError(
            f"image_ids must be integers or strings, got {type(image_id).__name__}"
        ) from None


def _signed(word: int) -> int:
    """The low 64 bits of an integer as a signed word."""
    return (operator.index(word) + 2**63) % 2**64 - 2**63
