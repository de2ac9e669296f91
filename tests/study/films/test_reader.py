import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import write_annotated, write_image
from monai.data import DataLoader
from PIL import Image

from cxr_noise_transforms.study.films import LoadMaskedFilm, cached, read_grey, segmentation_films


def test_a_16_bit_film_is_scaled_not_cut(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    grey = read_grey(tmp_path / "deep.png", 64)
    assert np.abs(grey - ramp / 257).max() <= 0.5


def test_an_8_bit_film_of_that_size_is_read_unchanged(tmp_path: Path) -> None:
    path = write_image(tmp_path / "film.png")
    assert np.array_equal(read_grey(path, 64), np.asarray(Image.open(path)))


def test_colours_become_grey(tmp_path: Path) -> None:
    path = write_image(tmp_path / "film.png")
    grey = read_grey(path, 64)
    Image.open(path).convert("RGBA").save(tmp_path / "rgba.png")
    assert np.array_equal(read_grey(tmp_path / "rgba.png", 64), grey)


def test_film_that_is_not_square_is_named(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "wide.png")
    with pytest.raises(ValueError, match=r"wide.png must be square, got 64 x 48"):
        read_grey(tmp_path / "wide.png", 64)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (48, 64), (64, 64), (63, 64)])
def test_padding_is_black_and_on_both_sides(tmp_path: Path, width: int, height: int) -> None:
    Image.new("L", (width, height), 200).save(tmp_path / "film.png")
    grey = read_grey(tmp_path / "film.png", 64, pad=True)
    assert grey.shape == (64, 64)
    assert (grey > 0).sum() == (grey == 200).sum() == width * height
    rows, columns = np.nonzero(grey)
    for first, last in ((rows.min(), rows.max()), (columns.min(), columns.max())):
        assert abs(first - (63 - last)) <= 1


def test_padding_comes_before_resizing(tmp_path: Path) -> None:
    Image.new("L", (200, 100), 200).save(tmp_path / "film.png")
    grey = read_grey(tmp_path / "film.png", 64, pad=True)
    assert grey.shape == (64, 64)
    assert np.all(grey[20:44] == 200)
    assert np.all(grey[:12] == 0)
    assert np.all(grey[52:] == 0)


def test_a_missing_film_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read film .*nowhere.png"):
        read_grey(tmp_path / "nowhere.png", 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(1, 4):
        write_annotated(tmp_path / "data", f"JPCLN00{number}")
    return tmp_path / "data"


@pytest.fixture(params=["memory", "none", "folder"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "cache") if request.param == "folder" else request.param


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(value, other[key]) if isinstance(value, torch.Tensor) else value == other[key]
        for key, value in one.items()
    )


def test_a_cached_film_is_the_loaded_one(folder: Path, cache: str) -> None:
    films = segmentation_films(folder, "lungs")
    load = LoadMaskedFilm(32, "lungs", folder)
    for _ in range(2):
        dataset = cached(films, load, cache)
        assert len(dataset) == 3
        for film, sample in zip(films, dataset, strict=True):
            assert sample["image"].dtype == torch.uint8
            assert same(sample, load(film))


def test_workers_read_the_cache(folder: Path, cache: str) -> None:
    films = segmentation_films(folder, "lungs")
    dataset = cached(films, LoadMaskedFilm(32, "lungs", folder), cache)
    batch = next(iter(DataLoader(dataset, batch_size=3, num_workers=1)))
    assert batch["id"] == ["JPCLN001", "JPCLN002", "JPCLN003"]
    assert batch["image"].shape == (3, 1, 32, 32)
    # as where workers are not forked
    assert same(pickle.loads(pickle.dumps(dataset))[0], dataset[0])  # noqa: S301


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The films that loaders read from now on."""
    names: list[str] = []
    load = LoadMaskedFilm.__call__

    def counted(self: LoadMaskedFilm, film: dict) -> dict:
        names.append(film["id"])
        return load(self, film)

    monkeypatch.setattr(LoadMaskedFilm, "__call__", counted)
    return names


def test_films_on_disk_are_read_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films, names = segmentation_films(folder, "lungs"), reads(monkeypatch)
    for _ in range(3):
        for sample in cached(films, LoadMaskedFilm(32, "lungs", folder), tmp_path / "cache"):
            assert sample["image"].shape == (1, 32, 32)
    assert names == ["JPCLN001", "JPCLN002", "JPCLN003"]
    # 8-bit image and mask, and torch's own few kB around them
    sizes = [path.stat().st_size for path in (tmp_path / "cache").iterdir()]
    assert len(sizes) == 3
    assert max(sizes) < 2 * 32 * 32 + 4096


def other_size(folder: Path, film: dict) -> tuple:
    return LoadMaskedFilm(48, "lungs", folder), film


def other_organs(folder: Path, film: dict) -> tuple:
    return LoadMaskedFilm(32, "lungs-heart", folder), film


def other_patient(folder: Path, film: dict) -> tuple:
    return LoadMaskedFilm(32, "lungs", folder), {**film, "patient": "somebody else"}


def other_folder(folder: Path, film: dict) -> tuple:
    other = folder.parent / "other"
    for number in range(1, 4):
        write_annotated(other, f"JPCLN00{number}", size=96)
    return LoadMaskedFilm(32, "lungs", other), film


def other_image(folder: Path, film: dict) -> tuple:
    Image.new("L", (64, 64), 7).save(folder / film["image"])
    return LoadMaskedFilm(32, "lungs", folder), film


def other_landmarks(folder: Path, film: dict) -> tuple:
    path = folder / "landmarks/RL" / f"{film['id']}.npy"
    before = path.stat()
    np.save(path, np.load(path) * 0.5)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    return LoadMaskedFilm(32, "lungs", folder), film


@pytest.mark.parametrize(
    "change",
    [other_size, other_organs, other_patient, other_folder, other_image, other_landmarks],
)
def test_what_changed_is_not_taken_from_disk(
    folder: Path, tmp_path: Path, change: Callable[[Path, dict], tuple]
) -> None:
    film, kept = segmentation_films(folder, "lungs")[0], tmp_path / "cache"
    before = cached([film], LoadMaskedFilm(32, "lungs", folder), kept)[0]
    load, film = change(folder, film)
    after = cached([film], load, kept)[0]
    assert not same(after, before)
    assert same(after, load(film))


def test_a_film_is_on_disk_whole_or_not_at_all(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films = segmentation_films(folder, "lungs")
    dataset = cached(films, LoadMaskedFilm(32, "lungs", folder), tmp_path / "cache")

    def full_disk(_: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full_disk)
        with pytest.raises(OSError, match="no space left"):
            _ = dataset[0]
    assert list((tmp_path / "cache").iterdir()) == []
    assert dataset[0]["id"] == "JPCLN001"


def test_phantoms_are_kept_on_disk_too(tmp_path: Path) -> None:
    films = segmentation_films(None, "heart", phantoms=2)
    load = LoadMaskedFilm(32, "heart")
    assert same(cached(films, load, tmp_path)[1], load(films[1]))
    assert same(cached(films, load, tmp_path)[1], load(films[1]))


def test_a_file_is_no_folder_to_cache_in(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a directory"):
        cached([], LoadMaskedFilm(32, "lungs"), tmp_path / "file")
