"""Intervals over patients: every cell and network on the same resamples of them.

The patient is the unit: a resample takes patients with replacement, each with all their films, as
many as there are. All networks and cells of a task see the same resamples, so differences between
them are paired. Noise is drawn anew for every film, so resampling patients covers it too; training
is not resampled: an interval says what other patients would change about these trained networks,
not what another training would (:func:`seed_spread`).

References:
    Field and Welsh 2007, J. R. Stat. Soc. B 69:369 (resampling of clusters).
    Rutter 2000, Acad. Radiol. 7:413 (areas under the ROC curve, several films per patient).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .long_table import CLEAN, KEYS, MEAN, SCORE, AnyTable, as_table, checked, groups, numbers
from .metrics import constant_answer
from .performance import Thresholds, threshold
from .scores import Floats, score_metrics
from .weighted_sums import weighted_mean

_GROUP = ("task", "network", "weights", "sq", "se", "degradation", "label", "metric")


@dataclass(frozen=True)
class Resampled:
    """Values of groups, and the same values on resamples of the patients.

    Args:
        groups: one row per group: ``task``, ``network``, ``weights``, ``sq``, ``se``,
            ``degradation``, ``label``, ``metric``, ``value``, ``chance`` (what a constant answer
            gets) and the number of ``patients``.
        draws: ``(groups, resamples)``; NaN where a resample has one class only.
    """

    groups: pd.DataFrame
    draws: Floats

    def select(self, **columns: Any) -> Resampled:
        """The groups with these values: ``select(metric="auroc", se=[0, 6, 8])``."""
        return self.take(np.flatnonzero(self._has(columns)))

    def take(self, rows: NDArray[np.intp]) -> Resampled:
        """The groups in these rows."""
        return Resampled(self.groups.iloc[rows].reset_index(drop=True), self.draws[rows])

    def mean_over(self, column: str) -> Resampled:
        """The mean over the values of a column ("network", "label"), which becomes "mean".

        Over those that have the metric in any cell: a label of one class has no AUROC and no part
        in its mean. In a cell that one of them lacks there is no mean: NaN.
        """
        rest = tuple(name for name in _GROUP if name != column)
        cell = ("sq", "se", "degradation")
        curve = [self.groups[name] for name in rest if name not in cell]
        has = self.groups.value.notna()
        needed = self.groups[column].where(has).groupby(curve).transform("nunique").to_numpy()
        first, averaged, draws = [], [], []
        for rows in groups(self.groups, rest).values():
            there = rows[has.to_numpy()[rows]]
            there = there if len(there) == needed[rows[0]] else there[:0]
            first.append(rows[0])
            part = self.groups.iloc[there]
            averaged.append((part.value.mean(), part.chance.mean(), part.patients.min()))
            # no mean of nothing, and no warning
            draws.append(self.draws[there].sum(axis=0) / (len(there) or np.nan))
        means = self.groups.iloc[first].reset_index(drop=True).assign(**{column: MEAN})
        means[["value", "chance", "patients"]] = np.reshape(averaged, (-1, 3))
        means["patients"] = means.patients.fillna(0).astype(int)
        return Resampled(means, np.reshape(draws, (len(first), self.draws.shape[1])))

    def completed(self) -> Resampled:
        """With a group for every network, label and metric in every cell and the clean ones.

        Those that were not measured are NaN.
        """
        every = []
        for task, part in self.groups.groupby("task", observed=True):
            cell = ["sq", "se", "degradation"]
            cells = {(*CLEAN, degradation) for degradation in part.degradation.unique()}
            cells |= set(part[cell].itertuples(index=False, name=None))
            names = [part[name].unique() for name in ("network", "weights", "label", "metric")]
            every += [
                (task, network, weights, *cell, label, metric)
                for network, weights, label, metric, cell in product(*names, sorted(cells))
            ]
        index = pd.MultiIndex.from_tuples(every, names=_GROUP)
        measured = self.groups.set_index(list(_GROUP))
        found = measured.reindex(index).reset_index()
        found["patients"] = found.patients.fillna(0).astype(int)
        # what is missing has the place -1: the last row, which is nothing
        nothing = np.full((1, self.draws.shape[1]), np.nan)
        draws = np.append(self.draws, nothing, axis=0)[measured.index.get_indexer(index)]
        return Resampled(found, draws)

    def against(self, *, relative: bool = False, **reference: Any) -> Resampled:
        """Paired differences from the groups with these values, which themselves are left out.

        ``against(sq=0, se=0)`` is the difference of every cell from the clean one,
        ``against(network="FPN")`` that of every network from FPN in the same cell.

        Args:
            relative: divided by the value of the reference; NaN where that is 0.
            **reference: columns and values.

        Raises:
            ValueError: a group has no such counterpart.
        """
        rest = [name for name in _GROUP if name not in reference]
        is_reference = self._has(reference)
        others = self.take(np.flatnonzero(~is_reference))
        keys = list(self.groups[rest].itertuples(index=False, name=None))
        places = {keys[place]: place for place in np.flatnonzero(is_reference)}
        partners = [
            places.get(key) for key, skip in zip(keys, is_reference, strict=True) if not skip
        ]
        if None in partners:
            lonely = others.groups[rest].iloc[partners.index(None)].to_dict()
            raise ValueError(f"{reference} must be there for {lonely}; it is missing")
        base = np.array(partners, dtype=int)
        base_value, base_draws = self.groups.value.to_numpy()[base], self.draws[base]
        value, draws = others.groups.value.to_numpy() - base_value, others.draws - base_draws
        if relative:
            value, draws = _ratio(value, base_value), _ratio(draws, base_draws)
        return Resampled(others.groups.assign(value=value), draws)

    def intervals(self, level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals, widened for few patients.

        The tails ``(1 - level) / 2`` become ``Phi(sqrt(P / (P - 1)) t)``, with ``t`` that quantile
        of Student's distribution of ``P - 1`` degrees of freedom, P patients: percentile intervals
        are otherwise too short by as much as a standard deviation with divisor P is.

        Args:
            level: share of studies whose interval is to hold the truth.

        Returns:
            The groups with ``lower``; ``upper``; ``standard_error``, the standard deviation over
            resamples times ``sqrt(P / (P - 1))``; ``resamples``, those with a value.

        Raises:
            ValueError: the level is not between 0 and 1.

        References:
            Hesterberg 2015, Am. Stat. 69:371 (expanded percentile interval).
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, got {level}")
        found = self.groups.copy()
        patients = found.patients.to_numpy(float, copy=True)
        patients[patients < 2] = np.nan
        widening = np.sqrt(patients / (patients - 1))
        tails = stats.norm.cdf(widening * stats.t.ppf((1 - level) / 2, patients - 1))
        ends, spread, defined = [], [], []
        for row, tail in zip(self.draws, tails, strict=True):
            draw = row[~np.isnan(row)]
            one = len(draw) < 2 or np.isnan(tail)
            ends.append((np.nan, np.nan) if one else np.quantile(draw, (tail, 1 - tail)))
            spread.append(np.nan if one else draw.std(ddof=1))
            defined.append(len(draw))
        found[["lower", "upper"]] = np.reshape(ends, (-1, 2))
        found["standard_error"] = np.array(spread) * widening
        found["resamples"] = defined
        return found

    def _has(self, columns: Mapping[str, Any]) -> NDArray[np.bool_]:
        found = np.ones(len(self.groups), dtype=bool)
        for name, allowed in columns.items():
            several = allowed if isinstance(allowed, (list, tuple)) else [allowed]
            found &= self.groups[name].isin(several).to_numpy()
        return found


def bootstrap(
    table: AnyTable,
    thresholds: Thresholds | None = None,
    resamples: int | None = None,
    seed: int = 0,
) -> Resampled:
    """All metrics on resamples of the patients, averaged over training and noise seeds.

    Every network and cell is averaged over the images that it has. Where these are not the same,
    differences are of the same patients as far as both have them, see
    :func:`~cxr_noise_transforms.study.statistics.long_table.is_complete`.

    Args:
        table: the long table, a data frame or one that is read a part at a time.
        thresholds: for ``f1_val``, see
            :func:`~cxr_noise_transforms.study.statistics.performance.validation_thresholds`.
        resamples: how many; ``None`` for 2,000 where the table holds scores, else 9,999.
        seed: of the resamples; tasks with as many patients have the same.

    Returns:
        One group per task, network, weights, cell, label and metric, see
        :func:`~cxr_noise_transforms.study.statistics.performance.performance`.

    Raises:
        ValueError: as there.
    """
    table = as_table(table)
    if resamples is None:
        resamples = 2_000 if SCORE in set(table.distinct("metric").metric) else 9_999
    found: dict[tuple, list] = {}
    for task in table.cells.task.unique():
        part = table.select(task=task)
        patients = pd.Index(pd.factorize(part.distinct("patient").patient, sort=True)[1])
        counts = _patient_counts(len(patients), resamples, np.random.default_rng(seed))
        for rows in checked(part):
            for key, metric, draws, chance, n in _draw(rows, patients, counts, thresholds):
                named = dict(zip(KEYS, key, strict=True), metric=metric)
                group = tuple(named[name] for name in _GROUP)
                total = found.setdefault(group, [0, 0.0, chance, n])
                total[0] += 1
                total[1] = total[1] + draws
    means = np.array([total / seeds for seeds, total, _, _ in found.values()])
    frame = pd.DataFrame(list(found), columns=list(_GROUP))
    frame["value"] = means[:, 0]
    frame["chance"] = [chance for _, _, chance, _ in found.values()]
    frame["patients"] = [n for _, _, _, n in found.values()]
    order = frame.sort_values(list(_GROUP)).index.to_numpy()
    return Resampled(frame, means[:, 1:]).take(order)


def _patient_counts(
    patients: int, resamples: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """How often each patient is in each resample; the first column are the patients themselves."""
    counts = np.ones((patients, resamples + 1), np.uint8)
    for column in range(1, resamples + 1):
        chosen = generator.integers(0, patients, patients)
        counts[:, column] = np.bincount(chosen, minlength=patients)
    return counts


def _draw(
    table: pd.DataFrame,
    patients: pd.Index,
    counts: NDArray[np.uint8],
    thresholds: Thresholds | None,
) -> Iterator[tuple[tuple, str, Floats, float, int]]:
    """Every key and metric of some cells: value and draws, a constant's value, and patients."""
    images, every_owner = pd.factorize(table.image, sort=True)[0], _places(table.patient, patients)
    values, targets = numbers(table, "value"), numbers(table, "target")
    for (*key, metric), rows in groups(table, (*KEYS, "metric")).items():
        places = rows[np.argsort(images[rows])]
        places = places[~np.isnan((targets if metric == SCORE else values)[places])]
        owners = every_owner[places]
        if metric == SCORE:
            cut = threshold(thresholds, tuple(key))
            found = score_metrics(values[places], targets[places], counts, cut, owners)
        else:
            found = {metric: weighted_mean(values[places], owners, counts)}
        n = len(np.unique(owners))
        positives = targets[places].mean() if n else np.nan
        for name, draws in found.items():
            yield tuple(key), name, draws, constant_answer(name, positives), n


def _places(column: pd.Series, names: pd.Index) -> NDArray[np.intp]:
    """Where the values of a column are among all names."""
    codes, own = pd.factorize(column)
    return names.get_indexer(pd.Index(own).astype(names.dtype))[codes]


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    nothing = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator != 0)
