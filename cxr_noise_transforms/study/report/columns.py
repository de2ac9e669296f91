"""The columns of a long table whose groups a report compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from cxr_noise_transforms.study.groups import UNKNOWN, Grouping, group_columns, groupings
from cxr_noise_transforms.study.statistics.performance import Thresholds
from cxr_noise_transforms.study.statistics.subgroups import Subgroups, film_groups, subgroups
from cxr_noise_transforms.study.table import LongTable

# of a column whose groups are compared
MOST_GROUPS = 20


def chosen_groups(table: LongTable, groups: Iterable[str] | None) -> Sequence[Grouping]:
    """Those that are named, or the columns that not every long table has."""
    if groups is None:
        return [Grouping(name) for name in group_columns(table.columns)]
    return groupings(groups)


def compared_groups(
    table: LongTable,
    chosen: Sequence[Grouping],
    thresholds: Thresholds | None,
    resamples: int,
    *,
    named: bool,
) -> tuple[list[Subgroups], dict[str, str]]:
    """The groups of every column, compared in memory, and why other columns are not compared.

    Args:
        table: of one task.
        chosen: the columns.
        thresholds: see :func:`subgroups`.
        resamples: likewise.
        named: whether somebody asked for these columns, and one without groups is refused.
    """
    compared: list[Subgroups] = []
    left_out: dict[str, str] = {}
    if not chosen:
        return compared, left_out
    rows = table.frame()
    for one in chosen:
        if one.edges and one.name in rows:
            rows = rows.assign(**{one.name: one.groups(rows[one.name])})
        reason = _left_out(rows, one.name, named=named) if one.name in rows else ""
        if reason:
            left_out[one.name] = reason
            continue
        every = subgroups(rows, one.name, thresholds=thresholds, resamples=resamples)
        compared.append(every.mean_over("label").mean_over("network"))
    return compared, left_out


def _left_out(rows: pd.DataFrame, column: str, *, named: bool) -> str:
    """Why a column is not compared, or nothing."""
    try:
        names = film_groups(rows, column).unique()
    except (TypeError, ValueError) as error:
        if named:
            raise
        return f"{column} is not compared: {error}."
    count = sum(name != UNKNOWN for name in names)
    if count <= MOST_GROUPS:
        return ""
    return f"{column} has {count} groups, too many for curves{_advice(rows, column)}."


def _advice(rows: pd.DataFrame, column: str) -> str:
    try:
        Grouping(column, (40, 60)).groups(rows[column])
    except ValueError:
        return ""
    return f": cut its numbers, as --groups {column}=40,60 does"
