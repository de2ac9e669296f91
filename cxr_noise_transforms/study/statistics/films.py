"""Single films: how many have each label, what each achieves in every cell, where it fails."""

from __future__ import annotations

import pandas as pd

from .long_table import SCORE, numbers
from .metrics import LOWER_IS_BETTER
from .scores import truth_probability


def label_counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many films speak for each label, and how many are left out of its metrics.

    Args:
        table: the long table of one task.

    Returns:
        By label, in the table's order: ``films``; ``positive`` and ``negative``, films with and
        without a classifier's label; ``left_out``, films whose label is missing (NaN as target)
        or whose metrics are not defined (NaN, as for an empty reference).
    """
    known = table.value.notna() & (table.target.notna() | (table.metric != SCORE))
    marks = table.assign(known=known, positive=table.target == 1, negative=table.target == 0)
    films = marks.groupby(["label", "image"], observed=True, sort=False)
    films = films[["known", "positive", "negative"]].any()
    by_label = films.groupby("label", observed=True, sort=False)
    counts = by_label.sum()[["positive", "negative"]].assign(films=by_label.size())
    return counts.assign(left_out=counts.films - by_label.known.sum())


def film_values(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What every film achieves in every cell, the mean over the rows of each.

    Args:
        table: rows of the long table, such as those of one network and noise seed.
        metric: which; for "score" the probability of the truth.

    Returns:
        Images by cells ``(sq, se)``. Films without any value are left out; the worst on the
        average of their cells is first.
    """
    rows = table[table.metric == metric]
    if metric == SCORE:
        truth = truth_probability(numbers(rows, "value"), numbers(rows, "target"))
        rows = rows.assign(value=truth)
    films = rows.pivot_table(index="image", columns=["sq", "se"], values="value", observed=True)
    ascending = metric not in LOWER_IS_BETTER
    return films.loc[films.mean(axis=1).sort_values(ascending=ascending, kind="stable").index]


def failures(films: pd.DataFrame, metric: str, clean: tuple[float, float]) -> pd.DataFrame:
    """Where films fail: half the clean value is gone, or the truth is less likely than not.

    Args:
        films: from :func:`film_values`.
        metric: what they hold; an error fails at twice the clean value.
        clean: the cell to compare with.

    Returns:
        Images by cells of truth values; False where a value is missing.
    """
    if metric == SCORE:
        return films < 0.5
    reference = films[clean].to_numpy()[:, None]
    if metric in LOWER_IS_BETTER:
        return (films >= 2 * reference) & (films > 0)
    return films <= reference / 2
