"""Whether a model fails earlier for some patients: groups of films, their curves and differences.

All groups are of the same resamples of all patients, see :mod:`.resampling`: where a patient has
films in two groups, as with views, the difference between these is paired as far as it is; where
nobody has, it is that of two independent samples. In the tables of :mod:`.resampling` a group
stands where the degradation does, of which there is one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.groups import UNKNOWN, Grouping, group_columns, in_group_order

from .comparisons import FAMILY, paired_tests
from .long_table import CLEAN, check_table, undegraded
from .performance import Thresholds
from .resampling import Resampled, bootstrap
from .scores import Floats

_PAIR = ["task", "network", "weights", "sq", "se", "label", "metric"]


@dataclass(frozen=True)
class Subgroups:
    """The groups of one column: what each achieves in every cell, and how they differ.

    Args:
        column: its name in the long table.
        counts: number of ``films`` and ``patients`` by group, in their order.
        reference: the group that the others are compared with; "" where no group is known.
        shared: groups that have patients in common with the reference.
        draws: every group in every cell, the group in the place of the degradation.
    """

    column: str
    counts: pd.DataFrame
    reference: str
    shared: frozenset[str]
    draws: Resampled

    @property
    def names(self) -> list[str]:
        """Of all groups."""
        return list(self.counts.index)

    @property
    def others(self) -> list[str]:
        """Of those that are compared with the reference; "unknown" is not."""
        return [name for name in self.names if name not in (self.reference, UNKNOWN)]

    def select(self, **columns: Any) -> Subgroups:
        """The part with these values: ``select(metric="auroc", se=[0, 6])``."""
        return replace(self, draws=self.draws.select(**columns))

    def mean_over(self, column: str) -> Subgroups:
        """The mean over networks or labels, see :meth:`.resampling.Resampled.mean_over`.

        A group that lacks the metric of one label, having one class of it, has no mean.
        """
        return replace(self, draws=self.draws.mean_over(column))

    def levels(self, level: float = 0.95) -> pd.DataFrame:
        """The value of every group in every cell with its interval, see :meth:`intervals`."""
        return _named(self.draws.intervals(level))

    def changes(self, level: float = 0.95) -> pd.DataFrame:
        """What every group's value changes by from its clean cell, paired, with its interval."""
        return _named(self._changes.intervals(level))

    def differences(self, level: float = 0.95) -> pd.DataFrame:
        """How far every other group is from the reference in the same cell, clean ones too.

        Args:
            level: of the intervals, which are not adjusted.

        Returns:
            One row per group and cell: ``value``, ``lower``, ``upper``, ``p``, and ``p_holm``,
            adjusted over all groups and cells of a task, weights and metric; ``patients`` of the
            group and ``reference_patients``. Student's distribution has Welch's degrees of freedom
            where nobody is in both groups, else those of the smaller group's patients.

        References:
            Welch 1947, Biometrika 34:28.
        """
        return self._compared(self.draws, level)

    def differences_of_changes(self, level: float = 0.95) -> pd.DataFrame:
        """Whether a group loses more than the reference: the difference of their changes.

        As :meth:`differences`, of the changes from each group's own clean cell; a family of its
        own. Negative where the group's value falls further.
        """
        return self._compared(self._changes, level)

    @property
    def _changes(self) -> Resampled:
        sq, se = CLEAN
        return self.draws.against(sq=sq, se=se)

    def _compared(self, draws: Resampled, level: float) -> pd.DataFrame:
        about = draws.groups
        cells = about[["sq", "se"]].apply(tuple, axis=1)
        measured = cells.isin(set(cells[about.degradation == self.reference]))
        compared = about.degradation.isin([self.reference, *self.others])
        draws = draws.take(np.flatnonzero(measured & compared))
        groups, reference = self._beside_their_reference(draws)
        pairs = draws.against(degradation=self.reference)
        apart = ~groups.degradation.isin(self.shared).to_numpy()
        freedom = _degrees_of_freedom(groups, reference, apart)
        pairs = Resampled(pairs.groups.assign(patients=freedom + 1), pairs.draws)
        found = paired_tests(pairs, level=level, family=FAMILY)
        patients = {"patients": groups.patients, "reference_patients": reference.patients}
        return _named(found.assign(**{name: each.to_numpy() for name, each in patients.items()}))

    def _beside_their_reference(self, draws: Resampled) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Patients and variance of every other group, and of the reference in the same cell."""
        about = draws.groups.assign(variance=pd.DataFrame(draws.draws).var(axis=1))
        is_reference = about.degradation == self.reference
        groups = about[~is_reference]
        index = pd.MultiIndex.from_frame(groups[_PAIR])
        return groups, about[is_reference].set_index(_PAIR).reindex(index)


def subgroups(
    table: pd.DataFrame,
    column: str,
    *,
    reference: str | None = None,
    thresholds: Thresholds | None = None,
    resamples: int | None = None,
    seed: int = 0,
) -> Subgroups:
    """The groups of a column on the same resamples of all patients.

    Args:
        table: the long table of one task, of films that nothing but noise has degraded; others are
            left out.
        column: of groups, see :func:`film_groups`.
        reference: that the others are compared with; default: the group of the most patients.
        thresholds: see :func:`~cxr_noise_transforms.study.statistics.performance.performance`.
        resamples: see :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`.
        seed: likewise.

    Raises:
        ValueError: several tasks; no such column, an image with two of its values, or no such
            reference; or see :func:`~cxr_noise_transforms.study.statistics.long_table.check_table`.

    Example:
        >>> rows = [("a", "F", 0, 0.9), ("b", "M", 0, 0.9), ("a", "F", 9, 0.8), ("b", "M", 9, 0.5)]
        >>> table = pd.DataFrame(rows, columns=["image", "sex", "se", "value"]).assign(
        ...     task="lungs", network="A", weights="best", training_seed=0, sq=0, noise_seed=0,
        ...     patient=["a", "b"] * 2, label="lungs", metric="dice", target=np.nan)
        >>> found = subgroups(table, "sex", reference="F", resamples=9)
        >>> found.differences_of_changes()[["group", "se", "value"]].round(2).values.tolist()
        [['M', 9, -0.3]]
    """
    table = undegraded(check_table(table))
    tasks = table.task.unique()
    if len(tasks) != 1:
        raise ValueError(f"table must have one task, got {', '.join(map(str, tasks)) or 'none'}")
    if column not in [*group_columns(table), "source"] or column not in table:
        known = ", ".join(group_columns(table)) or "none"
        raise ValueError(f"column must be one of groups, got {column!r}; the table has {known}")
    table = table.assign(degradation=film_groups(table, column))
    counted = table.groupby("degradation", observed=True)
    counts = counted.agg(films=("image", "nunique"), patients=("patient", "nunique"))
    counts = counts.loc[in_group_order(counts.index)].rename_axis("group")
    known = counts.drop(index=UNKNOWN, errors="ignore")
    if reference is None:
        reference = str(known.patients.idxmax()) if len(known) else ""
    elif reference not in known.index:
        raise ValueError(
            f"reference must be a group of {column} ({', '.join(known.index)}), got {reference!r}"
        )
    of_group = counted.patient.agg(set)
    shared = {name for name in known.index if of_group[name] & of_group.get(reference, set())}
    draws = bootstrap(table, thresholds, resamples, seed).completed()
    return Subgroups(column, counts, reference, frozenset(shared), draws)


def film_groups(table: pd.DataFrame, column: str) -> pd.Series:
    """The group of the image of every row of one task, by a column of one value per image.

    An empty value is no other value: where all of an image's are, it is in the group "unknown".

    Raises:
        TypeError: a value is no text, number or bool.
        ValueError: an image has two values, or one that cannot be printed in a line.
    """
    named = Grouping(column).groups(table[column])
    images = table.image.astype(object)
    known = pd.DataFrame({"image": images, "group": named})[named != UNKNOWN].drop_duplicates()
    twice = known.image[known.image.duplicated()]
    if len(twice):
        several = in_group_order(known.group[known.image == twice.iloc[0]])
        raise ValueError(
            f"{column} must be one group per image, got {' and '.join(several)} of image "
            f"{twice.iloc[0]}"
        )
    of_image = dict(zip(known.image, known.group, strict=True))
    return pd.Series([of_image.get(name, UNKNOWN) for name in images], table.index, dtype=str)


def _degrees_of_freedom(
    groups: pd.DataFrame, reference: pd.DataFrame, apart: Iterable[bool]
) -> Floats:
    """Welch's for groups apart, else those of the smaller group."""
    both = [frame[["patients", "variance"]].to_numpy(float) for frame in (groups, reference)]
    (many, spread), (base, base_spread) = (one.T for one in both)
    fewest = np.minimum(many, base) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = (spread + base_spread) ** 2 / (spread**2 / (many - 1) + base_spread**2 / (base - 1))
    return np.where(apart & np.isfinite(welch) & (fewest > 0), welch, fewest)


def _named(found: pd.DataFrame) -> pd.DataFrame:
    return found.rename(columns={"degradation": "group"})
