"""What the report says, and how a browser shows it."""

import base64
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, chromium
from ladders import CELLS, dice_table, score_table
from PIL import Image

from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.report import paper
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.report.gallery import View, draw, sweep_views
from cxr_noise_transforms.study.report.page import write_report, write_report_of_table
from cxr_noise_transforms.study.statistics.performance import performance
from cxr_noise_transforms.study.statistics.resampling import bootstrap

BUNDLE = Path(__file__).parents[3] / "examples" / "bundles" / "segmentation"
EVIL = """<script>alert(1)</script>&"'|_x_"""


class Reader(HTMLParser):
    """Tables by caption, and the attributes of every element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._where, self._caption, self._rows = "", "", []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        self._where = tag if tag in ("td", "th", "caption") else self._where

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
        if tag == self._where:
            self._where = ""

    def handle_data(self, text: str) -> None:
        if self._where == "caption":
            self._caption += text
        elif self._where:
            self._rows[-1][-1] += text

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(table: pd.DataFrame, out: Path, **more: object) -> Reader:
    write_report_of_table(out, table, "Title", {"films": "made up"}, **more)  # type: ignore[arg-type]
    return Reader((out / "report.html").read_text(encoding="utf-8"))


def look(task: str, image: str, sq: float, se: float) -> View:  # noqa: ARG001
    """A wedge with a square for reference and a shifted one for prediction."""
    masks = np.zeros((2, 1, 32, 32))
    masks[0, 0, 8:20, 8:20] = masks[1, 0, 10:24, 10:24] = 1
    return View(np.linspace(0, 1, 32 * 32).reshape(32, 32), *masks)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two networks and several labels, with pictures."""
    out = tmp_path_factory.mktemp("page")
    write_report_of_table(out, dice_table(labels=("lungs", "heart")), "Title", {}, look)
    return out


def test_values_are_those_of_performance_and_intervals(tmp_path: Path) -> None:
    table = dice_table()
    body = read(table, tmp_path).tables["lungs: Dice, mean of A, B"][1:]
    means = performance(table).query("metric == 'dice'").groupby(["sq", "se"]).value.mean()
    mean = bootstrap(table, resamples=1000).mean_over("network").select(metric="dice")
    intervals = mean.intervals().set_index(["sq", "se"])
    assert len(body) == len(CELLS)
    for row in body:
        cell = (float(row[0]), float(row[1]))
        found = [float(number) for number in re.findall(r"[\d.]+", row[4])]
        expected = [means[cell], *intervals.loc[cell, ["lower", "upper"]]]
        assert np.allclose(found, expected, atol=6e-4)
        if cell != (0, 0):
            assert float(row[5].split()[0]) == pytest.approx(means[cell] - means[0, 0], abs=6e-4)


def test_scores_have_their_metrics(tmp_path: Path) -> None:
    table = score_table()
    found = read(table, tmp_path).tables
    auroc = performance(table).query("metric == 'auroc' and sq == 10").value.mean()
    row = next(row for row in found["Effusion / Edema: AUROC, mean of A, B"] if row[0] == "10")
    assert float(row[4].split()[0]) == pytest.approx(auroc, abs=6e-4)
    for name in ("AUPRC", "F1", "Brier score", "ECE"):
        assert f"Effusion / Edema: {name}, mean of A, B" in found
    beside = found["Clean films, and the paper's Table 2"][1]
    assert beside[0] == "Effusion / Edema"
    assert beside[3] == "0.323"


def test_headline_says_what_is_lost_and_where(tmp_path: Path) -> None:
    table = dice_table(["A"])
    read(table, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    value = performance(table).query("metric == 'dice'").set_index(["sq", "se"]).value
    line = next(line for line in text.splitlines() if line.startswith("- **Electronic noise.**"))
    assert f"Dice falls from {value[0, 0]:.3f} [" in line
    assert f"to {value[0, 10]:.3f} [" in line
    # straight lines between the cells
    part = (value[0, 4] - value[0, 0] / 2) / (value[0, 4] - value[0, 10])
    assert f"Half of it is lost at s_e = {4 + 6 * part:.1f}." in line
    assert "With 6 test patients" in text


@pytest.mark.parametrize("rises", [True, False])
def test_a_rise_is_told_from_chance(rises: bool, tmp_path: Path) -> None:
    table = dice_table(["A"], films=40)
    table.loc[(table.sq == 10) & rises, "value"] += 0.2
    read(table, tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert ("Some gain is more than chance between patients" in text) == rises
    assert ("None: at every step of both axes it gets worse, or stays." in text) != rises


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


def test_noise_seeds_have_a_spread(tmp_path: Path, page: Path) -> None:
    several = read(dice_table(noise_seeds=3), tmp_path)
    one = Reader((page / "report.html").read_text(encoding="utf-8"))
    caption = "lungs: Dice, mean of A, B"
    assert several.tables[caption][0][-1] == "sd over noise seeds"
    assert float(several.tables[caption][2][-1]) > 0
    assert "sd over noise seeds" not in one.tables[caption][0]


def test_worst_films_come_first() -> None:
    table = dice_table(["A"])
    table.loc[table.image == "image0003", "value"] /= 3
    one = find(table)[0]
    films = one.films("A")
    assert films.index[0] == "image0003"
    assert films.loc["image0003", (0.0, 4.0)] == pytest.approx(
        table.query("image == 'image0003' and se == 4 and metric == 'dice'").value.item()
    )
    assert one.failures(films)[(0.0, 10.0)].all()
    assert not one.failures(films)[(0.0, 0.0)].any()


def test_a_score_fails_on_the_wrong_side() -> None:
    one = find(score_table(["A"]))[0]
    films = one.films("A")
    table = one.table[(one.table.sq == 0) & (one.table.se == 0)].set_index("image")
    wrong = (table.value >= 0.5) != (table.target == 1)
    assert one.failures(films)[(0.0, 0.0)].to_dict() == wrong.to_dict()


def test_contradictions_of_the_paper_are_marked(page: Path) -> None:
    caption = "lungs, and the paper's Table 1; † contradicts itself, see below"
    rows = Reader((page / "report.html").read_text(encoding="utf-8")).tables[caption]
    assert [row[4] for row in rows if row[:2] == ["0", "10"]] == ["0.13†"]
    assert [row[4] for row in rows if row[:2] == ["0", "4"]] == ["0.72"]
    assert len(paper.contradictions()) == 12


def test_a_missing_clean_cell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must have the cell sq=0, se=0 of task lungs"):
        read(dice_table().query("sq > 0"), tmp_path)


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


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_browser_shows_it_without_errors_network_or_sideways_scrolling(tmp_path: Path) -> None:
    table = pd.concat([dice_table(), score_table()])
    table["image"] = table.image + "-with-a-name-that-is-far-too-long-for-the-window-of-a-telephone"
    read(table, tmp_path, views=look)
    with chromium(tmp_path / "profile") as tab:
        for width, scheme in ((1280, "light"), (390, "dark")):
            tab.open(tmp_path / "report.html", width, scheme)
            tab.value("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert tab.value("document.documentElement.scrollWidth") <= width
            assert tab.value("[...document.images].every(one => one.naturalWidth > 0)")
            complaints = {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}
            assert not [event for event in tab.events if event.get("method") in complaints]
            asked = [
                event["params"]["request"]["url"].partition(":")[0]
                for event in tab.events
                if event.get("method") == "Network.requestWillBeSent"
            ]
            assert asked.count("file") == 1
            assert set(asked) == {"file", "data"}


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
    table = pd.read_csv(sweep.out / "per_image.csv")
    views = sweep_views([sweep], "FPN")
    for row in table[(table.metric == "dice") & (table.se == 4)].itertuples():
        seen = views(sweep.task, row.image, row.sq, row.se)
        assert seen.reference is not None
        assert seen.prediction is not None
        both = (seen.reference * seen.prediction).sum()
        dice = 2 * both / (seen.reference.sum() + seen.prediction.sum())
        assert dice == pytest.approx(row.value, abs=1e-6)


def test_report_of_a_sweep(sweep: Sweep, tmp_path: Path) -> None:
    table = pd.read_csv(sweep.out / "per_image.csv")
    paths = write_report([sweep], ["FPN"], table, tmp_path, "Phantoms", "python sweep.py --seed 0")
    assert paths == [tmp_path / "report.html", tmp_path / "report.md"]
    html = paths[0].read_text(encoding="utf-8")
    assert "they demonstrate the pipeline and say nothing about patients" in html
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
    table = pd.read_csv(sweep.out / "per_image.csv")
    lost = Sweep(**{**vars(sweep), "out": tmp_path / "copy"})
    with pytest.raises(FileNotFoundError, match=r"model\.pt"):
        write_report([lost], ["FPN"], table, tmp_path, "Phantoms")
