import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import write_deep_colours, write_tiff
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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK"])
def test_colours_become_grey(tmp_path: Path, mode: str) -> None:
    path = write_image(tmp_path / "film.png")
    coloured = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
    Image.open(path).convert("RGB" if mode == "CMYK" else "L").convert(mode).save(coloured)
    with Image.open(coloured) as film:
        assert film.mode == mode
    assert np.array_equal(read_grey(coloured, 64), read_grey(path, 64))


def test_colours_that_have_no_luminance_are_named(tmp_path: Path) -> None:
    Image.new("LAB", (8, 8)).save(tmp_path / "lab.tif")
    with pytest.raises(ValueError, match=r"cannot read film .*lab.tif as grey: conversion "):
        read_grey(tmp_path / "lab.tif", 8)


def ramp(highest: int) -> np.ndarray:
    return np.linspace(0, highest, 64 * 64).astype(np.uint16).reshape(64, 64)


def test_a_12_bit_film_in_a_16_bit_file_fills_the_scale_that_is_named(tmp_path: Path) -> None:
    Image.fromarray(ramp(4095)).save(tmp_path / "deep.png")
    grey = read_grey(tmp_path / "deep.png", 64, levels=4095)
    assert np.abs(grey - ramp(4095) / 4095 * 255).max() <= 0.5


@pytest.mark.parametrize("highest", [1, 255, 4095, 16383])
def test_a_film_that_would_be_nearly_black_is_refused(tmp_path: Path, highest: int) -> None:
    Image.fromarray(ramp(highest)).save(tmp_path / "deep.png")
    message = (
        rf"film .*deep.png has values up to {highest} in a file for values up to 65535: its full "
        rf"scale must be given as levels, {highest} or 65535"
    )
    with pytest.raises(ValueError, match=message):
        read_grey(tmp_path / "deep.png", 64)
    # whoever names the scale has a dark film
    assert read_grey(tmp_path / "deep.png", 64, levels=65535).max() == round(highest / 257)


def test_a_black_film_has_no_scale_to_be_named(tmp_path: Path) -> None:
    Image.fromarray(ramp(0)).save(tmp_path / "black.png")
    assert not read_grey(tmp_path / "black.png", 64).any()


def test_values_beyond_the_named_scale_are_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp(5000)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep.png must hold values from 0 to 4095, got 0 to"):
        read_grey(tmp_path / "deep.png", 64, levels=4095)
    with pytest.raises(ValueError, match="levels must be at least 1, got 0"):
        read_grey(tmp_path / "deep.png", 64, levels=0)


def test_a_scale_beyond_a_files_own_does_not_darken_it(tmp_path: Path) -> None:
    path = write_image(tmp_path / "film.png")
    assert np.array_equal(read_grey(path, 64, levels=4095), read_grey(path, 64))


@pytest.mark.parametrize("alpha", [False, True])
def test_16_bit_colours_are_read_on_their_own_scale_alone(tmp_path: Path, alpha: bool) -> None:
    path = write_deep_colours(tmp_path / "deep.png", ramp(65535), alpha=alpha)
    assert np.array_equal(read_grey(path, 64), ramp(65535) >> 8)
    with pytest.raises(ValueError, match=r"deep.png must be grey to be read with levels, got "):
        read_grey(path, 64, levels=4095)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("big_endian", [False, True])
def test_a_tiff_of_any_depth_has_its_blacks_black(
    tmp_path: Path, bits: int, white_is_zero: bool, big_endian: bool
) -> None:
    full = 2**bits - 1
    values = np.random.default_rng(0).integers(0, full + 1, (16, 16))
    stored = full - values if white_is_zero else values
    options = {"white_is_zero": white_is_zero, "big_endian": big_endian}
    path = write_tiff(tmp_path / "film.tif", stored, bits, **options)
    if (bits == 12 and (white_is_zero or big_endian)) or (
        bits == 16 and white_is_zero and big_endian
    ):
        with pytest.raises(ValueError, match=r"cannot read film .*film.tif"):
            read_grey(path, 16)
        return
    assert np.abs(read_grey(path, 16) - values / full * 255).max() <= 0.5


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_a_compressed_negative_is_turned_over_too(tmp_path: Path, compression: str) -> None:
    negative = Image.fromarray(65535 - ramp(65535))
    negative.save(tmp_path / "film.tif", compression=compression, tiffinfo={262: 0})
    assert np.abs(read_grey(tmp_path / "film.tif", 64) - ramp(65535) / 257).max() <= 0.5


def test_a_12_bit_negative_is_turned_over_on_its_own_scale(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "film.tif", 4095 - ramp(4095), 16, white_is_zero=True)
    grey = read_grey(path, 64, levels=4095)
    assert np.abs(grey - ramp(4095) / 4095 * 255).max() <= 0.5
    with pytest.raises(ValueError, match="its full scale must be given as levels, 4095 or 65535"):
        read_grey(path, 64)


@pytest.mark.parametrize(("bits", "signed"), [(16, True), (32, True), (32, False)])
def test_integers_without_a_scale_need_one(tmp_path: Path, bits: int, signed: bool) -> None:
    path = write_tiff(tmp_path / "film.tif", ramp(4095), bits, signed=signed)
    with pytest.raises(ValueError, match=r"film.tif holds signed or 32-bit integers: their full "):
        read_grey(path, 64)
    assert read_grey(path, 64, levels=4095).max() == 255
    write_tiff(path, ramp(4095).astype(int) - 1, bits, signed=True)
    with pytest.raises(ValueError, match=r"must hold values from 0 to 4095, got -1 to 4094"):
        read_grey(path, 64, levels=4095)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
def test_a_film_that_is_stored_turned_is_refused(tmp_path: Path, ending: str) -> None:
    path, film = tmp_path / f"film.{ending}", Image.new("L", (16, 16), 200)
    for orientation in (1, 6):
        if ending == "tif":
            film.save(path, tiffinfo={274: orientation})
        else:
            exif = Image.Exif()
            exif[274] = orientation
            film.save(path, exif=exif)
        if orientation == 1:
            assert read_grey(path, 16).max() == 200
    with pytest.raises(ValueError, match=r"film .* must be stored upright, got orientation 6"):
        read_grey(path, 16)


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_a_file_of_several_pages_is_refused(tmp_path: Path, ending: str) -> None:
    path, film = tmp_path / f"film.{ending}", Image.new("L", (16, 16), 200)
    film.save(path, save_all=True)
    assert read_grey(path, 16).max() == 200
    film.save(path, save_all=True, append_images=[Image.new("L", (16, 16), 100)])
    with pytest.raises(ValueError, match=rf"film.{ending} must be one image, got 2 pages"):
        read_grey(path, 16)


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


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_an_entry_that_was_cut_off_is_made_anew(folder: Path, tmp_path: Path, share: float) -> None:
    films, load = segmentation_films(folder, "lungs"), LoadMaskedFilm(32, "lungs", folder)
    whole = cached(films, load, tmp_path / "cache")[0]
    [entry] = (tmp_path / "cache").iterdir()
    content = entry.read_bytes()
    entry.write_bytes(content[: int(share * len(content))])
    assert same(cached(films, load, tmp_path / "cache")[0], whole)
    assert len(entry.read_bytes()) == len(content)


def test_phantoms_are_kept_on_disk_too(tmp_path: Path) -> None:
    films = segmentation_films(None, "heart", phantoms=2)
    load = LoadMaskedFilm(32, "heart")
    assert same(cached(films, load, tmp_path)[1], load(films[1]))
    assert same(cached(films, load, tmp_path)[1], load(films[1]))


def test_a_file_is_no_folder_to_cache_in(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a directory"):
        cached([], LoadMaskedFilm(32, "lungs"), tmp_path / "file")
