"""A folder of films with masks, or with a table of labels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import write_ward

from cxr_noise_transforms.study.films.folders import LabelledFolder, MaskedFolder
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
        ("film,patient\nward/000.png,a\n", "must be a CSV with image and patient"),
    ):
        table.write_text(content)
        with pytest.raises(ValueError, match=message):
            MaskedFolder(folder / "films", {"lungs": folder / "lungs"}, 32, table)
    for content, error, message in (
        (
            "image\nward/000.png\n",
            ValueError,
            "must have the column image and one column per label",
        ),
        ("image,sick\nward/000.png,2\n", ValueError, "column sick of .* must be 0 or 1"),
        ("image,sick\nward/000.png,\n", ValueError, "column sick of .* must be 0 or 1"),
        ("image,sick\nnone.png,1\n", FileNotFoundError, "1 of 1 films of .* the first is none"),
        ("image,patient,sick\nward/000.png,,1\n", ValueError, "must have a patient in every row"),
    ):
        table.write_text(content)
        with pytest.raises(error, match=message):
            LabelledFolder(folder / "films", table, 32)
