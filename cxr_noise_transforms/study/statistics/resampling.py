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
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from .performance import (
    KEYS,
    Floats,
    Thresholds,
    check_classes,
    check_table,
    groups,
    score_metrics,
    threshold,
)

_GROUP = ("task", "network", "weights", "sq", "se", "label", "metric")
# numbers held at once, to stay within the memory of a small machine
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Resampled:
    """Values of groups, and the same values on resamples of the patients.

    Args:
        groups: one row per group: ``task``, ``network``, ``weights``, ``sq``, ``se``, ``label``,
            ``metric``, ``value`` and the number of ``patients``.
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
        """The mean over the values of a column ("network", "label"), which becomes "mean"."""
        rest = tuple(name for name in _GROUP if name != column)
        places = list(groups(self.groups, rest).values())
        means = self.groups.iloc[[rows[0] for rows in places]].reset_index(drop=True)
        means[column] = "mean"
        means["value"] = [self.groups.value.iloc[rows].mean() for rows in places]
        means["patients"] = [self.groups.patients.iloc[rows].min() for rows in places]
        draws = np.array([self.draws[rows].mean(axis=0) for rows in places])
        return Resampled(means, draws.reshape(len(places), self.draws.shape[1]))

    def against(self, *, relative: bool = False, **reference: Any) -> Resampled:
        """Paired differences from the groups with these values, which themselves are left out.

        ``against(sq=0, se=0)`` is the difference of every cell from the clean one,
        ``against(network="FPN")`` that of every network from FPN in the same cell.

        Args:
            relative: divided by the value of the reference.
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
        value = others.groups.value.to_numpy() - self.groups.value.to_numpy()[base]
        draws = others.draws - self.draws[base]
        if relative:
            value = value / self.groups.value.to_numpy()[base]
            draws = draws / self.draws[base]
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
        patients = found.patients.to_numpy(float)
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
    table: pd.DataFrame,
    thresholds: Thresholds | None = None,
    resamples: int | None = None,
    seed: int = 0,
) -> Resampled:
    """All metrics on resamples of the patients, averaged over training and noise seeds.

    Args:
        table: the long table.
        thresholds: for ``f1_val``, see
            :func:`~cxr_noise_transforms.study.statistics.performance.validation_thresholds`.
        resamples: how many; ``None`` for 2,000 where the table holds scores, else 9,999.
        seed: of the resamples; tasks with as many patients have the same.

    Returns:
        One group per task, network, weights, cell, label and metric, see
        :func:`~cxr_noise_transforms.study.statistics.performance.performance`.

    Raises:
        ValueError: as there; a task has one patient only, or its networks and cells have not the
            same images.
    """
    check_table(table)
    if resamples is None:
        resamples = 2_000 if (table.metric == "score").any() else 9_999
    found: dict[tuple, list] = {}
    for task in table.task.unique():
        part = table[table.task == task]
        patients, names = pd.factorize(part.patient, sort=True)
        if len(names) < 2:
            raise ValueError(f"task {task} must have at least 2 patients, got {len(names)}")
        counts = _patient_counts(len(names), resamples, np.random.default_rng(seed))
        for key, metric, draws, n in _draw(part, patients, counts, thresholds):
            named = dict(zip(KEYS, key, strict=True), metric=metric)
            group = tuple(named[name] for name in _GROUP)
            total = found.setdefault(group, [0, 0.0, n])
            total[0] += 1
            total[1] = total[1] + draws
    means = np.array([total / seeds for seeds, total, _ in found.values()])
    frame = pd.DataFrame(list(found), columns=list(_GROUP))
    frame["value"] = means[:, 0]
    frame["patients"] = [n for _, _, n in found.values()]
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
    patients: NDArray[np.intp],
    counts: NDArray[np.uint8],
    thresholds: Thresholds | None,
) -> Iterator[tuple[tuple, str, Floats, int]]:
    """Every key and metric of one task: value and draws, and the number of patients."""
    images = pd.factorize(table.image, sort=True)[0]
    values, targets = table["value"].to_numpy(float), table["target"].to_numpy(float)
    expected: dict[tuple, NDArray[np.intp]] = {}
    for (*key, metric), rows in groups(table, (*KEYS, "metric")).items():
        places = rows[np.argsort(images[rows])]
        where = dict(zip(KEYS, key, strict=True), metric=metric)
        if not (np.diff(images[places]) > 0).all():
            raise ValueError(f"table must have one row per image for {where}, got several")
        others = expected.setdefault((where["label"], metric), images[places])
        if not np.array_equal(images[places], others):
            raise ValueError(
                f"all cells and networks must have the same images; {where} has {len(places)}, "
                f"another {len(others)}, or not the same ones"
            )
        cut = None
        if metric == "score":
            check_classes(tuple(key), targets[places])
            cut = threshold(thresholds, tuple(key))
        else:
            places = places[~np.isnan(values[places])]
        owners, blocks = patients[places], []
        width = max(1, _BLOCK // max(1, len(places)))
        for start in range(0, counts.shape[1], width):
            weights = counts[owners, start : start + width].astype(float)
            if metric == "score":
                blocks.append(score_metrics(values[places], targets[places], weights, cut))
            else:
                blocks.append({metric: _weighted_mean(values[places], weights)})
        n = len(np.unique(owners))
        for name in blocks[0]:
            yield tuple(key), name, np.concatenate([block[name] for block in blocks]), n


def _weighted_mean(values: Floats, weights: Floats) -> Floats:
    mass = weights.sum(axis=0)
    return np.divide(values @ weights, mass, out=np.full(len(mass), np.nan), where=mass > 0)
