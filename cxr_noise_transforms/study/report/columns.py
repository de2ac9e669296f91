"""The columns of a long table whose groups a report compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from cxr_noise_transforms.study.groups import group_columns, groupings
from cxr_noise_transforms.study.statistics.performance import Thresholds
from cxr_noise_transforms.study.statistics.subgroups import Subgroups, subgroups

# of a column whose groups are compared: more are numbers that should be cut
MOST_GROUPS = 20


def grouped(table: pd.DataFrame, groups: Iterable[str] | None) -> tuple[pd.DataFrame, list[str]]:
    """The table with its groups, cut where they are to be, and their columns."""
    if groups is None:
        return table, group_columns(table)
    chosen = groupings(groups)
    cut = {
        one.name: one.groups(table[one.name]) for one in chosen if one.edges and one.name in table
    }
    return table.assign(**cut), [one.name for one in chosen]


def compared_groups(
    table: pd.DataFrame, columns: Sequence[str], thresholds: Thresholds | None, resamples: int
) -> tuple[list[Subgroups], dict[str, int]]:
    """The groups of every column, and those columns that have too many."""
    compared, uncut = [], {}
    for column in columns:
        count = table[column].nunique() if column in table else 0
        if count > MOST_GROUPS:
            uncut[column] = count
            continue
        every = subgroups(table, column, thresholds=thresholds, resamples=resamples)
        compared.append(every.mean_over("label").mean_over("network"))
    return compared, uncut
