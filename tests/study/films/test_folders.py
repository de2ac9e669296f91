"""A folder of films with masks, or with a table of labels."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from layouts import write_ward
from PIL import Image

from cxr_noise_transforms.study.films.folders import LabelledFolder, MaskedFolder, folder_films
from cxr_noise_transforms.study.films.phantom import chest_phantom

COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ward(tmp_path_factory.mktemp("films"))


def test_masks_of_any_value_are_read(folder: Path) -> None:
    masks = {"lungs": folder / "lungs", "heart": folder / "heart"}
    films = MaskedFolder(folder / "films", masks, 64, folder / "patients.csv")
    assert len(films) == COUNT
    for seed, film in enumerate(films[number] for number in range(COUNT)):
        phantom = chest_phantom(seed, 64)
        assert film["id"] == f"ward/{seed:03}"
        assert torch.equal(film["image"][0], torch.from_numpy(phantom.image) / 255)
        assert np.array_equal(film["label"].numpy(), np.stack([phantom.lungs, phantom.heart]))
    assert [films[number]["patient"] for number in range(3)] == ["a", "a", "b"]
    # at another size the same organ
    small = MaskedFolder(folder / "films", masks, 32)[0]["label"]
    whole = films[0]["label"]
    assert torch.allclose(small.mean((1, 2)), whole.mean((1, 2)), atol=0.02)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"6 of 6 films have no mask of lungs in .*first"):
        MaskedFolder(folder / "films", {"lungs": tmp_path}, 32)
    table = tmp_path / "t.csv"
    for content, message in (
        ("image,patient\nward/000.png,a\n", "names no patient for 5 films, as ward/001"),
        ("film,patient\nward/000.png,a\n", "must have the columns image and patient, has film"),
        ("image,patient\n", "must name films, has no row"),
        ("image,patient\nward/000.png,\n", "must have patient in every row, row 1 has none"),
        ("image,patient\n ,a\n", "must have image in every row, row 1 has none"),
        (
            "image,patient\nward/000.png,a\nward/000,b\n",
            "must have one row per film, has 2 of ward/000",
        ),
    ):
        table.write_text(content)
        with pytest.raises(ValueError, match=message):
            MaskedFolder(folder / "films", {"lungs": folder / "lungs"}, 32, table)
    for content, error, message in (
        (
            "image\nward/000.png\n",
            ValueError,
            "must have one column per label, has image alone",
        ),
        ("image,sick\nward/000.png,2\n", ValueError, "column sick of .* must be 0 or 1"),
        ("image,sick\nward/000.png,\n", ValueError, "column sick of .* of every class, none has 0"),
        (
            "image,sick,age\nward/000.png,1,61\nward/001.png,0,59\n",
            ValueError,
            "column age of .* must be 0 or 1 in every row.* or name it with --groups, if it is no ",
        ),
        ("image,sick\nward/000.png,yes\n", ValueError, "column sick of .* must be 0 or 1"),
        ("image,sick\nnone.png,1\n", FileNotFoundError, "1 of 1 films of .* the first is none"),
        ("image,patient,sick\nward/000.png,,1\n", ValueError, "must have patient in every row"),
        (
            "image,sick\nward/000.png,1\n./ward/000.png,0\n",
            ValueError,
            "must have one row per film, has 2 of ward/000",
        ),
    ):
        table.write_text(content)
        with pytest.raises(error, match=message):
            LabelledFolder(folder / "films", table, 32)


@pytest.mark.parametrize(
    ("classes", "column", "message"),
    [
        (False, [1] * COUNT, "must have films of every class, none has 0"),
        (False, [0] * COUNT, "must have films of every class, none has 1"),
        (False, [0, 1, 2, 0, 1, 2], "must be 0 or 1 in every row"),
        (True, [0] * COUNT, "must have films of every class, none has 1"),
        (True, [0, 1, 3, 0, 1, 3], "must have films of every class, none has 2"),
        (True, [0, 1, 1.5, 0, 1, 0], "must be a class number below 6 in every row"),
        (True, [0, 1, 99, 0, 1, 0], "must be a class number below 6 in every row"),
        (True, [0, 1, -2, 0, 1, 0], "must be a class number below 6 in every row"),
        (False, [1, 1, -1, np.nan, 1, 1], "must have films of every class, none has 0"),
    ],
)
def test_a_label_that_cannot_be_measured_is_told_before(
    folder: Path, tmp_path: Path, classes: bool, column: list[float], message: str
) -> None:
    rows = pd.read_csv(folder / "labels.csv")[["image"]].assign(sick=column)
    rows.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(ValueError, match=f"column sick of .*labels.csv {message}"):
        LabelledFolder(folder / "films", tmp_path / "labels.csv", 32, classes=classes)


@pytest.mark.parametrize("column", [[0, 1, 2, 0, 1, 2], [1, 0, 1, 0, 1, 0]])
def test_class_numbers_without_gaps_are_labels(
    folder: Path, tmp_path: Path, column: list[int]
) -> None:
    rows = pd.read_csv(folder / "labels.csv")[["image"]].assign(kind=column)
    rows.to_csv(tmp_path / "labels.csv", index=False)
    films = LabelledFolder(folder / "films", tmp_path / "labels.csv", 32, classes=True)
    assert [films[number]["label"].item() for number in range(COUNT)] == column


@pytest.mark.parametrize("classes", [False, True])
def test_a_label_may_be_uncertain_or_missing(folder: Path, tmp_path: Path, classes: bool) -> None:
    rows = pd.read_csv(folder / "labels.csv")[["image"]].assign(sick=[0, 1, -1, np.nan, 1, 0])
    rows.to_csv(tmp_path / "labels.csv", index=False)
    films = LabelledFolder(folder / "films", tmp_path / "labels.csv", 32, classes=classes)
    labels = [films[number]["label"].item() for number in range(COUNT)]
    assert np.array_equal(labels, [0, 1, -1, np.nan, 1, 0], equal_nan=True)


@pytest.fixture
def dotted(tmp_path: Path) -> Path:
    """Films whose names look as if they had other endings, each of a grey value of its own."""
    for number, name in enumerate(("a.png", "a.1.png", "a.1.TIF.png", "a.b/c.2.jpg")):
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 50 * (number + 1)).save(tmp_path / "films" / name)
    return tmp_path


def test_a_dot_in_a_name_is_no_ending(dotted: Path) -> None:
    named = ["a.1", "a.1.TIF", "a.png", "a.b/c.2"]
    rows = [f"{name},{number % 2},{number}" for number, name in enumerate(named)]
    (dotted / "labels.csv").write_text("\n".join(["image,sick,patient", *rows]))
    films = LabelledFolder(dotted / "films", dotted / "labels.csv", 8)
    measured = [films[number] for number in range(len(films))]
    assert [film["id"] for film in measured] == ["a.1", "a.1.TIF", "a", "a.b/c.2"]
    assert [round(film["image"].max().item() * 255) for film in measured] == [100, 150, 50, 200]
    # the same names in a table of patients
    (dotted / "masks" / "a.b").mkdir(parents=True)
    for film in films.films:
        Image.new("L", (8, 8)).save(dotted / "masks" / f"{film['id']}.png")
    masked = MaskedFolder(dotted / "films", {"x": dotted / "masks"}, 8, dotted / "labels.csv")
    assert masked.patients == {"a.1": "0", "a.1.TIF": "1", "a": "2", "a.b/c.2": "3"}


@pytest.mark.parametrize("name", ["a.2", "a.jpg", "c.2", "a.b/c"])
def test_a_name_that_is_no_films_is_not_shortened_to_one(dotted: Path, name: str) -> None:
    (dotted / "labels.csv").write_text(f"image,sick\n{name},1\na.1,0\n")
    with pytest.raises(FileNotFoundError, match=f"1 of 2 films of .* the first is {name}"):
        LabelledFolder(dotted / "films", dotted / "labels.csv", 8)


def test_hidden_files_and_folders_are_no_films(dotted: Path) -> None:
    before = folder_films(dotted / "films")
    (dotted / "films" / "._a.png").write_bytes(b"of another program")
    (dotted / "films" / "folder.png").mkdir()
    (dotted / "films" / ".thumbnails").mkdir()
    Image.new("L", (8, 8)).save(dotted / "films" / ".thumbnails" / "a.png")
    assert folder_films(dotted / "films") == before


@pytest.mark.parametrize(
    ("film", "mask", "fits"),
    [
        ((50, 40), (50, 40), True),
        ((50, 40), (500, 400), True),
        ((50, 40), (25, 20), True),
        # half of 51 is no whole number of pixels
        ((51, 40), (25, 20), True),
        ((2048, 2500), (419, 512), True),
        ((50, 40), (40, 50), False),
        ((50, 40), (50, 50), False),
        ((500, 400), (490, 400), False),
        ((50, 40), (5, 1), False),
    ],
)
def test_a_film_and_its_mask_have_one_shape(
    tmp_path: Path, film: tuple[int, int], mask: tuple[int, int], fits: bool
) -> None:
    for kind, size in (("films", film), ("lungs", mask)):
        (tmp_path / kind).mkdir()
        Image.new("L", size, 255).save(tmp_path / kind / "a.png")
    masks = {"lungs": tmp_path / "lungs"}
    if fits:
        # the whole film is lung, and not the frame around it, but for a pixel of the mask
        loaded = MaskedFolder(tmp_path / "films", masks, 100)[0]
        wrong = (loaded["image"] >= 0.5).float() != loaded["label"]
        assert wrong.sum() <= 2 * 100 * math.ceil(100 / max(mask))
        return
    message = (
        rf"a film and its mask must have the same shape, got {film[0]} x {film[1]} for "
        rf".*films/a.png and {mask[0]} x {mask[1]} for .*lungs/a.png"
    )
    with pytest.raises(ValueError, match=message):
        MaskedFolder(tmp_path / "films", masks, 100)


def test_12_bit_films_are_read_on_the_scale_that_is_named(tmp_path: Path) -> None:
    for kind in ("films", "lungs"):
        (tmp_path / kind).mkdir()
        for name, value in (("a", 4095), ("b", 2048)):
            Image.fromarray(np.full((8, 8), value, np.uint16)).save(tmp_path / kind / f"{name}.png")
    (tmp_path / "labels.csv").write_text("image,sick\na,1\nb,0\n")
    masks = {"lungs": tmp_path / "lungs"}
    for films in (
        MaskedFolder(tmp_path / "films", masks, 8, levels=4095),
        LabelledFolder(tmp_path / "films", tmp_path / "labels.csv", 8, levels=4095),
    ):
        assert films[0]["image"].unique().tolist() == [1.0]
        assert films[1]["image"].unique().item() == pytest.approx(128 / 255)
    with pytest.raises(ValueError, match="its full scale must be given as levels, 4095 or 65535"):
        MaskedFolder(tmp_path / "films", masks, 8)[0]
