"""Seeds: the one given, one per image, and the severities that belong to them."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from ._checks import check_integer_seed
from ._distribution import severities_at

# multipliers of the splitmix64 finaliser (Steele, Lea and Flood 2014), as signed words
_MIX = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
# hashed with the seed, so that the noise is the same for a drawn severity and for the same severity
# given as a number
_SEVERITY_SALT = {"sq": 1, "se": 2}


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


@dataclass(frozen=True)
class Randomness:
    """Where the randomness of one call comes from.

    Args:
        given: int64 seeds ``(B,)``, or ``()`` for one image; ``None`` where no seed was given.
        generator: draws what is not given; ``None`` for torch's global one.
        device: the image's.
        images: number of images in the batch, ``None`` for one image.
    """

    given: Tensor | None
    generator: torch.Generator | None
    device: torch.device
    images: int | None

    def seeds(self) -> Tensor:
        """The given seeds, or fresh ones at each call."""
        if self.given is not None:
            return self.given
        shape = () if self.images is None else (self.images,)
        low, high = -(2**63), 2**63 - 1
        # with generator=None spelled out, torch refuses symbolic shapes
        if self.generator is None:
            return torch.randint(low, high, shape, device=self.device)
        return torch.randint(low, high, shape, device=self.device, generator=self.generator)


def spread_seed(
    seed: int | Tensor | None, images: int | None, device: torch.device
) -> Tensor | None:
    """int64 seeds ``(B,)``, or ``()`` for one image, from a checked seed."""
    if seed is None or (isinstance(seed, Tensor) and seed.ndim == 1):
        return seed
    if isinstance(seed, Tensor):
        base = seed
    else:
        # made where the GPU's kernel reads them: a copy would wait for the device
        home = device if device.type == "cuda" else torch.device("cpu")
        base = torch.full((), _signed(seed), dtype=torch.int64, device=home)
    return base if images is None else base ^ _mix(torch.arange(images, device=base.device))


def severity_salt(name: str) -> int:
    """What keeps the draws of one severity apart from those of another, and from the noise."""
    return _SEVERITY_SALT[name] if name in _SEVERITY_SALT else _identity(name)


def draw_severity(source: tuple[float, float] | Distribution, seeds: Tensor, salt: int) -> Tensor:
    """Severities of a distribution, or uniform within bounds, one per seed."""
    # 24 bits of a hash of the seed: the same severity on every device
    word = _mix(_mix(seeds) ^ salt) & 0xFFFFFF
    if isinstance(source, Distribution):
        return severities_at(source, word)
    low, high = source
    return low + (high - low) * (word.to(torch.float32) / 2**24)


def mixed(seeds: Tensor, stream: int) -> Tensor:
    """Seeds of one noise source, spread over all bits and apart from small integers."""
    return _mix(_mix(seeds) + stream + 1)


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
