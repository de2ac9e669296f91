"""The long table: its columns, what it must hold, and its rows in groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_noise_transforms.study.columns import UNDEGRADED

from .metrics import OF_SCORES
from .scores import Floats

MODEL = ("task", "network", "weights", "training_seed", "label")
KEYS = (
    "task", "network", "weights", "training_seed", "sq", "se", "noise_seed", "degradation", "label",
)  # fmt: skip
SCORE = "score"
# sq and se without noise
CLEAN = (0.0, 0.0)
# what the mean over networks, or over labels, is called among them
MEAN = "mean"


def check_table(table: pd.DataFrame) -> pd.DataFrame:
    """Refuse a table of which nothing can be said, or not only one thing.

    A table without the column ``degradation`` comes back with it: its films have none.

    Whatever passes has a performance, intervals and a report, with NaN or a dash where nothing is
    defined. Values that are NaN are allowed for metrics of images (an empty reference), targets
    that are NaN for scores (a label that is missing or uncertain).

    Raises:
        ValueError: there are no rows; columns or names are missing; a severity or value is not
            finite; a score is not from 0 to 1, or its target not 0, 1 or NaN; an image has two
            values; a metric or network has a name that the statistics give.
    """
    names = ["task", "network", "weights", "degradation", "label", "image", "patient", "metric"]
    if "degradation" not in table:
        table = table.assign(degradation=UNDEGRADED)
    needed = [*KEYS, "image", "patient", "metric", "value", "target"]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"table must have the columns {', '.join(missing)}; they are missing")
    if table.empty:
        raise ValueError("table must have at least one row, got none")
    for name in (*names, "training_seed", "sq", "se", "noise_seed"):
        if table[name].isna().any():
            raise ValueError(f"column {name} must have a value in every row, got an empty one")
    is_score, value, target = table.metric == SCORE, table.value, table.target
    for name in ("sq", "se"):
        wrong = ~(np.isfinite(numbers(table, name)) & (numbers(table, name) >= 0))
        _refuse(table, wrong, f"{name} must be finite and not negative", name)
    must = "value must be finite, or empty where it is not defined"
    _refuse(table, np.isinf(numbers(table, "value")), must, "value")
    # NaN is not between 0 and 1 either
    wrong = is_score & ~value.between(0, 1)
    _refuse(table, wrong, "value of a score must be from 0 to 1", "value")
    wrong = is_score & ~(target.isin((0, 1)) | target.isna())
    _refuse(table, wrong, "target of a score must be 0, 1 or empty", "target")
    wrong = table.metric.isin(OF_SCORES) & is_score.any()
    _refuse(table, wrong, "metric must not have the name of one made from scores", "metric")
    wrong = table.network.astype(str) == MEAN
    _refuse(table, wrong, "network must have another name than the mean of networks", "network")
    again = table.duplicated([*KEYS, "metric", "image"])
    _refuse(table, again, "table must have one row per image and metric of a cell", "metric")
    return table


def undegraded(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of films that nothing but noise has degraded."""
    return table[table.degradation == UNDEGRADED] if "degradation" in table else table


def groups(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[tuple, NDArray[np.intp]]:
    """Values of the columns to the places of their rows."""
    if table.empty:
        return {}
    return table.groupby(list(columns), observed=True).indices


def numbers(table: pd.DataFrame, column: str) -> Floats:
    """A column as float64."""
    return table[column].to_numpy(float)


def is_complete(table: pd.DataFrame) -> bool:
    """Whether all networks of a task were measured on the same images in the same cells."""
    whole = table.image.nunique()
    for columns in (["sq", "se", "noise_seed"], ["label", "metric"]):
        whole *= len(table[columns].drop_duplicates())
    rows = table.groupby(["network", "weights", "training_seed"], observed=True).size()
    return bool((rows == whole).all())


def _refuse(table: pd.DataFrame, wrong: NDArray | pd.Series, must: str, name: str) -> None:
    places = np.flatnonzero(wrong)
    if len(places):
        row = table.iloc[places[0]]
        raise ValueError(
            f"{must}, got {row[name]} for image {row.image}, label {row.label} at sq={row.sq:g}, "
            f"se={row.se:g} (task {row.task}, network {row.network})"
        )
