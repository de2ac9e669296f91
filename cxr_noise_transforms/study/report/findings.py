"""What the report says of a task, as numbers: levels, changes, curves and films."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.curves import curve_numbers
from cxr_noise_transforms.study.statistics.films import counts_of, failures, film_marks, film_values
from cxr_noise_transforms.study.statistics.long_table import (
    CLEAN,
    MEAN,
    SCORE,
    AnyTable,
    among,
    as_table,
    is_complete,
)
from cxr_noise_transforms.study.statistics.metrics import LOWER_IS_BETTER
from cxr_noise_transforms.study.statistics.performance import (
    Thresholds,
    mean_over,
    performance,
    seed_spread,
)
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap
from cxr_noise_transforms.study.statistics.subgroups import Subgroups
from cxr_noise_transforms.study.statistics.summaries import in_ladder, in_order
from cxr_noise_transforms.study.table import LongTable

from .columns import chosen_groups, compared_groups

ALPHA = 0.05
_NAMES = ("task", "network", "weights", "image", "label", "metric")


@dataclass(frozen=True)
class Findings:
    """The results of one task, labels and noise seeds averaged; NaN where nothing was measured.

    Args:
        table: the task's long table.
        every_perf: :func:`~cxr_noise_transforms.study.statistics.performance.performance` of it.
        every_draw: :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap` of it, for
            every network, label and metric in every cell.
        weights: the checkpoint that is reported.
        networks: in the report's order.
        normal_dose: quantum severity of the normal dose; NaN where pixels have no size.
        controls: what other degradations change, paired with the same films without them.
        subgroups: of every column of groups, means over labels and networks.
        left_out: columns that are not compared, and why.
    """

    table: LongTable
    every_perf: pd.DataFrame
    every_draw: Resampled
    weights: str
    networks: Sequence[str]
    normal_dose: float = np.nan
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    subgroups: Sequence[Subgroups] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def task(self) -> str:
        """Its name."""
        return str(self.table.cells.task.iloc[0])

    @cached_property
    def labels(self) -> list[str]:
        """In the table's order."""
        return list(self.marks.index.unique("label"))

    @cached_property
    def cells(self) -> list[tuple[float, float]]:
        """In the order of the ladder."""
        cells = self.table.cells[["sq", "se"]].drop_duplicates()
        return in_ladder(cells.itertuples(index=False, name=None))

    @property
    def axes(self) -> dict[str, list[float]]:
        """Severities of each axis that was measured: "sq", "se"."""
        axes = {
            "sq": sorted(sq for sq, se in self.cells if se == 0),
            "se": sorted(se for sq, se in self.cells if sq == 0),
        }
        return {axis: steps for axis, steps in axes.items() if len(steps) > 1}

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Of films: :func:`~cxr_noise_transforms.study.statistics.films.label_counts`."""
        return counts_of(self.marks)

    @cached_property
    def marks(self) -> pd.DataFrame:
        """Of films: :func:`~cxr_noise_transforms.study.statistics.films.film_marks`."""
        return film_marks(self.table)

    @cached_property
    def images(self) -> pd.DataFrame:
        """The films: ``image``, ``patient`` and, where it is known, ``source``."""
        columns = [name for name in ("image", "patient", "source") if name in self.table.columns]
        return self.table.distinct(*columns).drop_duplicates("image", ignore_index=True)

    @cached_property
    def complete(self) -> bool:
        """Whether all networks were measured on the same films in the same cells."""
        return is_complete(self.table)

    @cached_property
    def metrics(self) -> list[str]:
        """Those with a value anywhere; the first is the one that the report is about."""
        groups = self.draws.groups
        known = groups[groups.value.notna()].metric.unique()
        return in_order(known if len(known) else groups.metric.unique())

    @cached_property
    def draws(self) -> Resampled:
        """Every network."""
        return self.every_draw.select(weights=self.weights).mean_over("label")

    @cached_property
    def mean(self) -> Resampled:
        """The mean over networks."""
        return self.draws.mean_over("network")

    @cached_property
    def levels(self) -> pd.DataFrame:
        """The mean over networks with its intervals, by metric, sq and se."""
        return self.mean.intervals().set_index(["metric", "sq", "se"]).sort_index()

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Its tests against the clean cell, by metric, sq and se; NaN in the clean cell."""
        tests = paired_tests(self.mean.against(sq=0, se=0))
        return tests.set_index(["metric", "sq", "se"]).reindex(self.levels.index)

    @cached_property
    def noise_spread(self) -> pd.Series:
        """The mean's standard deviation over noise seeds, by metric, sq and se."""
        reported = self.every_perf[self.every_perf.weights == self.weights]
        spread = seed_spread(mean_over(reported, ["label", "network"]))
        return spread.set_index(["metric", "sq", "se"]).noise_sd

    @cached_property
    def curve_numbers(self) -> pd.DataFrame:
        """Those of networks and "mean", errors as multiples of the first network's."""
        both = pd.concat([self.draws.groups, self.mean.groups], ignore_index=True)
        return curve_numbers(both, baseline=self.networks[0])

    def constant(self, metric: str) -> float:
        """What a constant answer gets; NaN where that is not known."""
        known = self.levels.chance[metric].dropna()
        return known.iloc[0] if len(known) else np.nan

    def is_weak(self, metric: str) -> bool:
        """Whether the clean mean cannot be told from a constant answer's."""
        level = self.levels.loc[metric].loc[CLEAN]
        return bool(level.chance > 0 and level.lower <= level.chance)

    def numbers(self, metric: str, network: str = MEAN) -> pd.DataFrame:
        """The curve numbers of a network and metric, by axis."""
        found = self.curve_numbers
        found = found[(found.metric == metric) & (found.network == network)]
        return found.set_index("axis").loc[list(self.axes)]

    def last(self, metric: str, axis: str) -> float | None:
        """The highest severity of an axis at which all networks were measured."""
        levels = self.levels.value[metric]
        known = [step for step in self.axes[axis] if step and levels.notna()[on_axis(axis, step)]]
        return known[-1] if known else None

    @property
    def noise_seeds(self) -> list[int]:
        """The first one's noise is on the pictures."""
        return [int(seed) for seed in self.table.cells.noise_seed.unique()]

    @cached_property
    def film_metric(self) -> str:
        """What :meth:`films` holds: "score", or the metric of films that the report is about."""
        of_films = set(self.table.distinct("metric").metric)
        return next((metric for metric in self.metrics if metric in of_films), SCORE)

    @property
    def is_score(self) -> bool:
        """Whether films are classified."""
        return self.film_metric == SCORE

    @property
    def lower_is_better(self) -> bool:
        """Whether the films' metric is an error."""
        return self.film_metric in LOWER_IS_BETTER

    def films(self, network: str) -> pd.DataFrame:
        """What every film achieves in every cell under one network and its first noise seed.

        Returns:
            See :func:`~cxr_noise_transforms.study.statistics.films.film_values`; empty if there
            are no values.
        """
        rows = self.table.select(network=network, weights=self.weights)
        first = rows.cells.noise_seed.iloc[0]
        films = film_values(rows.select(noise_seed=first), self.film_metric)
        columns = pd.MultiIndex.from_tuples(dict.fromkeys([*self.cells, CLEAN]))
        return films.reindex(columns=columns)

    def failures(self, films: pd.DataFrame) -> pd.DataFrame:
        """See :func:`~cxr_noise_transforms.study.statistics.films.failures`."""
        return failures(films, self.film_metric, CLEAN)


def find(
    table: AnyTable,
    thresholds: Thresholds | None = None,
    networks: Sequence[str] | None = None,
    resamples: int = 1000,
    normal_dose: float = np.nan,
    groups: Iterable[str] | None = None,
) -> list[Findings]:
    """The findings of every task in a long table, in its order.

    Args:
        table: the long table, a data frame or one that is read a part at a time.
        thresholds: see :func:`~cxr_noise_transforms.study.statistics.performance.performance`.
        networks: their order; default: the table's.
        resamples: of the patients.
        normal_dose: quantum severity of the normal dose, for a second scale of the severities.
        groups: columns whose groups are compared, ``"sex"``, or ``"age=40,60"`` for ages that are
            not cut yet; default: all columns that not every long table has. A column of more than
            20 groups is named only.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.statistics.long_table.check_table` and
            :func:`~cxr_noise_transforms.study.statistics.subgroups.subgroups`.
    """
    if isinstance(table, pd.DataFrame):
        table = table.astype({name: str for name in _NAMES if name in table})
    table = as_table(table)
    columns = chosen_groups(table, groups)
    if thresholds is not None:
        thresholds = {
            (str(task), str(network), str(weights), seed, str(label)): value
            for (task, network, weights, seed, label), value in thresholds.items()
        }
    found = []
    for task in table.cells.task.unique():
        part = table.select(task=task)
        given = part.cells
        weights = "best" if (given.weights == "best").any() else given.weights.iloc[0]
        reported = part.select(weights=weights)
        names = list(reported.cells.network.unique())
        order = [name for name in networks or names if name in names]
        controls = _controls(reported, thresholds, resamples)
        part = part.select(degradation=UNDEGRADED)
        if not len(part):
            raise ValueError(f"task {task} must have films without a degradation, to compare with")
        perf, draws = performance(part, thresholds), bootstrap(part, thresholds, resamples)
        compared = compared_groups(
            part.select(weights=weights), columns, thresholds, resamples, named=groups is not None
        )
        draws = draws.completed()
        found.append(Findings(part, perf, draws, weights, order, normal_dose, controls, *compared))
    return found


def _controls(table: LongTable, thresholds: Thresholds | None, resamples: int) -> pd.DataFrame:
    """What every degradation changes in the cells that have films without it too, paired."""
    cells = table.cells
    plain = cells.degradation == UNDEGRADED
    there, worse = (
        set(cells.loc[one, ["sq", "se"]].itertuples(index=False, name=None))
        for one in (plain, ~plain)
    )
    shared = there & worse
    if not shared:
        return pd.DataFrame()
    pairs = table.where(lambda cells: among(cells[["sq", "se"]], shared))
    draws = bootstrap(pairs, thresholds, resamples).mean_over("label").mean_over("network")
    return paired_tests(draws.against(degradation=UNDEGRADED))


def on_axis(axis: str, severity: float) -> tuple[float, float]:
    """The cell of a severity without the other noise."""
    return (severity, 0.0) if axis == "sq" else (0.0, severity)
