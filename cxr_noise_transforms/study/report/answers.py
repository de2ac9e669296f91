"""The answer that a report leads with: what each noise costs, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.statistics.long_table import CLEAN
from cxr_noise_transforms.study.statistics.metrics import LOWER_IS_BETTER

from .findings import ALPHA, Findings, on_axis
from .words import (
    NOISE,
    SYMBOL,
    Cell,
    cell_words,
    interval,
    metric_name,
    number,
    p_value,
    photon_count,
)


@dataclass(frozen=True)
class Answer:
    """What noise costs, in the pieces of a sentence.

    Args:
        lead: what the sentence is about.
        axis: "sq", "se", or "" for a cell of none or both.
        metric: its name.
        subject: what changes, such as "Dice".
        verb: how.
        clean: its value without noise; "" if there is nothing to tell from.
        noisy: its value with noise.
        where: the severity.
        rest: what follows.
    """

    lead: str
    axis: str
    metric: str
    subject: str
    verb: str
    clean: str
    noisy: str
    where: str
    rest: str

    @property
    def sentence(self) -> str:
        """The whole of it."""
        start = f"from {self.clean} to " if self.clean else ""
        return f"{self.subject} {self.verb} {start}{self.noisy} {self.where}{self.rest}"


def headline(tasks: Sequence[Findings]) -> list[str]:
    """What each noise costs, a sentence each."""
    found = [f"{answer.lead}: {answer.sentence}" for answer in answers(tasks)]
    return found or ["Nothing could be measured: no film has a truth."]


def answers(tasks: Sequence[Findings]) -> list[Answer]:
    """What each noise costs at its highest severity: of the only task, or of those that share it.

    Tasks are told together if they have the same first metric.
    """
    found = []
    for metric in dict.fromkeys(one.metrics[0] for one in tasks):
        alike = [one for one in tasks if one.metrics[0] == metric]
        found += _of_several(alike, metric) if len(alike) > 1 else _of_one(alike[0], metric)
    return found


def _of_one(one: Findings, metric: str) -> list[Answer]:
    ends = {axis: one.last(metric, axis) for axis in one.axes}
    cells = {axis: on_axis(axis, step) for axis, step in ends.items() if step is not None}
    if not one.axes and not np.isnan(one.levels.value[metric][one.cells[-1]]):
        cells = {"": one.cells[-1]}
    return [_answer(one, metric, axis, cell) for axis, cell in cells.items()]


def _answer(one: Findings, metric: str, axis: str, cell: Cell) -> Answer:
    values, change = one.levels.value[metric], one.changes.loc[metric].loc[cell]
    lead = NOISE.get(axis, "Clean films" if cell == CLEAN else "Both noises")
    verb, clean, rest = "is", "", "."
    if cell == CLEAN:
        rest = ". No noise was measured."
    elif np.isnan(change.value):
        rest = ". There is no value without noise to compare it with."
    elif change.value == change.standard_error == 0:
        verb = "stays"
    else:
        certain, tested = change.p_holm < ALPHA, not np.isnan(change.p_holm)
        verb, clean = _verb([change.value], certain=certain), number(values[CLEAN])
        rest = f": {interval(change, '+.3f')}"
        rest += f", p {p_value(change.p_holm, '= ')}" if tested else ""
        rest += "." if certain or not tested else ", which may be chance."
        if axis and not one.is_weak(metric):
            rest += _breakdown_words(metric, one.numbers(metric).loc[axis], axis)
    where = "without noise" if cell == CLEAN else f"at {cell_words(cell)}"
    name = metric_name(metric)
    return Answer(lead, axis, metric, name, verb, clean, number(values[cell]), where, rest)


def _of_several(tasks: Sequence[Findings], metric: str) -> list[Answer]:
    found = []
    for axis in NOISE:
        steps = {one.task: one.last(metric, axis) for one in tasks if axis in one.axes}
        cells = {task: on_axis(axis, step) for task, step in steps.items() if step is not None}
        known = [one for one in tasks if one.task in cells]
        rows = [one.changes.loc[metric].loc[cells[one.task]] for one in known]
        table = pd.DataFrame(
            {
                "task": [one.task for one in known],
                "clean": [one.levels.value[metric][CLEAN] for one in known],
                "noisy": [one.levels.value[metric][cells[one.task]] for one in known],
                "change": [row.value for row in rows],
                "certain": [row.p_holm < ALPHA for row in rows],
            }
        ).dropna()
        if table.empty:
            continue
        table = table.sort_values("change", ascending=metric not in LOWER_IS_BETTER)
        most, least = (
            f"{row.task}, {number(row.clean, '.2f')} to {number(row.noisy, '.2f')}"
            for row in (table.iloc[0], table.iloc[-1])
        )
        ends = set(cells.values())
        where = cell_words(ends.pop()) if len(ends) == 1 else "the highest severity"
        found.append(
            Answer(
                NOISE[axis],
                axis,
                metric,
                f"{metric_name(metric)} of {len(table)} tasks",
                _verb(table.change, certain=table.certain.all()),
                _range(table.clean),
                _range(table.noisy),
                f"at {where}",
                f". Most: {most}. Least: {least}.",
            )
        )
    return found


def _verb(changes: Any, *, certain: bool) -> str:
    values = np.asarray(changes)
    if not certain:
        return "goes"
    return "falls" if (values < 0).all() else "rises" if (values > 0).all() else "goes"


def _range(values: pd.Series) -> str:
    low, high = number(values.min(), ".2f"), number(values.max(), ".2f")
    return low if low == high else f"{low}–{high}"


def _breakdown_words(metric: str, numbers: pd.Series, axis: str) -> str:
    if metric in LOWER_IS_BETTER:
        return ""
    gain = f"the gain over a constant answer ({number(numbers.chance, '.2f')})"
    half = f"Half of {gain if numbers.chance > 0 else 'it'}"
    severity = numbers.breakdown
    if np.isnan(severity):
        return " Without noise there is nothing to lose."
    if np.isinf(severity):
        return f" {half} is never lost on this axis."
    photons = f" ({photon_count(numbers.photons)} photons per pixel)" if axis == "sq" else ""
    return f" {half} is lost at {SYMBOL[axis]} = {severity:.1f}{photons}."
