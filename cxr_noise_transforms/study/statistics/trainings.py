"""Trainings that never learned."""

from __future__ import annotations

import pandas as pd

from .long_table import undegraded
from .performance import performance


def failed_trainings(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Trainings that on clean films reach less than half of what their network mostly does.

    Half of what it has above a constant answer, the median over its trainings in all arms.

    Args:
        table: the long table of one task.
        metric: in which higher is better.

    Returns:
        One row per failed ``weights``, ``network`` and ``training_seed``: ``value``, ``chance``.
    """
    perf = performance(undegraded(table))
    clean = perf[(perf.metric == metric) & (perf.sq == 0) & (perf.se == 0)]
    keys = ["weights", "network", "training_seed"]
    found = clean.groupby(keys, observed=True)[["value", "chance"]].mean().reset_index()
    usual = found.groupby("network").value.transform("median")
    return found[found.value - found.chance < (usual - found.chance) / 2]


def failed_words(failed: pd.DataFrame) -> str:
    """Which they are and what they reach."""
    return "; ".join(
        f"{row.network}, {row.weights}, training {row.training_seed + 1}, {row.value:.2f} on clean "
        "films"
        for row in failed.itertuples()
    )
