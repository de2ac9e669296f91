"""The long table: its columns, what it must hold, and its rows in groups."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TypeAlias, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxr_noise_transforms.study.columns import CELL, UNDEGRADED
from cxr_noise_transforms.study.table import LongTable

from .metrics import OF_SCORES
from .scores import Floats

MODEL = ("task", "network", "weights", "training_seed", "label")
KEYS = (*CELL, "label")
SCORE = "score"
# sq and se without noise
CLEAN = (0.0, 0.0)
# what the mean over networks, or over labels, is called among them
MEAN = "mean"

# in memory, or a part at a time from wherever it is
AnyTable: TypeAlias = pd.DataFrame | LongTable
_Given = TypeVar("_Given", pd.DataFrame, LongTable)
_NEEDED = (*KEYS, "image", "patient", "metric", "value", "target")


def check_table(table: _Given) -> _Given:
    """Refuse a table of which nothing can be said, or not only one thing.

    A table without the column ``degradation`` comes back with it: its films have none.

    Whatever passes has a performance, intervals and a report, with NaN or a dash where nothing is
    defined. Values that are NaN are allowed for metrics of images (an empty reference), targets
    that are NaN for scores (a label that is missing or uncertain).

    Raises:
        ValueError: there are no rows; columns or names are missing; a seed is no whole number; a
            severity or value is not finite; a score is not from 0 to 1, or its target not 0, 1 or
            NaN; an image has two values; a metric or network has a name that the statistics give.
    """
    if isinstance(table, pd.DataFrame) and "degradation" not in table:
        table = table.assign(degradation=UNDEGRADED)
    for _ in checked(table):
        pass
    return table


def checked(table: AnyTable) -> Iterator[pd.DataFrame]:
    """The rows of a table as :func:`check_table` wants them, a number of whole cells at a time.

    They have the columns that statistics need, and no others.

    Raises:
        ValueError: as there.
    """
    table = as_table(table)
    has_scores = SCORE in set(table.distinct("metric").metric)
    for rows in table.chunks(*_NEEDED):
        _check_rows(rows, has_scores=has_scores)
        yield rows


def as_table(table: AnyTable) -> LongTable:
    """A table that may be read a part at a time, with the columns that statistics need.

    Raises:
        ValueError: columns are missing, empty where they tell a cell, or there are no rows; a seed
            is no whole number.
    """
    if isinstance(table, pd.DataFrame):
        _check_columns(table.columns.union(["degradation"]))
        table = LongTable.of(table)
    elif table.parts:
        _check_columns(table.columns)
    if not len(table):
        raise ValueError("table must have at least one row, got none")
    for name in CELL:
        _check_filled(table.cells, name)
    for name in ("training_seed", "noise_seed"):
        wrong = table.cells[name] % 1 != 0
        if wrong.any():
            got = table.cells[name][wrong].iloc[0]
            raise ValueError(f"{name} must be a whole number in every row, got {got}")
    return table


def _check_columns(columns: Collection[str]) -> None:
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise ValueError(f"table must have the columns {', '.join(missing)}; they are missing")


def _check_filled(rows: pd.DataFrame, name: str) -> None:
    # a model of one's own need not say which weights it has
    nameless = (rows[name] == "") & (name != "weights")
    if (rows[name].isna() | nameless).any():
        raise ValueError(f"column {name} must have a value in every row, got an empty one")


def _check_rows(table: pd.DataFrame, *, has_scores: bool) -> None:
    """Refuse rows of whole cells."""
    for name in ("label", "image", "patient", "metric"):
        _check_filled(table, name)
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
    wrong = table.metric.isin(OF_SCORES) & has_scores
    _refuse(table, wrong, "metric must not have the name of one made from scores", "metric")
    wrong = table.network == MEAN
    _refuse(table, wrong, "network must have another name than the mean of networks", "network")
    again = table.duplicated([*KEYS, "metric", "image"])
    _refuse(table, again, "table must have one row per image and metric of a cell", "metric")


def undegraded(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of films that nothing but noise has degraded."""
    return table[table.degradation == UNDEGRADED] if "degradation" in table else table


def among(rows: pd.DataFrame, keys: Collection[tuple]) -> pd.Series:
    """Whether the values of each row are one of the keys."""
    found = [key in keys for key in rows.itertuples(index=False, name=None)]
    return pd.Series(found, rows.index, bool)


def groups(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[tuple, NDArray[np.intp]]:
    """Values of the columns to the places of their rows."""
    if table.empty:
        return {}
    return table.groupby(list(columns), observed=True).indices


def numbers(table: pd.DataFrame, column: str) -> Floats:
    """A column as float64."""
    return table[column].to_numpy(float)


def is_complete(table: AnyTable) -> bool:
    """Whether all networks of a task were measured on the same images in the same cells."""
    table = as_table(table)
    cells = table.cells
    whole = len(table.distinct("image")) * len(table.distinct("label", "metric"))
    whole *= len(cells[["sq", "se", "noise_seed"]].drop_duplicates())
    rows = cells.groupby(["network", "weights", "training_seed"], observed=True).rows.sum()
    return bool((rows == whole).all())


def _refuse(table: pd.DataFrame, wrong: NDArray | pd.Series, must: str, name: str) -> None:
    places = np.flatnonzero(wrong)
    if len(places):
        row = table.iloc[places[0]]
        raise ValueError(
            f"{must}, got {row[name]} for image {row.image}, label {row.label} at sq={row.sq:g}, "
            f"se={row.se:g} (task {row.task}, network {row.network})"
        )
