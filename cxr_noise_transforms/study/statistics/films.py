"""Single films: how many have each label, what each achieves in every cell, where it fails."""

from __future__ import annotations

import pandas as pd

from cxr_noise_transforms.study.parquet import stacked, without_categories

from .long_table import SCORE, AnyTable, as_table, numbers
from .metrics import LOWER_IS_BETTER
from .scores import truth_probability

_MARKS = ("known", "positive", "negative")


def label_counts(table: AnyTable) -> pd.DataFrame:
    """How many films speak for each label, and how many are left out of its metrics.

    Args:
        table: the long table of one task.

    Returns:
        By label, in the table's order: ``films``; ``positive`` and ``negative``, films with and
        without a classifier's label; ``left_out``, films whose label is missing (NaN as target)
        or whose metrics are not defined (NaN, as for an empty reference).
    """
    return counts_of(film_marks(table))


def counts_of(marks: pd.DataFrame) -> pd.DataFrame:
    """As :func:`label_counts`, of what :func:`film_marks` knows."""
    by_label = marks.groupby("label", observed=True, sort=False)
    counts = by_label.sum()[["positive", "negative"]].assign(films=by_label.size())
    return counts.assign(left_out=counts.films - by_label.known.sum())


def film_marks(table: AnyTable) -> pd.DataFrame:
    """What is known of every film and label in any cell.

    Args:
        table: the long table of one task.

    Returns:
        By label and image, in the table's order: ``known``, a metric has a value, a score its
        target; ``positive`` and ``negative``, a target is 1, or 0.
    """
    columns = ("label", "image", "value", "target", "metric")
    found: list[pd.DataFrame] = []
    for rows in as_table(table).chunks(*columns):
        known = rows.value.notna() & (rows.target.notna() | (rows.metric != SCORE))
        marks = rows.assign(known=known, positive=rows.target == 1, negative=rows.target == 0)
        # a film is in most cells: what is known already is not kept again
        marks = marks.drop_duplicates(["label", "image", *_MARKS])
        found = [stacked([*found, marks]).drop_duplicates(["label", "image", *_MARKS])]
    films = without_categories(found[0]).groupby(["label", "image"], sort=False)
    return films[list(_MARKS)].any()


def film_values(table: AnyTable, metric: str) -> pd.DataFrame:
    """What every film achieves in every cell, the mean over the rows of each.

    Args:
        table: rows of the long table, such as those of one network and noise seed.
        metric: which; for "score" the probability of the truth.

    Returns:
        Images by cells ``(sq, se)``. Films without any value are left out; the worst on the
        average of their cells is first.
    """
    sums = []
    for chunk in as_table(table).chunks("sq", "se", "image", "metric", "value", "target"):
        rows = chunk[chunk.metric == metric]
        value = numbers(rows, "value")
        if metric == SCORE:
            value = truth_probability(value, numbers(rows, "target"))
        films = rows.assign(value=value).groupby(["image", "sq", "se"], observed=True).value
        sums.append(without_categories(films.agg(["sum", "count"]).reset_index()))
    whole = pd.concat(sums).groupby(["image", "sq", "se"]).sum()
    means = (whole["sum"] / whole["count"]).rename("value").reset_index()
    films = means.pivot_table(index="image", columns=["sq", "se"], values="value", observed=True)
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
