"""Every long table that passes the checks has a report; what is not defined is a dash in it."""

import re
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reports import look
from tables import rows

from cxr_noise_transforms.study.report.answers import headline
from cxr_noise_transforms.study.report.figures import plot_curves
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.report.gallery import Views
from cxr_noise_transforms.study.report.markdown import markdown
from cxr_noise_transforms.study.report.page import write_report_of_findings
from cxr_noise_transforms.study.statistics.long_table import check_table
from cxr_noise_transforms.study.statistics.summaries import (
    checkpoint_table,
    severity_table,
    task_table,
)

CELLS = [(0.0, 0.0), (4.0, 0.0), (10.0, 0.0), (0.0, 4.0), (0.0, 10.0), (1.0, 1.0), (2.5, 0.0)]
VOID = {"meta", "link", "img", "br"}
# numbers that are none, in text, tables and drawings
NOTHING = re.compile(r"\b(nan|inf)\b|[>|] *None *[<|]", re.IGNORECASE)


class Balanced(HTMLParser):
    """Refuses a tag that is not closed, or closed without having been opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@st.composite
def long_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Tables of few films, most of which are degenerate in some way."""
    generator = np.random.default_rng(draw(st.integers(0, 1000)))
    films = draw(st.integers(1, 5))
    cells = draw(st.lists(st.sampled_from(CELLS), min_size=1, max_size=4, unique=True))
    networks = draw(st.sampled_from([["A"], ["A", "B"], ["A", "B", "C"]]))
    checkpoints = draw(st.sampled_from([["best"], ["given"], ["best", "swa"]]))
    owners = draw(st.sampled_from([range(films), [0] * films, np.arange(films) // 2]))
    metrics = st.lists(
        st.sampled_from(["dice", "surface_distance", "own", "own_diff", "score", "score"]),
        min_size=1, max_size=2, unique=True,
    )  # fmt: skip
    parts = []
    for task in draw(st.sampled_from([["lungs"], ["Effusion / Edema"], ["lungs", "distinct"]])):
        chosen = draw(metrics)
        for label in draw(st.sampled_from([["x"], ["x", "y"]])):
            targets = draw(targets_of(films))
            style = draw(st.sampled_from(["0", "1", "0.5", "perfect", "inverted", "any", "nan"]))
            parts += [
                rows(
                    values(style, metric, targets, generator),
                    targets if metric == "score" else None,
                    patients=owners, cell=cell, network=network, metric=metric, label=label,
                    noise_seed=seed,
                ).assign(task=task, weights=checkpoint)
                for network in networks
                for checkpoint in checkpoints
                for cell in cells
                for seed in range(draw(st.integers(1, 2)))
                for metric in chosen
            ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    lost = draw(st.sampled_from(["nothing", "rows", "cell", "films", "checkpoint"]))
    first = table.network == "A"
    gone = {
        "nothing": table.sq < 0,
        "rows": generator.random(len(table)) < 0.3,
        "cell": first & (table.sq == cells[-1][0]) & (table.se == cells[-1][1]),
        "films": first & (table.image == "image0000"),
        "checkpoint": first & (table.weights == "best"),
    }[lost]
    return table[~gone] if not gone.all() else table


@st.composite
def targets_of(draw: st.DrawFn, films: int) -> np.ndarray:
    """Both classes, one, or none that is known."""
    classes = draw(st.sampled_from([(0, 1), (0,), (1,), (0, 1, np.nan), (1, np.nan), (np.nan,)]))
    return np.resize(np.array(classes, float), films)


def values(
    style: str, metric: str, targets: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Of every film in one cell; scores have no NaN."""
    known = np.nan_to_num(targets)
    films = {
        "perfect": known,
        "inverted": 1 - known,
        "any": generator.random(len(targets)).round(1),
        "nan": np.where(generator.random(len(targets)) < 0.5, np.nan, 0.5),
    }
    found = films[style] if style in films else np.full(len(targets), float(style))
    if metric == "score":
        return np.nan_to_num(found, nan=0.5)
    return 3000 * found - 1000 if metric == "own" else found


def has_a_report(table: pd.DataFrame, views: Views | None = None) -> None:
    check_table(table)
    with TemporaryDirectory() as folder:
        out = Path(folder)
        tasks = find(table, resamples=20)
        for path in write_report_of_findings(out, tasks, "Title", {}, views):
            text = path.read_text(encoding="utf-8")
            assert not NOTHING.search(re.sub(r"base64,[\w+/=]+", "", text))
        Balanced((out / "report.html").read_text(encoding="utf-8"))
        assert not any(NOTHING.search(sentence) for sentence in headline(tasks))


def has_summaries(table: pd.DataFrame) -> None:
    parts = [task_table(part, name) for name, part in table.groupby("weights")]
    parts += [severity_table(part, name) for (_, name), part in table.groupby(["task", "weights"])]
    for summary in [*parts, checkpoint_table(table)]:
        assert not re.search("nan|None", markdown(summary))


@given(long_tables())
@settings(
    deadline=None, derandomize=True, max_examples=3, suppress_health_check=[HealthCheck.too_slow]
)
def test_a_table_has_a_report(table: pd.DataFrame) -> None:
    has_a_report(table)


@given(long_tables())
@settings(deadline=None, derandomize=True, max_examples=8)
def test_a_table_has_summaries(table: pd.DataFrame) -> None:
    has_summaries(table)


@pytest.mark.slow
@given(long_tables())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_many_tables_have_a_report(table: pd.DataFrame) -> None:
    has_a_report(table, look)
    has_summaries(table)
    with TemporaryDirectory() as folder:
        one = table[table.task == table.task.iloc[0]]
        plot_curves(one, Path(folder) / "curves.png", "Title", one.weights.iloc[0])
