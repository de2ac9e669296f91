"""What a report says of groups of films."""

import re
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, chromium
from ladders import dice_table, score_table
from reports import read

from cxr_noise_transforms.study.report.document import Section, markdown
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.report.subgroups import subgroup_blocks, subgroup_words


def grouped(gap: float = 0.0, films: int = 60) -> pd.DataFrame:
    """Dice of women and men, who lose more by ``gap`` at the end of the electronic axis."""
    table = dice_table(["A"], films=films)
    table = table[table.metric == "dice"]
    number = table.image.str.removeprefix("image").astype(int)
    sex = pd.Series(np.where(number % 5 < 2, "F", "M"), table.index)
    worse = gap * (sex == "M") * (table.se == 10)
    return table.assign(sex=sex, value=(table.value - worse).clip(0, 1))


def section(table: pd.DataFrame, **options: Any) -> str:
    """The section alone, as Markdown."""
    names = (f"{number}" for number in count())
    blocks = [
        block
        for one in find(table, resamples=200, **options)
        for block in subgroup_blocks(one, names)
    ]
    return markdown("Title", [Section("Subgroups", blocks)], "report")


def words(table: pd.DataFrame, **options: Any) -> list[str]:
    return subgroup_words(find(table, resamples=200, **options))


def test_a_group_that_loses_more_is_named() -> None:
    (said,) = words(grouped(gap=0.15))
    assert said.startswith("sex: F (24 patients), M (36). On clean films Dice of F and M does not")
    assert "At s_e = 10 (sigma 1 of full scale) noise costs F less than M: Dice changes by " in said
    assert "p < 0.001. It alone stands out from chance in 5 comparisons." in said
    assert said.endswith("Intervals and p of F, few patients, are rough.")


def test_what_goes_the_other_way_is_counted() -> None:
    table = grouped(gap=0.15)
    better = 0.1 * ((table.sex == "M") & (table.sq == 10))
    table = table.assign(value=(table.value + better).clip(0, 1))
    (said,) = words(table)
    assert "At s_e = 10 (sigma 1 of full scale) noise costs F less than M: " in said
    assert "is the largest of 2 that stand out from chance in 5 comparisons, 1 of which the" in said
    third = table.sex.where(table.image > "image0009", "X")
    (said,) = words(table.assign(sex=third))
    assert "comparisons of all groups" in said


def test_nothing_found_is_said_with_the_width() -> None:
    table = grouped()
    (said,) = words(table)
    assert "In none of 5 comparisons does noise cost a group more or less than M beyond" in said
    (one,) = find(table, resamples=200)
    more = one.subgroups[0].select(metric="dice").differences_of_changes()
    widest = more.loc[(more.upper - more.lower).idxmax()]
    assert f"[{widest.lower:+.3f}, {widest.upper:+.3f}], p = {widest.p_holm:.2f}" in said


def test_tables_hold_the_numbers_of_the_statistics(tmp_path: Path) -> None:
    table = grouped(gap=0.1)
    tables = read(table, tmp_path).tables
    header, *rows = tables["lungs: Dice by sex"]
    assert header[:3] == ["sex", "patients", "films"]
    assert [row[:3] for row in rows] == [["F", "24", "24"], ["M", "36", "36"]]
    part = find(table)[0].subgroups[0].select(metric="dice")
    clean = part.levels().query("sq == 0 and se == 0").set_index("group")
    assert rows[0][3] == f"{clean.value['F']:.3f} [{clean.lower['F']:.3f}, {clean.upper['F']:.3f}]"
    more = part.differences_of_changes().set_index(["sq", "se"]).loc[0, 10]
    header, row = tables["lungs: differences of Dice and of its changes from M"]
    assert row[0] == "F"
    assert row[-2] == f"{more.value:+.3f} [{more.lower:+.3f}, {more.upper:+.3f}]"
    cells = tables["lungs: Dice by sex, differences from M"]
    assert len(cells) == 1 + 6


def test_a_share_of_positives_has_its_constant_answer_beside_it() -> None:
    table = score_table(["A"], films=40)
    table = table[table.se == 0].assign(sex=np.tile(["F", "M"], 60))
    caption, header = section(table).split("*Effusion / Edema: F1 by sex*")[1].split("\n")[1:3]
    assert "constant answer" in caption + header


def test_curves_have_every_group() -> None:
    text = section(grouped())
    for axis in ("quantum noise, severity s_q", "electronic noise, severity s_e"):
        assert f"![Dice against {axis}: F from 0.9" in text


def test_columns_are_chosen_and_cut() -> None:
    table = grouped().assign(age=lambda table: table.image.str[-2:].astype(int) + 20)
    (age,) = words(table, groups=["age=40,60"])
    assert age.startswith("age: under 40 (20 patients), 40 to 59 (20), 60 and over (20).")
    # as they are there are too many
    sex, uncut = words(table)
    assert sex.startswith("sex: ")
    assert uncut.startswith("age has 60 groups, too many for curves: cut its numbers")
    (source,) = words(table, groups=["source"])
    assert source == "source: source (60 patients). There are no two groups to compare."
    # text cannot be cut
    (text,) = words(grouped().assign(sex=lambda table: table.image))
    assert text == "sex has 60 groups, too many for curves."
    for group, message in (
        ("view", "column must be one of groups, got 'view'; the table has sex, age"),
        ("sex=40", "sex must be numbers to be cut at 40, got 'F'"),
    ):
        with pytest.raises(ValueError, match=message):
            find(table, groups=[group])


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (lambda table: table.se.map(lambda se: "gpu" if se else "cpu"), "got cpu and gpu of image"),
        (lambda table: table.value, "must be one group per image"),
        (lambda _: pd.Timestamp("2026-01-01"), "must be one text or number per image, got Timesta"),
        (lambda table: [[1]] * len(table), "one text or number per image|unhashable"),
        (lambda _: "a\nb", "text of one line that can be printed"),
    ],
    ids=["of-a-cell", "of-a-row", "date", "lists", "lines"],
)
def test_a_column_of_no_groups_is_left_out_and_told(column: Any, reason: str) -> None:
    table = grouped().assign(other=column)
    sex, other = words(table)
    assert sex.startswith("sex: ")
    assert other.startswith("other is not compared: ")
    assert re.search(reason, other)
    assert "other is not compared: " in section(table)
    with pytest.raises((TypeError, ValueError), match=reason):
        find(table, resamples=9, groups=["other"])


def test_an_empty_value_is_no_other_group() -> None:
    table = grouped()
    (whole,) = words(table)
    for empty in ("", None):
        (some,) = words(table.assign(sex=table.sex.where(table.se == 0, empty)))
        assert some == whole


def test_without_groups_there_is_nothing_to_say() -> None:
    (one,) = find(dice_table(), resamples=9)
    assert (subgroup_blocks(one, iter(())), subgroup_words([one])) == ([], [])


def test_several_columns_are_said_to_be_several_looks() -> None:
    table = grouped().assign(view=lambda table: np.where(table.image > "image0030", "AP", "PA"))
    text = section(table)
    assert "of a column and metric, not for the 2 columns; intervals" in text
    assert "a question to other films" in text
    assert "of a column and metric; intervals" in section(table.drop(columns="view"))


@pytest.mark.parametrize(
    "sex",
    [
        lambda table: np.where(table.target == 1, "F", "M"),
        lambda table: np.where(table.image == "image0000", "F", "M"),
        lambda _: "",
        lambda table: table.image,
    ],
    ids=["one-class-each", "one-patient", "nobody-known", "everybody-alone"],
)
def test_every_table_has_a_section(sex: Any) -> None:
    table = score_table(["A"], films=8)
    text = section(table[table.se == 0].assign(sex=sex))
    assert "nan" not in text.lower()
    assert "### sex" in text


def test_of_several_tasks_each_has_its_groups() -> None:
    table = pd.concat([grouped(), grouped(films=30).assign(task="heart")])
    assert [line.partition(":")[0] for line in words(table)] == ["lungs, sex", "heart, sex"]


def test_thresholds_hold_for_groups_too() -> None:
    table = score_table(films=40).assign(sex=lambda table: np.where(table.image < "image002", 1, 2))
    models = table[["task", "network", "weights", "training_seed", "label"]].drop_duplicates()
    thresholds = {tuple(key): 0.5 for key in models.itertuples(index=False, name=None)}
    (one,) = find(table, thresholds, resamples=50)
    assert "f1_val" in set(one.subgroups[0].levels().metric)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here")
def test_browser_shows_groups_without_sideways_scrolling(tmp_path: Path) -> None:
    read(grouped(gap=0.1), tmp_path)
    with chromium(tmp_path / "profile") as tab:
        for width, scheme in ((1280, "light"), (390, "dark")):
            tab.open(tmp_path / "report.html", width, scheme)
            tab.value("document.querySelectorAll('details').forEach(one => one.open = true)")
            assert tab.value("document.documentElement.scrollWidth") <= width
            shown = "document.querySelector('[aria-labelledby=subgroups]')"
            assert tab.value(f"{shown}.querySelectorAll('svg[role=img]').length") == 2
