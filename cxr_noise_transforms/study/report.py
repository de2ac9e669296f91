"""Tables and figures of a sweep, made from its long table.

For the whole of it on one page see :mod:`~cxr_noise_transforms.study.html_report`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cxr_noise_transforms import LADDER, electronic_sigma, photons_per_pixel

from .files import whole_file
from .panels import COLOURS
from .performance import performance

_HEADER = {
    "sq": "s_q",
    "se": "s_e",
    "photons": "photons/pixel",
    "sigma": "sigma",
    "networks": "networks",
}
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "surface_distance": "surface distance",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "f1_val": "F1 at the validation threshold",
    "brier": "Brier score",
    "ece": "ECE",
}


def severity_table(table: pd.DataFrame, weights: str = "best") -> pd.DataFrame:
    """Every metric in every cell, mean over networks, and its difference from the clean cell.

    Films, labels and noise seeds are averaged within a network first, so that every network
    counts the same.

    Args:
        table: the long table of one task.
        weights: which checkpoint.

    Returns:
        One row per cell in the order of the ladder: ``sq``, ``se``, photons per pixel, sigma, and
        for every metric its mean and ``<metric>_diff``.
    """
    networks = _network_means(table, weights)
    means = networks.pivot_table(index=["sq", "se"], columns="metric", values="value")
    means = means[in_order(means.columns)]
    means = means.loc[in_ladder(means.index)]
    summary = means.reset_index().rename_axis(columns=None)
    summary.insert(2, "photons", [photons_per_pixel(float(sq)) for sq in summary.sq])
    summary.insert(3, "sigma", [electronic_sigma(float(se)) for se in summary.se])
    for metric in means.columns:
        place = summary.columns.get_loc(metric) + 1
        summary.insert(place, f"{metric}_diff", summary[metric] - means.loc[(0.0, 0.0), metric])
    return summary


def task_table(table: pd.DataFrame, weights: str = "best") -> pd.DataFrame:
    """Every task's metrics on clean films and their drops at the ends of both ladders.

    Args:
        table: the long table of any number of tasks.
        weights: which checkpoint.

    Returns:
        One row per task: for every metric its clean mean over networks, ``<metric>_sq`` and
        ``<metric>_se``, what is lost at the highest quantum and electronic severity.
    """
    rows = []
    for task, part in table.groupby("task", sort=False):
        cells = severity_table(part, weights).set_index(["sq", "se"])
        row: dict[str, Any] = {"task": task}
        for metric in cells.columns[cells.columns.str.endswith("_diff")].str.removesuffix("_diff"):
            row[metric] = cells.loc[(0.0, 0.0), metric]
            row[f"{metric}_sq"] = -cells.loc[(part.sq.max(), 0.0), f"{metric}_diff"]
            row[f"{metric}_se"] = -cells.loc[(0.0, part.se.max()), f"{metric}_diff"]
        rows.append(row)
    return pd.DataFrame(rows)


def checkpoint_table(table: pd.DataFrame) -> pd.DataFrame:
    """The best and the averaged weights, where a network has both, mean over networks and tasks.

    Args:
        table: the long table of any number of tasks.

    Returns:
        One row per checkpoint: ``weights``, ``networks`` (how many trainings have both), and the
        columns of :func:`task_table`; empty where averaging never began.
    """
    model = ["task", "network", "training_seed"]
    both = table.groupby(model).weights.transform("nunique") == 2
    table = table[both]
    return pd.DataFrame(
        {
            "weights": weights,
            "networks": len(rows[model].drop_duplicates()),
            **task_table(rows, weights).drop(columns="task").mean(),
        }
        for weights, rows in table.groupby("weights", sort=False)
    )


def markdown(table: pd.DataFrame) -> str:
    """A table of this module in Markdown."""
    lines = ["| " + " | ".join(_title(name) for name in table) + " |"]
    numbers = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    lines.append("|" + "".join(" ---: |" if number else " --- |" for number in numbers))
    lines += [
        "| " + " | ".join(_cell(name, value) for name, value in row.items()) + " |"
        for row in table.to_dict("records")
    ]
    return "\n".join(lines) + "\n"


def write_table(table: pd.DataFrame, stem: Path) -> list[Path]:
    """The table as ``<stem>.csv`` and ``<stem>.md``."""
    paths = [stem.with_suffix(".csv"), stem.with_suffix(".md")]
    with whole_file(paths[0]) as beside:
        table.to_csv(beside, index=False)
    with whole_file(paths[1]) as beside:
        beside.write_text(markdown(table))
    return paths


def plot_curves(table: pd.DataFrame, path: Path, title: str, weights: str = "best") -> Path:
    """Severity curves of one task: quantum and electronic noise side by side, a row per metric."""
    means = _network_means(table, weights)
    networks, metrics = list(table.network.unique()), in_order(means.metric.unique())
    figure = Figure(figsize=(9, 3.0 * len(metrics) + 0.6), layout="constrained")
    axes = figure.subplots(len(metrics), 2, sharex="col", sharey="row", squeeze=False)
    figure.suptitle(title)
    for row, metric in zip(axes, metrics, strict=True):
        for axis, severity, other in zip(row, ("sq", "se"), ("se", "sq"), strict=True):
            rows = means[(means.metric == metric) & (means[other] == 0)]
            curves = rows.pivot_table(index=severity, columns="network", values="value")
            for network, colour in zip(networks, COLOURS * len(networks), strict=False):
                axis.plot(
                    curves.index, curves[network], "o-", color=colour, lw=1.2, ms=3.5, label=network
                )
            axis.plot(curves.index, curves.mean(axis=1), "k--", lw=2, label="mean")
            _frame(axis, metric)
        row[0].set_ylabel(METRICS.get(metric, metric))
    _name_axes(axes)
    return _save(figure, path)


def plot_tasks(table: pd.DataFrame, path: Path, title: str, weights: str = "best") -> Path:
    """AUROC, AUPRC and F1 of classification tasks by severity, mean of networks, a row per task."""
    tasks = list(table.task.unique())
    figure = Figure(figsize=(9, 2.3 * len(tasks) + 0.8), layout="constrained")
    axes = figure.subplots(len(tasks), 2, sharex="col", sharey=True, squeeze=False)
    figure.suptitle(title)
    for row, task in zip(axes, tasks, strict=True):
        cells = severity_table(table[table.task == task], weights)
        for axis, severity, other in zip(row, ("sq", "se"), ("se", "sq"), strict=True):
            rows = cells[cells[other] == 0].sort_values(severity)
            for metric, colour in zip(("auroc", "auprc", "f1"), COLOURS, strict=False):
                axis.plot(
                    rows[severity], rows[metric], "o-", color=colour, lw=1.2, ms=3.5,
                    label=METRICS[metric],
                )  # fmt: skip
            _frame(axis, "auroc")
            axis.set_title(task, fontsize=9)
    _name_axes(axes)
    return _save(figure, path)


def _network_means(table: pd.DataFrame, weights: str) -> pd.DataFrame:
    """Each network's metrics in every cell, over labels, noise seeds and trainings."""
    values = performance(table[table.weights == weights])
    return values.groupby(["network", "sq", "se", "metric"], as_index=False).value.mean()


def metric_name(metric: str) -> str:
    """A metric in words."""
    return METRICS.get(metric, metric)


def in_order(metrics: Iterable[str]) -> list[str]:
    """Metrics in the order of :data:`METRICS`, then others by name."""
    given = set(metrics)
    return [name for name in METRICS if name in given] + sorted(given - METRICS.keys())


def in_ladder(cells: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Cells in the order of the ladder, then others by severity."""
    given = set(cells)
    return [cell for cell in LADDER if cell in given] + sorted(given.difference(LADDER))


def _frame(axis: Any, metric: str) -> None:
    axis.set(ylim=(0, 1))
    axis.grid(alpha=0.3)
    if metric == "auroc":
        axis.axhline(0.5, color="0.5", lw=0.8, ls=":")


def _name_axes(axes: Any) -> None:
    axes[-1][0].set_xlabel("quantum severity $s_q$")
    axes[-1][1].set_xlabel("electronic severity $s_e$")
    axes[0][0].legend(loc="lower left", frameon=False, fontsize=8)


def _title(name: str) -> str:
    for ending, words in (
        ("_diff", "diff"),
        ("_sq", "lost at highest s_q"),
        ("_se", "lost at highest s_e"),
    ):
        if name.endswith(ending):
            return f"{_title(name.removesuffix(ending))} {words}"
    return {**METRICS, **_HEADER}.get(name, name)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_diff"):
        return f"{value:+.3f}"
    # + 0.0: no minus before a zero
    return f"{value:.4g}" if name in _HEADER else f"{round(value, 3) + 0.0:.3f}"


def _save(figure: Figure, path: Path) -> Path:
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=130)
    return path
