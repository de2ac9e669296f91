"""The report as a whole: its files, its sections, its elements."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ladders import dice_table, score_table
from PIL import Image
from reports import Reader, look, read

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.report.gallery import draw, sweep_views
from cxr_noise_transforms.study.report.page import (
    find_in_sweeps,
    write_report,
    write_report_of_table,
)

BUNDLE = Path(__file__).parents[3] / "examples" / "bundles" / "segmentation"
EVIL = """<script>alert(1)</script>&"'|_x_"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two networks and several labels, with pictures."""
    out = tmp_path_factory.mktemp("page")
    write_report_of_table(out, dice_table(labels=("lungs", "heart")), "Title", {}, look)
    return out


def test_names_are_escaped(tmp_path: Path) -> None:
    table = dice_table([EVIL])
    table["image"] = table.image + EVIL
    write_report_of_table(tmp_path, table, EVIL, {EVIL: EVIL}, look)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = Reader(html)
    assert "<script" not in html
    assert not found.all("script")
    assert any(
        f"image0000{EVIL}" in cell for rows in found.tables.values() for row in rows for cell in row
    )
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "<script" not in markdown
    # a bar in a name does not divide its cell
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;&amp;\"'\|" in markdown.replace('"', r"\"")


@pytest.mark.parametrize(
    ("table", "captions"),
    [
        (dice_table(["A"]), ["lungs: Dice, mean of A"]),
        (dice_table(labels=("lungs", "heart")), ["lungs: Dice of each label, mean over networks"]),
        (dice_table(weights=("best", "swa")), ["lungs: both checkpoints, mean of A, B"]),
        (dice_table(weights=("",)), ["lungs: Dice, mean of A, B"]),
        (score_table(["A"]), ["Effusion / Edema: AUROC, mean of A"]),
        (pd.concat([dice_table(), score_table()]), ["lungs: Dice, mean of A, B"]),
        (dice_table().query("se == 0"), ["lungs: Dice, mean of A, B"]),
        (dice_table().query("sq == se"), ["lungs: Dice, mean of A, B"]),
        (dice_table().replace({"metric": {"iou": "own"}}), ["lungs: own, mean of A, B"]),
    ],
    ids=["one-network", "labels", "averaged", "no-name", "binary", "two-tasks", "one-axis",
         "no-axis", "own-metric"],
)  # fmt: skip
def test_any_table_has_a_report(table: pd.DataFrame, captions: list[str], tmp_path: Path) -> None:
    assert set(captions) <= set(read(table, tmp_path).tables)


def test_the_answer_comes_first_and_the_settings_last(page: Path) -> None:
    html = (page / "report.html").read_text(encoding="utf-8")
    parts = ['class="cards"', "<nav", ">In words<", ">What was measured<", ">Films under noise<",
             ">More curves<", ">Tables<", ">Worst films<", ">Settings and provenance<"]  # fmt: skip
    places = [html.index(part) for part in parts[:2]] + [html.rindex(part) for part in parts[2:]]
    assert places == sorted(places)
    markdown = (page / "report.md").read_text(encoding="utf-8")
    assert markdown.splitlines()[2].startswith("- **Quantum noise:** Dice falls from ")


def test_markdown_shows_its_pictures(tmp_path: Path) -> None:
    write_report_of_table(tmp_path, dice_table(), "Title", {}, look)
    named = set(
        re.findall(r"\]\((report/\d+\.(?:jpg|png))\)", (tmp_path / "report.md").read_text())
    )
    written = {f"report/{path.name}" for path in (tmp_path / "report").iterdir()}
    assert named == written
    for name in named:
        with Image.open(tmp_path / name) as picture:
            picture.verify()


def test_a_small_film_keeps_its_pixels_and_has_both_outlines() -> None:
    with Image.open(io.BytesIO(draw(look("", "", 0, 0)))) as picture:
        pixels = np.asarray(picture).astype(int)
    assert pixels.shape == (256, 256, 3)
    for colour in ((0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)):
        assert (np.abs(pixels - colour).max(axis=-1) < 40).sum() > 50


def test_page_needs_nothing_but_itself(page: Path) -> None:
    html = (page / "report.html").read_text(encoding="utf-8")
    found = Reader(html)
    assert "://" not in re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", html)
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in found.elements}
    for _, attributes in found.elements:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_page_is_accessible(page: Path) -> None:
    found = Reader((page / "report.html").read_text(encoding="utf-8"))
    assert len(found.all("h1")) == 1
    assert found.all("html") == [{"lang": "en"}]
    assert all(picture.get("alt") for picture in found.all("img"))
    assert all(picture.get("aria-label") for picture in found.all("svg"))
    assert "" not in found.tables
    boxes = [one for one in found.all("div") if one.get("class") == "scroll"]
    assert len(boxes) == len(found.all("table"))
    assert all(one["tabindex"] == "0" and one["aria-label"] for one in boxes)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A finished sweep of a small network on a few phantoms."""
    sweep = Sweep(
        bundle=BUNDLE,
        out=tmp_path_factory.mktemp("sweep"),
        task="lungs",
        measure="segmentation",
        labels=["lungs"],
        options={
            "dataset_dir": None,
            "organs": "lungs",
            "size": 32,
            "encoder": "tu-test_resnet",
            "phantoms": 20,
            "seed": 0,
        },
        training={
            "encoder_weights": "none",
            "epochs": 1,
            "swa_start": 1,
            "batch_size": 4,
            "learning_rate": 1e-2,
        },
        device="cpu",
        cells=[(0, 0), (0, 4), (4, 0)],
        noise_seeds=(3,),
    )
    sweep.run(["FPN"])
    return sweep


def test_pictures_are_what_was_measured(sweep: Sweep) -> None:
    table = read_table(sweep.out / "per_image.parquet")
    views = sweep_views([sweep], "FPN")
    for row in table[(table.metric == "dice") & (table.se == 4)].itertuples():
        seen = views(sweep.task, row.image, row.sq, row.se)
        assert seen.reference is not None
        assert seen.prediction is not None
        both = (seen.reference * seen.prediction).sum()
        dice = 2 * both / (seen.reference.sum() + seen.prediction.sum())
        assert dice == pytest.approx(row.value, abs=1e-6)


def test_report_of_a_sweep(sweep: Sweep, tmp_path: Path) -> None:
    table = read_table(sweep.out / "per_image.parquet")
    tasks = find_in_sweeps([sweep], ["FPN"], table)
    paths = write_report([sweep], tasks, tmp_path, "Phantoms", "python sweep.py --seed 0")
    assert paths == [tmp_path / "report.html", tmp_path / "report.md"]
    html = paths[0].read_text(encoding="utf-8")
    assert "Phantoms, which say nothing about patients." in html
    assert "python sweep.py --seed 0" in html
    found = Reader(html)
    assert found.tables["Tasks and films"][1][2:6] == ["14", "3", "3", "3"]
    # two films by two axes of two cells, and each test film where it fails
    assert len(found.all("img")) == 2 * 2 * 2 + 3
    first = next(picture["src"] for picture in found.all("img"))
    assert first is not None
    with Image.open(io.BytesIO(base64.b64decode(first.partition(",")[2]))) as picture:
        assert picture.size == (256, 256)


def test_a_report_without_the_weights_says_so(sweep: Sweep, tmp_path: Path) -> None:
    shutil.copytree(sweep.out, tmp_path / "copy")
    (tmp_path / "copy" / "FPN" / "model.pt").unlink()
    table = read_table(sweep.out / "per_image.parquet")
    lost = Sweep(**{**vars(sweep), "out": tmp_path / "copy"})
    with pytest.raises(FileNotFoundError, match=r"model\.pt"):
        write_report([lost], find_in_sweeps([lost], ["FPN"], table), tmp_path, "Phantoms")
