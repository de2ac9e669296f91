"""What a report says of groups of films: curves, a table, and in words who loses more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.statistics.long_table import CLEAN
from cxr_noise_transforms.study.statistics.metrics import BY_SHARE, LOWER_IS_BETTER
from cxr_noise_transforms.study.statistics.subgroups import Subgroups

from .document import Block, Folded, Gallery, Heading, Picture, Table, Text
from .findings import ALPHA, Findings, on_axis
from .pictures import IN_TABLES, axis_points, severity_panel
from .sentences import FEW_PATIENTS
from .tables import CONSTANT
from .words import Cell, cell_name, cell_words, interval, metric_name, number, p_value


@dataclass(frozen=True)
class _Column:
    """The groups of one column by one metric; its tables are by group, sq and se."""

    one: Findings
    part: Subgroups
    metric: str

    @classmethod
    def of(cls, one: Findings, part: Subgroups, metric: str) -> _Column:
        """By one of the metrics of a task."""
        return cls(one, part.select(metric=metric), metric)

    @cached_property
    def levels(self) -> pd.DataFrame:
        return _by_cell(self.part.levels())

    @cached_property
    def changes(self) -> pd.DataFrame:
        return _by_cell(self.part.changes())

    @cached_property
    def differences(self) -> pd.DataFrame:
        return _by_cell(self.part.differences())

    @cached_property
    def more(self) -> pd.DataFrame:
        """By how much a group's changes differ from the reference's."""
        return _by_cell(self.part.differences_of_changes())

    @property
    def ends(self) -> list[Cell]:
        """The highest severity of each axis."""
        last = {axis: self.one.last(self.metric, axis) for axis in self.one.axes}
        return [on_axis(axis, step) for axis, step in last.items() if step is not None]


def _by_cell(found: pd.DataFrame) -> pd.DataFrame:
    return found.set_index(["group", "sq", "se"]).sort_index()


def subgroup_blocks(one: Findings, names: Iterator[str]) -> list[Block]:
    """Every column of groups of a task: in words, as curves and as tables."""
    blocks: list[Block] = []
    for part in one.subgroups:
        first, *others = [_Column.of(one, part, metric) for metric in one.metrics]
        blocks += [Heading(part.column), Text(_words(first))]
        if len(part.names) == 1:
            continue
        blocks += _metric_blocks(first, names)
        blocks += [Folded(metric_name(each.metric), _metric_blocks(each, names)) for each in others]
    blocks += map(Text, one.left_out.values())
    return [*blocks, Text(_looks(one))] if one.subgroups else blocks


def subgroup_words(tasks: Sequence[Findings]) -> list[str]:
    """What was found of every column of groups, a line each."""
    found = []
    for one in tasks:
        task = f"{one.task}, " if len(tasks) > 1 else ""
        for part in one.subgroups:
            words = _words(_Column.of(one, part, one.metrics[0]))
            found.append(f"{task}{part.column}: {words}")
        found += one.left_out.values()
    return found


def _metric_blocks(each: _Column, names: Iterator[str]) -> list[Block]:
    blocks: list[Block] = []
    if each.metric not in IN_TABLES:
        panels = [_panel(each, axis, names) for axis in each.one.axes]
        images = [panel for panel in panels if panel]
        caption = f"{metric_name(each.metric)} by {each.part.column}, 95 % intervals over patients"
        blocks += [Gallery(caption, images, wide=True)] if images else []
    blocks.append(_groups_table(each))
    if not each.part.others:
        return blocks
    every = Folded("Differences in every cell", [_cells_table(each)])
    return [*blocks, _differences_table(each), every]


def _panel(each: _Column, axis: str, names: Iterator[str]) -> Picture | None:
    points = each.levels.reset_index().rename(columns={"group": "name"})
    return severity_panel(
        each.metric,
        axis,
        each.one.normal_dose,
        axis_points(points, axis),
        [name for name in each.part.names if each.levels.value[name].notna().any()],
        names,
        None,
    )


def _groups_table(each: _Column) -> Table:
    """A row per group: its films, its clean value, and what noise takes from it."""
    name, column = metric_name(each.metric), each.part.column
    shared = each.metric in BY_SHARE
    header = [column, "patients", "films", f"clean {name}", *([CONSTANT] if shared else [])]
    header += [f"change at {cell_name(cell)}" for cell in each.ends]
    rows = []
    for group, counts in each.part.counts.iterrows():
        clean = each.levels.loc[(group, *CLEAN)]
        row = [str(group), str(counts.patients), str(counts.films), interval(clean)]
        row += [number(clean.chance)] if shared else []
        row += [interval(each.changes.loc[(group, *cell)], "+.3f") for cell in each.ends]
        rows.append(row)
    return Table(f"{each.one.task}: {name} by {column}", header, rows)


def _differences_table(each: _Column) -> Table:
    """A row per other group: how far its clean value and its changes are from the reference's."""
    part = each.part
    header = [part.column, "clean", "p (Holm)"]
    for cell in each.ends:
        header += [f"change at {cell_name(cell)}", "p (Holm)"]
    rows = []
    for group in part.others:
        row = [group, *_tested(each.differences, group, CLEAN)]
        for cell in each.ends:
            row += _tested(each.more, group, cell)
        rows.append(row)
    name = metric_name(each.metric)
    caption = f"{each.one.task}: differences of {name} and of its changes from {part.reference}"
    return Table(caption, header, rows)


def _cells_table(each: _Column) -> Table:
    header = [each.part.column, "s_q", "s_e", "difference", "p (Holm)"]
    header += ["difference of the changes", "p (Holm)"]
    rows = [
        [group, f"{sq:g}", f"{se:g}", *_tested(each.differences, group, (sq, se)),
         *_tested(each.more, group, (sq, se))]
        for group in each.part.others
        for sq, se in each.one.cells
        if (group, sq, se) in each.differences.index
    ]  # fmt: skip
    of = f"{each.one.task}: {metric_name(each.metric)} by {each.part.column}"
    return Table(f"{of}, differences from {each.part.reference}", header, rows)


def _tested(found: pd.DataFrame, group: str, cell: Cell) -> list[str]:
    if (group, *cell) not in found.index:
        return ["", ""]
    row = found.loc[(group, *cell)]
    return [interval(row, "+.3f"), p_value(row.p_holm)]


def _words(each: _Column) -> str:
    """What was found of a column."""
    part = each.part
    (name, size), *rest = part.counts.patients.items()
    many = "patient" if size == 1 else "patients"
    sizes = [f"{name} ({size} {many})", *(f"{name} ({size})" for name, size in rest)]
    words = [f"{', '.join(sizes)}."]
    if part.others:
        words += [_clean_words(each), _noise_words(each)]
        small = [name for name in part.names if _is_small(part, name)]
        words += [f"Intervals and p of {_listed(small)}, few patients, are rough."] if small else []
    else:
        words.append("There are no two groups to compare.")
    return " ".join(filter(None, words))


def _clean_words(each: _Column) -> str:
    name, reference = metric_name(each.metric), each.part.reference
    row, certain, _ = _leading(each.differences[_is_clean(each.differences)])
    if row is None:
        return f"On clean films no difference from {reference} is defined."
    told = f"{interval(row, '+.3f')}, p {p_value(row.p_holm, '= ')}"
    if certain:
        return f"On clean films {name} of {row.name[0]} differs from that of {reference} by {told}."
    if len(each.part.others) == 1:
        return (
            f"On clean films {name} of {row.name[0]} and {reference} does not differ beyond "
            f"chance: {told}."
        )
    return (
        f"On clean films no difference of {name} from {reference} stands out from chance; the "
        f"widest interval is that of {row.name[0]}, {told}."
    )


def _noise_words(each: _Column) -> str:
    name, reference = metric_name(each.metric), each.part.reference
    if each.more.empty:
        return ""
    row, certain, tests = _leading(each.more)
    if row is None:
        return f"Under noise no difference from {reference} is defined."
    group, *cell = row.name
    where = cell_words((cell[0], cell[1]))
    told = f"{interval(row, '+.3f')}, p {p_value(row.p_holm, '= ')}"
    if not certain:
        return (
            f"In none of {tests} comparisons does noise cost a group more or less than "
            f"{reference} beyond chance; the widest interval of the difference between two changes "
            f"of {name}, within which a difference can be there, is that of {group} at {where}: "
            f"{told}."
        )
    loses_more = (each.more.value > 0) == (each.metric in LOWER_IS_BETTER)
    worse = loses_more[row.name]
    others = loses_more[each.more.p_holm < ALPHA] != worse
    rank = "It alone stands" if certain == 1 else f"It is the largest of {certain} that stand"
    against = f", {others.sum()} of which the other way" if others.any() else ""
    among = " of all groups" if len(each.part.others) > 1 else ""
    changes = [number(each.changes.value[(one, *cell)], "+.3f") for one in (group, reference)]
    return (
        f"At {where} noise costs {group} {'more' if worse else 'less'} than {reference}: {name} "
        f"changes by {changes[0]} against {changes[1]}, a difference of {told}. {rank} out from "
        f"chance in {tests} comparisons{among}{against}."
    )


def _leading(found: pd.DataFrame) -> tuple[pd.Series | None, int, int]:
    """The largest difference that is certain, else that of the widest interval; of how many."""
    known = found[found.p_holm.notna()]
    if known.empty:
        return None, 0, 0
    certain = known[known.p_holm < ALPHA]
    size = certain.value.abs() if len(certain) else known.upper - known.lower
    return known.loc[size.fillna(-np.inf).idxmax()], len(certain), len(known)


def _is_clean(found: pd.DataFrame) -> pd.Series:
    return (found.index.get_level_values("sq") == 0) & (found.index.get_level_values("se") == 0)


def _is_small(part: Subgroups, name: str) -> bool:
    compared = name in (part.reference, *part.others)
    return bool(compared and part.counts.patients[name] < FEW_PATIENTS)


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _looks(one: Findings) -> str:
    count = len(one.subgroups)
    several = f", not for the {count} columns" if count > 1 else ""
    return (
        f"p is adjusted by Holm for all groups and cells of a column and metric{several}; "
        "intervals are not adjusted. Who looks at enough groups finds one that differs: a "
        "difference that nobody expected is a question to other films. Groups may also differ in "
        "what else their films show, in views, and in sources."
    )
