"""A sweep in a few rows: means over networks by cell, by task and by checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from cxr_noise_transforms import LADDER, electronic_sigma, photons_per_pixel

from .performance import METRICS, performance


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
    networks = network_means(table, weights)
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


def network_means(table: pd.DataFrame, weights: str) -> pd.DataFrame:
    """Each network's metrics in every cell, over labels, noise seeds and trainings."""
    values = performance(table[table.weights == weights])
    return values.groupby(["network", "sq", "se", "metric"], as_index=False).value.mean()


def in_order(metrics: Iterable[str]) -> list[str]:
    """Metrics in the order of reports, then others by name."""
    given = set(metrics)
    return [name for name in METRICS if name in given] + sorted(given - METRICS.keys())


def in_ladder(cells: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Cells in the order of the ladder, then others by severity."""
    given = set(cells)
    return [cell for cell in LADDER if cell in given] + sorted(given.difference(LADDER))
