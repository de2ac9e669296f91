"""A training in a folder answers for the films that it was trained on, and for no others."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from layouts import write_image, write_table
from PIL import Image

from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.evaluation.sweep import Sweep

BUNDLE = Path(__file__).parents[3] / "examples" / "bundles" / "classification"
FILMS = 40
OTHER = r"was trained on other films or labels than the data folder holds now: restore them, or"


def sweep(root: Path, **loading: Any) -> Sweep:
    options = {"pair": "Effusion / Edema", "size": 32, "seed": 0}
    training = {"pretrained": "none", "epochs": 1, "swa_start": 1, "batch_size": 8}
    return Sweep(
        bundle=BUNDLE,
        out=root / "out",
        task="Effusion / Edema",
        measure="binary",
        labels=["Edema"],
        options={"dataset_dir": str(root / "nih"), **options},
        training={**training, "learning_rate": 1e-3},
        loading=loading,
        cells=[(0.0, 0.0), (4.0, 0.0)],
        device="cpu",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    rows = [(f"{n:08d}_000.png", ("Effusion", "Edema")[n % 2], n) for n in range(FILMS)]
    for image, _, _ in rows:
        write_image(root / "nih" / "images" / image)
    write_table(root / "nih", rows)
    sweep(root).run(["test_resnet"])
    return root


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    """Another place, with other times of change."""
    for part in ("nih", "out"):
        shutil.copytree(trained / part, tmp_path / part, copy_function=shutil.copyfile)
    return tmp_path


def film_of(root: Path, part: str) -> Path:
    split = json.loads((root / "out" / "test_resnet" / "split.json").read_text())
    return root / "nih" / split[part][0]["image"]


def retouch(path: Path) -> None:
    """Another pixel under the same name."""
    with Image.open(path) as film:
        film.load()
    film.putpixel((3, 3), 255 - film.getpixel((3, 3)))
    film.save(path)


def test_the_same_films_in_another_place_are_the_same(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copied / "out" / "per_image.parquet").read_bytes()

    def never(*_: object, **__: object) -> None:
        pytest.fail("something is trained or measured")

    monkeypatch.setattr(NoisyBatch, "__call__", never)
    sweep(copied).run(["test_resnet"])
    assert (copied / "out" / "per_image.parquet").read_bytes() == before


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_finished_training_of_other_films_is_refused(copied: Path, part: str) -> None:
    retouch(film_of(copied, part))
    with pytest.raises(ValueError, match=OTHER):
        sweep(copied).run(["test_resnet"])


def test_a_finished_training_of_other_patients_is_refused(copied: Path) -> None:
    path = next((copied / "nih").glob("Data_Entry*"))
    train = film_of(copied, "train").name
    lines = path.read_text().splitlines()
    patient = str(int(train.split("_")[0]))
    changed = [
        line.replace(f",{patient},", f",{FILMS + 1},") if line.startswith(train) else line
        for line in lines
    ]
    assert changed != lines
    path.write_text("\n".join(changed))
    with pytest.raises(ValueError, match=OTHER):
        sweep(copied).run(["test_resnet"])


def test_cells_of_another_test_film_are_refused(copied: Path) -> None:
    retouch(film_of(copied, "test"))
    with pytest.raises(ValueError, match=r"^the films \(.*\) differ between the cells in /"):
        sweep(copied).run(["test_resnet"])


def test_an_interrupted_training_does_not_go_on_with_other_films(copied: Path) -> None:
    folder = copied / "out" / "test_resnet"
    # as it is when the program ends before the record is written
    (folder / "training.json").unlink()
    retouch(film_of(copied, "train"))
    with pytest.raises(ValueError, match=OTHER):
        sweep(copied).run(["test_resnet"])


def test_a_truncated_film_is_one_sentence_in_a_workers_process_too(copied: Path) -> None:
    (copied / "out" / "test_resnet" / "training.json").unlink()
    (copied / "out" / "test_resnet" / "resume.pt").unlink()
    path = film_of(copied, "train")
    path.write_bytes(path.read_bytes()[:-30])
    for loading in ({}, {"cache": "none", "num_workers": 1}):
        with pytest.raises(ValueError, match=f"^cannot read film {path}: [^\n]+$"):
            sweep(copied, **loading).run(["test_resnet"])
