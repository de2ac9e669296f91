"""The columns of a long table whose groups a report compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cxr_noise_transforms.study.groups import Grouping, group_columns, groupings
from cxr_noise_transforms.study.statistics.performance import Thresholds
from cxr_noise_transforms.study.statistics.subgroups import Subgroups, subgroups
from cxr_noise_transforms.study.table import LongTable

# of a column whose groups are compared: more are numbers that should be cut
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
) -> tuple[list[Subgroups], dict[str, int]]:
    """The groups of every column, compared in memory, and those columns that have too many."""
    compared: list[Subgroups] = []
    uncut: dict[str, int] = {}
    if not chosen:
        return compared, uncut
    rows = table.frame()
    for one in chosen:
        if one.edges and one.name in rows:
            rows = rows.assign(**{one.name: one.groups(rows[one.name])})
        count = rows[one.name].nunique() if one.name in rows else 0
        if count > MOST_GROUPS:
            uncut[one.name] = count
            continue
        every = subgroups(rows, one.name, thresholds=thresholds, resamples=resamples)
        compared.append(every.mean_over("label").mean_over("network"))
    return compared, uncut
