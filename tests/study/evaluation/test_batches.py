"""What a loader yields: films of every form as one form, and what is refused before any noise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset

from cxr_noise_transforms.study.evaluation.batches import Scale, batches, contents, films_left_out
from cxr_noise_transforms.study.films.folders import MaskedFolder


def films(count: int = 2, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(0))


def read(image: Tensor, scale: Scale | None = None, **others: Any) -> dict[str, Any]:
    batch = {"id": ["a", "b"], "image": image, "label": torch.zeros(len(image)), **others}
    (found,) = batches([batch], scale or Scale())
    return found


# values


@pytest.mark.parametrize("value_range", [None, (0, 1), (-1024, 3071), (100.0, 100.5)])
@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.float64])
def test_films_in_their_range_are_taken_with_what_rounding_adds(
    value_range: tuple[float, float] | None, bits: int | None, kind: torch.dtype
) -> None:
    low, high = value_range or (0, 1)
    image = (films() * (high - low) + low).to(kind)
    image[0, 0, 0] = low
    image[1, 0, 0] = torch.nextafter(torch.tensor(high, dtype=kind), torch.tensor(torch.inf))
    assert torch.equal(read(image, Scale(value_range, bits))["image"], image)


@pytest.mark.parametrize("value_range", [None, (-1024.0, 3071.0)])
@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("bits", [None, 8])
def test_films_outside_of_it_by_a_level_are_refused(
    value_range: tuple[float, float] | None, side: int, bits: int | None
) -> None:
    low, high = value_range or (0.0, 1.0)
    image = films() * (high - low) + low
    level = (high - low) / (2 ** (bits or 16) - 1)
    image[1, 0, 2, 3] = (high if side > 0 else low) + side * level
    with pytest.raises(ValueError, match=r"^image b has values from .*, outside of value_range"):
        read(image, Scale(value_range, bits))


def test_normalised_films_are_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match="outside of") as refused:
        read(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1).sub(0.485).div(0.229))
    assert str(refused.value) == (
        "image a has values from -2.118 to -2.118, outside of value_range (0, 1): give images "
        "before their normalisation (mean and std are applied after the noise), or say their "
        "value_range"
    )


def test_films_without_a_number_are_left_to_the_model() -> None:
    image = films()
    image[0, 0, 1, 1] = torch.nan
    assert torch.equal(read(image)["image"].isnan(), image.isnan())


@pytest.mark.parametrize(("kind", "full"), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_integer_films_have_their_full_scale_and_no_other(kind: torch.dtype, full: int) -> None:
    image = (films() * full).to(kind)
    for scale in (Scale(), Scale((0, full)), Scale((0.0, float(full)))):
        assert torch.equal(read(image, scale)["image"], image)
    for other in ((0.0, 1.0), (0.0, 4095.0)):
        with pytest.raises(ValueError, match=rf"must be their full scale \(0, {full}\), .* got"):
            read(image, Scale(other))


# channels


@pytest.mark.parametrize("kind", [torch.float32, torch.uint8, torch.uint16])
def test_equal_channels_are_one(kind: torch.dtype) -> None:
    grey = (films() * 255).to(kind)
    scale = Scale((0.0, 255.0))
    found = read(grey.expand(-1, 3, -1, -1), scale if kind == torch.float32 else None)
    assert torch.equal(found["image"], grey)
    assert found["channels"] == 3


def test_channels_that_differ_are_refused_with_the_mend() -> None:
    image = films().repeat(1, 3, 1, 1)
    image[1, 2, 0, 0] += 1e-6
    with pytest.raises(ValueError, match="must be grey") as refused:
        read(image)
    assert str(refused.value) == (
        "images must be grey (B, 1, H, W), got (2, 3, 4, 4) with channels that differ in image b: "
        "give grey images, and say channels=3, mean and std, which are applied after the noise"
    )


# contents


def content(**changes: Any) -> list[Any]:
    batch = {"image": films(), "label": torch.zeros(2), "patient": ["p", "q"], **changes}
    return list(contents(read(batch.pop("image"), **batch)))


def test_a_films_content_is_its_pixels_label_patient_and_source() -> None:
    expected = content()
    assert content(source=["", ""]) == expected
    other = films()
    other[1, 0, 0, 0] = torch.nextafter(other[1, 0, 0, 0], torch.tensor(1.0))
    for changes in (
        {"image": other},
        {"image": films().double()},
        {"image": films().reshape(2, 1, 2, 8)},
        {"label": torch.tensor([0.0, 1.0])},
        {"patient": ["p", "p"]},
        {"source": ["", "there"]},
        {"id": ["a", "c"]},
    ):
        first, second = content(**changes)
        assert (first == expected[0]) == ("image" not in changes or changes["image"] is other)
        assert second != expected[1], changes


# loaders


class Folder(Dataset):
    """Seven films."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        return films(1)[0], number


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return (Folder()[number] for number in range(7))


@pytest.mark.parametrize(
    ("loader", "count"),
    [
        (DataLoader(Folder(), batch_size=3, drop_last=True), 1),
        (DataLoader(Folder(), batch_size=7, drop_last=True), 0),
        (DataLoader(Folder(), batch_size=3), 0),
        (DataLoader(Folder(), batch_size=None), 0),
        (DataLoader(Folder(), batch_size=2, drop_last=True, sampler=range(5)), 1),
        (DataLoader(Stream(), batch_size=2, drop_last=True), 0),
        (DataLoader(Folder(), sampler=DistributedSampler(Folder(), 2, 0, drop_last=True)), 1),
        (DataLoader(Folder(), sampler=DistributedSampler(Folder(), 2, 0)), 0),
        ([], 0),
    ],
)
def test_films_that_a_loader_drops_are_counted(loader: Any, count: int) -> None:
    assert films_left_out(loader) == count


class Truncated(Folder):
    """A folder of somebody else's, whose errors name no file."""

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        if number == 5:
            raise OSError("image file is truncated (3 bytes not processed)")
        return super().__getitem__(number)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_truncated_film_is_one_sentence_that_names_it(tmp_path: Path, workers: int) -> None:
    for folder in ("films", "lungs"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (32, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{number}.png")
    bad = tmp_path / "films" / "2.png"
    bad.write_bytes(bad.read_bytes()[:-200])
    folder = MaskedFolder(tmp_path / "films", {"lungs": tmp_path / "lungs"}, 16)
    loader = DataLoader(folder, batch_size=2, num_workers=workers)
    with pytest.raises(ValueError, match=f"^cannot read film {bad}: [^\n]+$"):
        list(batches(loader, Scale()))


def test_an_error_in_a_worker_is_one_sentence() -> None:
    loader = DataLoader(Truncated(), batch_size=2, num_workers=2)
    with pytest.raises(ValueError, match="loader fails") as refused:
        list(batches(loader, Scale()))
    assert str(refused.value) == (
        "the loader fails after 2 batches (OSError: image file is truncated (3 bytes not "
        "processed))"
    )
