"""What the report of a task says, as numbers: levels, changes, and films, from the long table."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.curves import curve_numbers, mean_corruption_error
from cxr_noise_transforms.study.statistics.performance import (
    KEYS,
    LOWER_IS_BETTER,
    Thresholds,
    performance,
)
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap
from cxr_noise_transforms.study.statistics.summaries import in_ladder, in_order

CLEAN = (0.0, 0.0)
_CELL = ["metric", "sq", "se"]


@dataclass(frozen=True)
class Findings:
    """The results of one task, labels and noise seeds averaged.

    Args:
        table: the task's long table.
        every_perf: :func:`~cxr_noise_transforms.study.statistics.performance.performance` of it.
        every_draw: :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap` of it.
        weights: the checkpoint that is reported.
        networks: in the report's order.
    """

    table: pd.DataFrame
    every_perf: pd.DataFrame
    every_draw: Resampled
    weights: str
    networks: Sequence[str]

    @property
    def task(self) -> str:
        """Its name."""
        return str(self.table.task.iloc[0])

    @property
    def cells(self) -> list[tuple[float, float]]:
        """In the order of the ladder."""
        return in_ladder(self.table[["sq", "se"]].itertuples(index=False, name=None))

    @property
    def axes(self) -> dict[str, list[float]]:
        """Severities of each axis that was measured: "sq", "se"."""
        axes = {
            "sq": sorted(sq for sq, se in self.cells if se == 0),
            "se": sorted(se for sq, se in self.cells if sq == 0),
        }
        return {axis: steps for axis, steps in axes.items() if len(steps) > 1}

    @property
    def metrics(self) -> list[str]:
        """The first is the one that the report is about."""
        return in_order(self.every_perf.metric.unique())

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
        return self.mean.intervals().set_index(_CELL)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Its tests against the clean cell, by metric, sq and se."""
        return paired_tests(self.mean.against(sq=0, se=0)).set_index(_CELL)

    @cached_property
    def perf(self) -> pd.DataFrame:
        """Every network's performance."""
        return _averaged(self.every_perf[self.every_perf.weights == self.weights], "label")

    @cached_property
    def mean_perf(self) -> pd.DataFrame:
        """The performance's mean over networks."""
        return _averaged(self.perf, "network")

    @cached_property
    def curve_numbers(self) -> pd.DataFrame:
        """:func:`curve_numbers` of networks and "mean".

        With ``ce`` and ``mce``, the error as a multiple of the first network's.
        """
        perf = pd.concat([self.perf, self.mean_perf])
        numbers = curve_numbers(perf)
        errors = mean_corruption_error(perf, self.networks[0])
        columns = {f"ce_{axis}": axis for axis in self.axes}
        keys = ["network", "metric"]
        ce = errors.rename(columns=columns).melt(
            [*keys, "mce"], list(columns.values()), "axis", "ce"
        )
        return numbers.merge(ce, on=[*keys, "axis"])

    @property
    def noise_seeds(self) -> list[int]:
        """The first one's noise is on the pictures."""
        return [int(seed) for seed in self.table.noise_seed.unique()]

    @property
    def is_score(self) -> bool:
        """Whether films are classified."""
        return bool((self.table.metric == "score").all())

    @property
    def film_metric(self) -> str:
        """What :attr:`films` holds: "score", or the metric that the report is about."""
        return "score" if self.is_score else self.metrics[0]

    def films(self, network: str) -> pd.DataFrame:
        """What every film achieves in every cell under one network and the first noise seed.

        Returns:
            Images by cells: the metric of a segmentation, the probability that a classifier gives
            to the truth; the mean over labels. The worst film on the average of cells is first.
        """
        chosen = self.table[
            (self.table.network == network)
            & (self.table.weights == self.weights)
            & (self.table.noise_seed == self.noise_seeds[0])
            & (self.table.metric == self.film_metric)
        ]
        if self.is_score:
            value = chosen.value.where(chosen.target == 1, 1 - chosen.value)
            chosen = chosen.assign(value=value)
        films = chosen.pivot_table(index="image", columns=["sq", "se"], values="value")[self.cells]
        order = films.mean(axis=1).sort_values(ascending=not self.lower_is_better, kind="stable")
        return films.loc[order.index]

    @property
    def lower_is_better(self) -> bool:
        """Whether the films' metric is an error."""
        return self.film_metric in LOWER_IS_BETTER

    def failures(self, films: pd.DataFrame) -> pd.DataFrame:
        """Where films fail: half the clean value is gone, or the truth is less likely than not.

        Returns:
            Images by cells of truth values; an error fails at twice the clean value.
        """
        if self.is_score:
            return films < 0.5
        clean = films[CLEAN].to_numpy()[:, None]
        return films >= 2 * clean if self.lower_is_better else films <= clean / 2


def find(
    table: pd.DataFrame,
    thresholds: Thresholds | None = None,
    networks: Sequence[str] | None = None,
    resamples: int = 1000,
) -> list[Findings]:
    """The findings of every task in a long table, in its order.

    Args:
        table: the long table.
        thresholds: see :func:`~cxr_noise_transforms.study.statistics.performance.performance`.
        networks: their order; default: the table's.
        resamples: of the patients.

    Raises:
        ValueError: as there; the clean cell is missing.
    """
    found = []
    for task, rows in table.groupby("task", sort=False):
        if not ((rows.sq == 0) & (rows.se == 0)).any():
            raise ValueError(f"table must have the cell sq=0, se=0 of task {task}; it is missing")
        part = _measurable(rows)
        weights = "best" if (part.weights == "best").any() else part.weights.iloc[0]
        perf, draws = performance(part, thresholds), bootstrap(part, thresholds, resamples)
        names = list(part.network.unique())
        order = [name for name in networks or names if name in names]
        found.append(Findings(part, perf, draws, weights, order))
    return found


def _measurable(table: pd.DataFrame) -> pd.DataFrame:
    """The labels about which the films of a task say something."""
    values = table.groupby("label").value.count()
    if not values.all():
        raise ValueError(f"no film has a reference for {', '.join(values.index[values == 0])}")
    classes = table[table.metric == "score"].groupby("label").target.nunique()
    single = list(classes.index[classes < 2])
    if single and len(single) < table.label.nunique():
        warnings.warn(f"left out, all films alike: {', '.join(single)}", stacklevel=3)
        return table[~table.label.isin(single)]
    return table


def _averaged(perf: pd.DataFrame, column: str) -> pd.DataFrame:
    keys = [name for name in (*KEYS, "metric") if name != column]
    means = perf.groupby(keys, as_index=False)[["value", "chance"]].mean()
    return means.assign(**{column: "mean"})
