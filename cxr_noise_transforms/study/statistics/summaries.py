"""A sweep in a few rows: means over networks by cell, by task and by checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from cxr_noise_transforms import LADDER, electronic_sigma, photons_per_pixel
from cxr_noise_transforms.study.columns import UNDEGRADED

from .long_table import CLEAN, AnyTable, among, as_table
from .metrics import BY_SHARE, METRICS
from .performance import performance


def severity_table(table: AnyTable, weights: str = "best") -> pd.DataFrame:
    """Every metric in every cell, mean over networks, and its difference from the clean cell.

    Films, labels and noise seeds are averaged within a network first, so that every network
    counts the same. NaN where a network lacks the cell that has the metric in another.

    Args:
        table: the long table of one task.
        weights: which checkpoint.

    Returns:
        One row per cell in the order of the ladder: ``sq``, ``se``, photons per pixel, sigma, and
        for every metric its mean, ``<metric>_constant`` (for AUPRC and F1: what a constant answer
        gets) and ``<metric>_diff``.
    """
    networks = network_means(table, weights)
    columns = ["sq", "se"]
    cells = in_ladder(networks[columns].itertuples(index=False, name=None))
    summary = pd.DataFrame(cells, columns=columns)
    summary["photons"] = [photons_per_pixel(sq) for sq in summary.sq]
    summary["sigma"] = [electronic_sigma(se) for se in summary.se]
    for metric in in_order(networks.metric):
        rows = networks[networks.metric == metric]
        # a network without the metric is no column
        by_network = rows.pivot_table(index=columns, columns="network", values="value")
        mean = by_network.mean(axis="columns", skipna=False).reindex(cells)
        summary[metric] = mean.to_numpy()
        if metric in BY_SHARE:
            summary[f"{metric}_constant"] = rows.chance.mean()
        summary[f"{metric}_diff"] = (mean - mean.get(CLEAN, np.nan)).to_numpy()
    return summary


def task_table(table: AnyTable, weights: str = "best") -> pd.DataFrame:
    """Every task's metrics on clean films and their drops at the ends of both ladders.

    Args:
        table: the long table of any number of tasks.
        weights: which checkpoint.

    Returns:
        One row per task: for every metric its clean mean over networks, ``<metric>_constant`` (for
        AUPRC and F1: what a constant answer gets), ``<metric>_sq`` and ``<metric>_se``, what is
        lost at the highest quantum and electronic severity; NaN where a cell was not measured.
    """
    rows = []
    table = as_table(table)
    for task in table.cells.task.unique():
        part = table.select(task=task)
        cells = severity_table(part, weights).set_index(["sq", "se"])
        clean = cells.reindex([CLEAN]).iloc[0]
        quantum, electronic = (cells.reindex([end]).iloc[0] for end in _ends(cells.index))
        row: dict[str, Any] = {"task": task}
        for metric in (name for name in cells if f"{name}_diff" in cells):
            row[metric] = clean[metric]
            if metric in BY_SHARE:
                row[f"{metric}_constant"] = clean[f"{metric}_constant"]
            row[f"{metric}_sq"] = -quantum[f"{metric}_diff"]
            row[f"{metric}_se"] = -electronic[f"{metric}_diff"]
        rows.append(row)
    return pd.DataFrame(rows)


def checkpoint_table(table: AnyTable) -> pd.DataFrame:
    """The best and the averaged weights, where a network has both, mean over networks and tasks.

    Args:
        table: the long table of any number of tasks.

    Returns:
        One row per checkpoint: ``weights``, ``networks`` (how many trainings have both), and the
        columns of :func:`task_table`; empty where averaging never began.
    """
    model = ["task", "network", "training_seed"]
    table = as_table(table)
    given = table.cells[[*model, "weights"]].drop_duplicates()
    several = given[given.groupby(model).weights.transform("size") == 2]
    both = set(several[model].itertuples(index=False, name=None))
    table = table.where(lambda cells: among(cells[model], both))
    return pd.DataFrame(
        {
            "weights": weights,
            "networks": len(several[several.weights == weights]),
            **task_table(table.select(weights=weights), weights).drop(columns="task").mean(),
        }
        for weights in several.weights.unique()
    )


def mean_loss(changes: Iterable[float]) -> float:
    """What is lost on the average of changes; NaN if one is."""
    return -float(np.mean(list(changes)))


def network_means(table: AnyTable, weights: str) -> pd.DataFrame:
    """Each network's metrics in every cell, over labels, noise seeds and trainings."""
    values = performance(as_table(table).select(weights=weights, degradation=UNDEGRADED))
    keys = ["network", "sq", "se", "metric"]
    return values.groupby(keys, as_index=False, observed=True)[["value", "chance"]].mean()


def _ends(cells: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The highest quantum and the highest electronic severity alone; NaN without one."""
    quantum = [sq for sq, se in cells if sq > 0 and se == 0]
    electronic = [se for sq, se in cells if se > 0 and sq == 0]
    return [(max(quantum, default=np.nan), 0.0), (0.0, max(electronic, default=np.nan))]


def in_order(metrics: Iterable[str]) -> list[str]:
    """Metrics in the order of reports, then others by name."""
    given = set(metrics)
    return [name for name in METRICS if name in given] + sorted(given - METRICS.keys())


def in_ladder(cells: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Cells in the order of the ladder, then others by severity."""
    given = set(cells)
    return [cell for cell in LADDER if cell in given] + sorted(given.difference(LADDER))
