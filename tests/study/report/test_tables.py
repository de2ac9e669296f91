import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ladders import CELLS, dice_table, score_table
from reports import Reader, read

from cxr_noise_transforms.study.report import paper
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.statistics.performance import performance
from cxr_noise_transforms.study.statistics.resampling import bootstrap

TASK = "Effusion / Edema"


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
    assert beside[4] == "0.323"


@pytest.fixture(scope="module")
def rare(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """A report of twelve films, of which two are left out and three have the label."""
    table = score_table()
    film = table.image.str.removeprefix("image").astype(int)
    table["target"] = (film < 3).astype(float).where(film < 10)
    table = pd.concat([table, table.assign(label="Mass", target=(film < 6).astype(float))])
    return read(table.assign(weights="best"), tmp_path_factory.mktemp("rare"))


@pytest.mark.parametrize(("metric", "number"), [("AUPRC", (0.3 + 0.5) / 2), ("F1", 0.5641)])
def test_a_constant_answer_stands_beside(rare: Reader, metric: str, number: float) -> None:
    # F1 of always answering yes: 2 p / (1 + p), the mean of 6/13 and 2/3
    header, *body = rare.tables[f"{TASK}: {metric}, mean of A, B"]
    place = header.index("constant answer")
    assert header[place - 1] == metric
    assert {row[place] for row in body} == {f"{number:.3f}"}
    header, first, *_ = rare.tables[
        f"{TASK}: {metric} of each network; * differs from its clean value, p < 0.05 after Holm "
        "over all networks and cells"
    ]
    assert first == ["constant answer", "", f"{number:.3f}", f"{number:.3f}"]
    curves = next(
        rows for name, rows in rare.tables.items() if name.startswith(f"{TASK}: {metric} curves")
    )
    assert {row[curves[0].index("constant answer")] for row in curves[1:]} == {f"{number:.3f}"}
    beside = rare.tables["Clean films, and the paper's Table 2"]
    assert beside[1][beside[0].index(metric) + 1] == f"{number:.3f}"


def test_each_label_has_its_constant_answer(rare: Reader) -> None:
    for metric, numbers in (("AUPRC", ["0.300", "0.500"]), ("F1", ["0.462", "0.667"])):
        rows = rare.tables[f"{TASK}: {metric} of each label, mean over networks"]
        assert rows[1] == ["constant answer", "", *numbers]


def test_other_metrics_have_no_such_column(rare: Reader) -> None:
    for metric in ("AUROC", "Brier score"):
        assert "constant answer" not in rare.tables[f"{TASK}: {metric}, mean of A, B"][0]


def test_films_without_a_label_are_counted(rare: Reader) -> None:
    header, *body = next(
        rows for name, rows in rare.tables.items() if name.startswith("Tasks and films")
    )
    assert header[-2:] == ["test films with the label", "left out"]
    assert [[row[1], *row[-2:]] for row in body] == [["Edema", "3", "2"], ["Mass", "6", "0"]]


def test_films_that_all_have_labels_need_no_such_column(tmp_path: Path) -> None:
    assert "left out" not in read(score_table(), tmp_path).tables["Tasks and films"][0]


def test_checkpoints_have_their_constant_answer(tmp_path: Path) -> None:
    table = score_table()
    found = read(pd.concat([table, table.assign(weights="swa")]), tmp_path).tables
    header, *body = found[f"{TASK}: both checkpoints, mean of A, B"]
    place = header.index("constant answer")
    constants = {row[0]: row[place] for row in body}
    assert constants == {"AUROC": "–", "AUPRC": "0.500", "accuracy": "0.500", "F1": "0.667",
                         "Brier score": "–", "ECE": "–"}  # fmt: skip


def test_all_tasks_have_one_table(tmp_path: Path) -> None:
    table = score_table()
    found = read(pd.concat([table, table.assign(task="another")]), tmp_path).tables
    header, *body = found["All tasks: AUROC, mean over networks"]
    assert [row[0] for row in body] == [TASK, "another"]
    alone = find(table)[0].levels.value["auroc", 0, 0]
    assert {row[header.index("clean AUROC")].split()[0] for row in body} == {f"{alone:.3f}"}


def test_noise_seeds_have_a_spread(tmp_path: Path) -> None:
    several = read(dice_table(noise_seeds=3), tmp_path / "several")
    one = read(dice_table(), tmp_path / "one")
    caption = "lungs: Dice, mean of A, B"
    assert several.tables[caption][0][-1] == "sd over noise seeds"
    assert float(several.tables[caption][2][-1]) > 0
    assert "sd over noise seeds" not in one.tables[caption][0]


def test_contradictions_of_the_paper_are_marked(tmp_path: Path) -> None:
    caption = "lungs, and the paper's Table 1; † contradicts itself, see below"
    rows = read(dice_table(), tmp_path).tables[caption]
    assert [row[4] for row in rows if row[:2] == ["0", "10"]] == ["0.13†"]
    assert [row[4] for row in rows if row[:2] == ["0", "4"]] == ["0.72"]
    assert len(paper.contradictions()) == 12
