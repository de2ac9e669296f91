"""What a report says in words: numbers, cells, and the findings of a task."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from cxr_noise_transforms import electronic_sigma, photons_per_pixel
from cxr_noise_transforms.study.statistics.comparisons import monotonicity
from cxr_noise_transforms.study.statistics.performance import LOWER_IS_BETTER

from .document import Block, Points
from .findings import CLEAN, Findings
from .markdown import metric_name

NOISE = {"se": "Electronic noise", "sq": "Quantum noise"}
SYMBOL = {"se": "s_e", "sq": "s_q"}
CHECKPOINTS = {"best": "lowest validation loss", "swa": "averaged weights"}
ALPHA = 0.05
_FEW_PATIENTS = 30

# sq, se
Cell: TypeAlias = tuple[float, float]


def headline(one: Findings) -> list[Block]:
    """What the noise costs a task, by its first metric."""
    metric = one.metrics[0]
    level, change = one.levels.loc[metric], one.changes.loc[metric]
    numbers = one.curve_numbers
    numbers = numbers[(numbers.network == "mean") & (numbers.metric == metric)].set_index("axis")
    weak = one.is_score and level.loc[CLEAN].lower <= 0.5
    points = []
    for axis, steps in one.axes.items():
        cell = on_axis(axis, steps[-1])
        lost, sentence = change.loc[cell], f"At {cell_words(cell)} {metric_name(metric)} "
        certain = lost.p_holm < ALPHA
        sentence += ("falls" if lost.value < 0 else "rises") if certain else "goes"
        sentence += (
            f" from {interval(level.loc[CLEAN])} to {interval(level.loc[cell])}: a change of "
            f"{interval(lost, '+.3f')}, p {p_value(lost.p_holm, '= ')}"
        )
        sentence += ". " if certain else ", which may be chance. "
        if not weak:
            sentence += _breakdown_words(metric, numbers.loc[axis], axis)
        points.append((f"{NOISE[axis]}.", sentence))
    if one.axes:
        points.append(("Recovery.", _recovery_words(one, metric)))
    if one.axes and len(one.networks) > 1:
        points.append(("Networks.", _network_words(one, metric)))
    patients = int(level.patients.min())
    if patients < _FEW_PATIENTS:
        few = f"With {patients} test patients, intervals and p are rough."
        points.append(("Few patients.", few))
    if weak:
        words = "Even on clean films the networks cannot be told from chance."
        points.append(("Weak without noise.", words))
    return [Points(points)]


def _breakdown_words(metric: str, numbers: pd.Series, axis: str) -> str:
    if metric in LOWER_IS_BETTER:
        return ""
    half = "Half of what is above chance" if metric in ("auroc", "auprc") else "Half of it"
    severity = numbers.breakdown
    if np.isnan(severity):
        return "Without noise it is not above chance: there is nothing to lose."
    if np.isinf(severity):
        return f"{half} is never lost on this axis."
    photons = f" ({photon_count(numbers.photons)} photons per pixel)" if axis == "sq" else ""
    return f"{half} is lost at {SYMBOL[axis]} = {severity:.1f}{photons}."


def _recovery_words(one: Findings, metric: str) -> str:
    step = monotonicity(one.mean.select(metric=metric)).iloc[0]
    if step.value <= 0:
        return "None: at every step of both axes it gets worse, or stays."
    rise = (
        "The largest gain between neighbouring severities, from "
        f"{SYMBOL[step.axis]} = {step.milder:g} to {step.harder:g}, is "
        f"{interval(step, '+.3f')}, p {p_value(step.p_holm, '= ')}."
    )
    if step.p_any >= ALPHA:
        return f"None that stands out from chance. {rise}"
    return f"Some gain is more than chance between patients (p {p_value(step.p_any, '= ')}). {rise}"


def _network_words(one: Findings, metric: str) -> str:
    numbers = one.curve_numbers
    numbers = numbers[(numbers.metric == metric) & (numbers.network != "mean")]
    sentences = []
    for axis in one.axes:
        areas = numbers[numbers.axis == axis].set_index("network").area.sort_values()
        sentences.append(
            f"On the average over {SYMBOL[axis]}, {areas.index[-1]} has the highest "
            f"{metric_name(metric)} ({areas.iloc[-1]:.3f}), {areas.index[0]} the lowest "
            f"({areas.iloc[0]:.3f})."
        )
    return " ".join(sentences)


def truth(one: Findings, film: str) -> str:
    """What a binary classifier should say."""
    labels = one.table.label.unique()
    if not one.is_score or len(labels) > 1:
        return ""
    target = one.table[one.table.image == film].target.iloc[0]
    return f" ({'' if target else 'not '}{labels[0]})"


def on_axis(axis: str, severity: float) -> Cell:
    """The cell of a severity without the other noise."""
    return (severity, 0.0) if axis == "sq" else (0.0, severity)


def cell_name(cell: Cell) -> str:
    """A cell by its severities."""
    if cell == CLEAN:
        return "clean"
    return ", ".join(
        f"{name}\u00a0=\u00a0{severity:g}"
        for name, severity in zip(("s_q", "s_e"), cell, strict=True)
        if severity
    )


def cell_words(cell: Cell) -> str:
    """A cell by its severities, with photons and sigma."""
    sq, se = cell
    quantum = f"s_q = {sq:g} ({photons_at(sq)} photons per pixel)" if sq else ""
    electronic = f"s_e = {se:g} (sigma {sigma_at(se)} of full scale)" if se else ""
    return " and ".join(filter(None, [quantum, electronic])) or "no noise"


def photons_at(sq: float) -> str:
    """Photons per pixel at a quantum severity."""
    return photon_count(photons_per_pixel(sq))


def photon_count(photons: float) -> str:
    """A number of photons."""
    if np.isinf(photons):
        return "∞"
    return f"{photons:.0f}" if photons >= 100 else f"{photons:.3g}"


def sigma_at(se: float) -> str:
    """Standard deviation at an electronic severity, as a fraction of full scale."""
    return f"{electronic_sigma(se):.3g}"


def number(value: float, form: str = ".3f") -> str:
    """A number rounded by its format, or a dash where it is not finite."""
    if not np.isfinite(value):
        return "–"
    # + 0.0: no minus before a zero
    return f"{round(value, int(form[-2])) + 0.0:{form}}"


def interval(row: Any, form: str = ".3f") -> str:
    """The ``value`` of a row with its ``lower`` and ``upper`` bounds."""
    return f"{number(row.value, form)} [{number(row.lower, form)}, {number(row.upper, form)}]"


def p_value(p: float, equals: str = "") -> str:
    """A p value, with ``equals`` before it unless it is a bound."""
    if np.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.001" if equals else "<0.001"
    return f"{equals}{p:.3f}" if p < 0.1 else f"{equals}{p:.2f}"
