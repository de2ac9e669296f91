"""Severity curves of a sweep as one picture."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.statistics.long_table import AnyTable, as_table
from cxr_noise_transforms.study.statistics.summaries import in_order, network_means, severity_table

from .panels import COLOURS, apart
from .words import dose_at, metric_name


def plot_curves(
    table: AnyTable, path: Path, title: str, weights: str = "best", normal_dose: float = np.nan
) -> Path:
    """Severity curves of one task: quantum and electronic noise side by side, a row per metric."""
    table = as_table(table)
    means, mean = network_means(table, weights), severity_table(table, weights)
    networks, metrics = list(table.cells.network.unique()), in_order(means.metric.unique())
    figure = Figure(figsize=(9, 3.0 * len(metrics) + 0.6), layout="constrained")
    axes = figure.subplots(len(metrics), 2, sharex="col", sharey="row", squeeze=False)
    figure.suptitle(title)
    for row, metric in zip(axes, metrics, strict=True):
        for axis, severity, other in zip(row, ("sq", "se"), ("se", "sq"), strict=True):
            rows = means[(means.metric == metric) & (means[other] == 0)]
            for network, colour in zip(networks, cycle(COLOURS), strict=False):
                curve = rows[rows.network == network].sort_values(severity)
                look = {"color": colour, "lw": 1.2, "ms": 3.5, "label": network}
                axis.plot(curve[severity], curve.value, "o-", **look)
            curve = mean[mean[other] == 0].sort_values(severity)
            axis.plot(curve[severity], curve[metric], "k--", lw=2, label="mean")
            _frame(axis, metric)
        row[0].set_ylabel(metric_name(metric))
    _name_axes(axes, table.cells.sq, normal_dose)
    return _save(figure, path)


def plot_tasks(
    table: AnyTable, path: Path, title: str, weights: str = "best", normal_dose: float = np.nan
) -> Path:
    """AUROC, AUPRC and F1 of classification tasks by severity, mean of networks, a row per task."""
    table = as_table(table)
    tasks = list(table.cells.task.unique())
    figure = Figure(figsize=(9, 2.3 * len(tasks) + 0.8), layout="constrained")
    axes = figure.subplots(len(tasks), 2, sharex="col", sharey=True, squeeze=False)
    figure.suptitle(title)
    for row, task in zip(axes, tasks, strict=True):
        part = table.select(task=task)
        cells = severity_table(part, weights)
        for axis, severity, other in zip(row, ("sq", "se"), ("se", "sq"), strict=True):
            rows = cells[cells[other] == 0].sort_values(severity)
            for metric, colour in zip(("auroc", "auprc", "f1"), COLOURS, strict=False):
                look = {"color": colour, "lw": 1.2, "ms": 3.5, "label": metric_name(metric)}
                axis.plot(rows[severity], rows[metric], "o-", **look)
            _frame(axis, "auroc")
            axis.set_title(task, fontsize=9)
    _name_axes(axes, table.cells.sq, normal_dose)
    return _save(figure, path)


def _frame(axis: Any, metric: str) -> None:
    axis.set(ylim=(0, 1))
    axis.grid(alpha=0.3)
    if metric == "auroc":
        axis.axhline(0.5, color="0.5", lw=0.8, ls=":")


def _name_axes(axes: Any, severities: Iterable[float], normal_dose: float) -> None:
    axes[-1][0].set_xlabel("quantum severity $s_q$")
    axes[-1][1].set_xlabel("electronic severity $s_e$")
    if np.isfinite(normal_dose):
        steps = apart(sorted(set(severities)))
        other = axes[0][0].secondary_xaxis("top")
        other.set_xticks(steps, [dose_at(step, normal_dose) for step in steps], fontsize=8)
        other.set_xlabel("dose relative to normal", fontsize=8)
    axes[0][0].legend(loc="lower left", frameon=False, fontsize=8)


def _save(figure: Figure, path: Path) -> Path:
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=130)
    return path
