"""What a loader yields: batches of films of every allowed form, checked, as one form."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DistributedSampler

from cxr_noise_transforms._signal import FULL_SCALE
from cxr_noise_transforms.study.groups import Grouping
from cxr_noise_transforms.study.processes import REFUSALS, said_in_worker

from .identity import tensor_bytes


class Scale(NamedTuple):
    """What the values of films may be.

    Attributes:
        value_range: of floats; ``None`` for (0, 1), and for the full scale of integers.
        bits: of the digitiser; what lies outside by half of its level is rounding.
    """

    value_range: Sequence[float] | None = None
    bits: int | None = None


class Content(NamedTuple):
    """By what a film is known apart from its id: two films that differ are two contents."""

    checksum: int
    shapes: tuple[Any, ...]
    patient: str
    source: str
    groups: tuple[tuple[str, str], ...] = ()


class Later:
    """A loader that reads its films when somebody asks for them."""

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Any]:
        return iter(self.make())


def batches(
    loader: Iterable[Any], scale: Scale, groupings: Sequence[Grouping] = ()
) -> Iterator[dict[str, Any]]:
    """Every batch as a mapping of image, label, and one id, patient and source per image.

    The image is grey; ``channels`` is how many it had; ``groups`` are the groups by their name,
    one per image.

    Raises:
        TypeError: a batch of another form, or a group that is no text and no number.
        ValueError: films with channels that differ, or with values outside of the scale; a batch
            without a group, or with another number of groups than images.
    """
    place = 0
    for batch in _read(loader):
        named = _named(batch)
        count = len(named["image"])
        if len(named["label"]) != count:
            raise ValueError(f"{count} images with {len(named['label'])} labels in one batch")
        named.setdefault("id", range(place, place + count))
        named.setdefault("patient", named["id"])
        named.setdefault("source", [""] * count)
        for name in ("id", "patient", "source"):
            each = named[name].tolist() if isinstance(named[name], Tensor) else named[name]
            if isinstance(each, str) or len(each) != count:
                raise ValueError(f"a batch of {count} images must hold {count} {name}s, got {each}")
            named[name] = [str(one) for one in each]
        named["groups"] = {one.name: _groups(named, one, count) for one in groupings}
        _make_grey(named)
        _check_values(named, scale)
        place += count
        yield named


def contents(batch: Mapping[str, Any]) -> Iterator[tuple[str, Content]]:
    """Id and content of every film of a batch."""
    columns = [batch[name] for name in ("id", "image", "label", "patient", "source")]
    grouped = [[(name, one) for one in groups] for name, groups in batch["groups"].items()]
    for film, image, label, patient, source, *groups in zip(*columns, *grouped, strict=True):
        shapes = tuple((str(one.dtype), tuple(one.shape)) for one in (image, label))
        checksum = zlib.crc32(tensor_bytes(label), zlib.crc32(tensor_bytes(image)))
        yield film, Content(checksum, shapes, patient, source, tuple(groups))


def films_left_out(loader: Iterable[Any]) -> int:
    """How many films a loader does not yield because of ``drop_last=True``."""
    grouped = getattr(loader, "batch_sampler", None)
    sampler = getattr(grouped, "sampler", None)
    if not isinstance(grouped, BatchSampler) or not isinstance(sampler, Sized):
        return 0
    count = len(sampler) % grouped.batch_size if grouped.drop_last else 0
    if isinstance(sampler, DistributedSampler) and sampler.drop_last:
        count += len(sampler.dataset) - sampler.total_size  # type: ignore[arg-type]
    return count


def _read(loader: Iterable[Any]) -> Iterator[Any]:
    """What the loader yields; what failed in a worker process is one sentence."""
    count = 0
    try:
        for batch in loader:
            yield batch
            count += 1
    except Exception as error:
        said = said_in_worker(error)
        if said is None:
            raise
        kind, words = said
        if kind in REFUSALS:
            raise REFUSALS[kind](words) from error
        raise ValueError(f"the loader fails after {count} batches ({kind}: {words})") from error


def _named(batch: Any) -> dict[str, Any]:
    if isinstance(batch, Mapping):
        named = dict(batch)
    elif isinstance(batch, tuple | list) and 2 <= len(batch) <= 3:
        named = dict(zip(("image", "label", "id"), batch, strict=False))
    else:
        raise TypeError(
            "a batch must be (image, label), (image, label, id) or a mapping with image and "
            f"label, got {type(batch).__name__}"
        )
    if not all(isinstance(named.get(name), Tensor) for name in ("image", "label")):
        raise TypeError(
            f"a batch must hold the tensors image and label, got {sorted(map(str, named))}"
        )
    return named


def _groups(batch: Mapping[str, Any], grouping: Grouping, count: int) -> list[str]:
    name = grouping.name
    if name not in batch:
        raise ValueError(
            f"a batch must be a mapping with the group {name}, got {', '.join(map(str, batch))}"
        )
    given = batch[name].flatten().tolist() if isinstance(batch[name], Tensor) else batch[name]
    each = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if len(each) != count or isinstance(given, str):
        raise ValueError(f"a batch of {count} images must hold {count} of {name}, got {given}")
    return [grouping.group(one) for one in each]


def _make_grey(batch: dict[str, Any]) -> None:
    """One channel of films whose channels are equal: noise falls on a film once."""
    image = batch["image"]
    batch["channels"] = image.shape[1] if image.ndim > 3 else 1
    if batch["channels"] == 1:
        return
    grey = image[:, :1]
    for film, one, first in zip(batch["id"], image, grey, strict=True):
        if not torch.equal(one, first.expand_as(one)):
            raise ValueError(
                f"images must be grey (B, 1, H, W), got {tuple(image.shape)} with channels that "
                f"differ in image {film}: give grey images, and say channels={image.shape[1]}, "
                "mean and std, which are applied after the noise"
            )
    batch["image"] = grey


def _check_values(batch: Mapping[str, Any], scale: Scale) -> None:
    image = batch["image"]
    full = FULL_SCALE.get(image.dtype)
    if full is not None and scale.value_range not in (None, (0, full)):
        raise ValueError(
            f"value_range of {image.dtype} images must be their full scale (0, {full:g}), which "
            f"is the default, got {scale.value_range}: make them floats for another"
        )
    if not image.is_floating_point():
        return
    low, high = scale.value_range or (0.0, 1.0)
    level = (high - low) / (2 ** (scale.bits or 16) - 1)
    rounding = max(level / 2, torch.finfo(image.dtype).eps * max(abs(low), abs(high)))
    outside = ((image < low - rounding) | (image > high + rounding)).flatten(1).any(dim=1)
    if outside.any():
        place = int(outside.nonzero()[0])
        film = image[place]
        raise ValueError(
            f"image {batch['id'][place]} has values from {film.min():.4g} to {film.max():.4g}, "
            f"outside of value_range ({low:g}, {high:g}): give images before their normalisation "
            "(mean and std are applied after the noise), or say their value_range"
        )
