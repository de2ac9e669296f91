"""Why networks fail, as numbers and in words: scale, signal dependence, and frequencies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cxr_noise_transforms import electronic_sigma
from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.evaluation.explaining import CLEAN
from cxr_noise_transforms.study.evaluation.grid import (
    BAND_NOISES,
    EQUAL_VARIANCE,
    UNCLIPPED_PAIR,
)
from cxr_noise_transforms.study.evaluation.kinds import BANDS, band_edges
from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.long_table import MEAN, check_table, undegraded
from cxr_noise_transforms.study.statistics.performance import performance
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap
from cxr_noise_transforms.study.statistics.summaries import in_order
from cxr_noise_transforms.study.statistics.trainings import failed_trainings, failed_words

from .findings import ALPHA
from .words import interval, metric_name, number, p_value

QUANTUM = "quantum"
KIND_NAMES = {UNDEGRADED: "electronic noise", QUANTUM: "quantum noise"}
BAND_NAMES = BAND_NOISES[1:]
# electronic and quantum noise of one RMS: of stored films, and unclipped
PAIRS = (EQUAL_VARIANCE, UNCLIPPED_PAIR)
# of all kinds, severities and trainings together
_FAMILY = ("task", "metric")
_CURVE = ["weights", "network", "degradation", "se"]
_PAIR = ["weights", "degradation"]


@dataclass(frozen=True)
class Explained:
    """One task's networks under noises of one RMS.

    Args:
        table: the long table; its ``degradation`` is the kind of noise, its ``weights`` are what
            was trained with.
        draws: its :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap` in the first
            metric, labels averaged.
        failed: trainings that never learned, which are left out of both.
    """

    table: pd.DataFrame
    draws: Resampled
    failed: pd.DataFrame

    @property
    def metric(self) -> str:
        """That the report is about."""
        return str(self.draws.groups.metric.iloc[0])

    @property
    def arms(self) -> list[str]:
        """What was trained with."""
        return _trained(self.table)

    @property
    def networks(self) -> list[str]:
        """Their names."""
        return list(self.table.network.unique())

    @property
    def severities(self) -> list[float]:
        """At which all bands were measured."""
        banded = self.table[self.table.degradation == "band=1"]
        return sorted(banded.se[banded.se > 0].unique())

    @cached_property
    def mean(self) -> Resampled:
        """Networks averaged."""
        return self.draws.mean_over("network")

    @cached_property
    def levels(self) -> pd.DataFrame:
        """Performance by what was trained with, network (``"mean"`` too), kind and severity."""
        both = [part.intervals() for part in (self.draws, self.mean)]
        return pd.concat(both, ignore_index=True).set_index(_CURVE).sort_index()

    @cached_property
    def _pairs(self) -> Resampled:
        """Quantum minus electronic noise at equal RMS, of stored films and unclipped."""
        noisy = [se for se in self.table.se.unique() if se > 0]
        trained = self.mean.select(weights=self.arms, se=noisy)
        return _together(
            trained.select(degradation=[electronic, quantum]).against(degradation=electronic)
            for electronic, quantum in PAIRS
        )

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Quantum minus electronic noise by what was trained with, pair and severity.

        The pairs are named by their quantum noise; paired over patients, Holm over all.
        """
        found = paired_tests(self._pairs, family=_FAMILY)
        return found.set_index([*_PAIR, "se"]).sort_index()

    @cached_property
    def difference(self) -> pd.DataFrame:
        """Their mean over the severities, by what was trained with and pair."""
        groups = self._pairs.groups
        rows = list(groups.groupby(_PAIR, sort=False).indices.values())
        about = groups.iloc[[one[-1] for one in rows]].reset_index(drop=True)
        about["value"] = [groups.value.to_numpy()[one].mean() for one in rows]
        draws = np.array([self._pairs.draws[one].mean(axis=0) for one in rows])
        found = paired_tests(Resampled(about, draws), family=_FAMILY)
        return found.set_index(_PAIR).sort_index()

    @cached_property
    def changes(self) -> pd.DataFrame:
        """Change from the clean film, by what was trained with, network, kind and severity."""
        both = _together(part.against(sq=0, se=0) for part in (self.draws, self.mean))
        return paired_tests(both, family=_FAMILY).set_index(_CURVE).sort_index()

    @cached_property
    def telling(self) -> float:
        """The severity at which the bands differ most, for the first arm's mean network."""
        spread = {
            se: np.ptp([self.levels.value[self.arms[0], MEAN, band, se] for band in BAND_NAMES])
            for se in self.severities
        }
        return max(spread, key=lambda se: spread[se])


def _together(parts: Iterable[Resampled]) -> Resampled:
    """Groups that are tested together."""
    several = list(parts)
    groups = pd.concat([part.groups for part in several], ignore_index=True)
    return Resampled(groups, np.concatenate([part.draws for part in several]))


def find_explained(table: pd.DataFrame, resamples: int = 1000) -> Explained:
    """The findings of one task's long table.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.statistics.long_table.check_table`.
    """
    table = check_table(table)
    metric = in_order(performance(undegraded(table)).metric.unique())[0]
    trained = _trained(table)
    # what was compressed to nothing is a result, and no training
    failed = failed_trainings(table[table.weights.isin(trained)], metric)
    model = ["weights", "network", "training_seed"]
    # a compressed copy goes with its network
    of = {arm: arm if arm in trained else arm.rpartition(", ")[0] for arm in table.weights.unique()}
    models = pd.MultiIndex.from_frame(table[model].assign(weights=table.weights.map(of)))
    table = table[~models.isin(pd.MultiIndex.from_frame(failed[model]))]
    table = pd.concat([table, *_clean_cells(table)], ignore_index=True)
    draws = bootstrap(table, resamples=resamples).mean_over("label")
    return Explained(table, draws.select(metric=metric), failed)


def _trained(table: pd.DataFrame) -> list[str]:
    """What was trained; not what was compressed afterwards, which no band was tried on."""
    banded = (table.degradation == BAND_NAMES[0]) & (table.se > 0)
    return list(table.weights[banded].unique())


def _clean_cells(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The clean films for every kind of noise that lacks them: without noise all kinds agree."""
    clean = table.se == 0
    rows = table[clean & (table.degradation == UNDEGRADED)]
    there = table.degradation[clean].unique()
    return [
        rows.assign(degradation=kind) for kind in table.degradation.unique() if kind not in there
    ]


def verdicts(one: Explained) -> list[tuple[str, str]]:
    """The answers, each after what it is about."""
    found = [(f"Scale or signal ({arm_words(arm)})", _scale(one, arm)) for arm in one.arms]
    found += [(f"Frequencies ({arm_words(arm)})", _bands(one, arm)) for arm in one.arms]
    words = f"{failed_words(one.failed)}. They are left out."
    return [*found, *([("Trainings that failed", words)] if len(one.failed) else [])]


def arm_words(arm: str) -> str:
    """What was trained with."""
    noise, _, rest = arm.partition(", ")
    words = "trained on clean films" if noise == CLEAN else f"trained with noise, {noise}"
    return f"{words}, {rest}" if rest else words


def rms_words(se: float) -> str:
    """A severity as the RMS that all kinds of noise have at it."""
    return f"RMS {electronic_sigma(se):.3g} of full scale"


def band_words(band: str) -> str:
    """A band by its frequencies."""
    place = int(band.partition("=")[2])
    low, high = band_edges(place)
    return f"{low:.2f} to {high:.2f}" if place < BANDS else f"{low:.2f} and above"


def _scale(one: Explained, arm: str) -> str:
    name = metric_name(one.metric)
    mean, unclipped = (one.difference.loc[(arm, pair[1])] for pair in PAIRS)
    ends = one.differences.loc[(arm, QUANTUM)].index
    lost = one.changes.value.loc[(arm, MEAN, UNDEGRADED)]
    average = lost[lost.index > 0].mean()
    sentence = (
        f"{_of_networks(one, arm)}from RMS {electronic_sigma(min(ends)):.3g} to "
        f"{electronic_sigma(max(ends)):.3g}, quantum noise leaves {name} "
        f"{interval(mean, '+.3f')} beside electronic noise of the same RMS on every film "
        f"(p {p_value(mean.p_holm, '= ')}), where electronic noise changes it by "
        f"{number(average, '+.3f')} on the average"
    )
    if mean.p_holm >= ALPHA:
        within = max(abs(mean.lower), abs(mean.upper))
        sentence += (
            f": the two cost the same within {number(within)}, and what differs at equal "
            "severities is the scale"
        )
    else:
        sentence += (
            ": beyond scale, signal dependence and saturation make quantum noise cost "
            f"{'less' if mean.value > 0 else 'more'}, by {abs(mean.value / average):.0%} of that "
            "loss"
        )
    return (
        f"{sentence}. On films that nothing clips or digitises it leaves "
        f"{interval(unclipped, '+.3f')} (p {p_value(unclipped.p_holm, '= ')}): "
        + (
            "signal dependence alone makes no difference that these films could show."
            if unclipped.p_holm >= ALPHA
            else "that is signal dependence alone."
        )
    )


def _of_networks(one: Explained, arm: str) -> str:
    """Whose mean it is, where not every network was trained so."""
    names = list(one.table.network[one.table.weights == arm].unique())
    return "" if len(names) == len(one.networks) else f"of {', '.join(names)}, "


def _bands(one: Explained, arm: str) -> str:
    changes = one.changes.loc[(arm, MEAN)]
    found = {band: changes.loc[(band, one.telling)] for band in BAND_NAMES}
    worst, least = (pick(found, key=lambda band: found[band].value) for pick in (min, max))
    half = [band for band in BAND_NAMES if found[band].value <= found[worst].value / 2]
    words = ", ".join(band_words(band) for band in half)
    return (
        f"{_of_networks(one, arm)}noise of {rms_words(one.telling)} in one band changes "
        f"{metric_name(one.metric)} most at {band_words(worst)} cycles per pixel "
        f"({interval(found[worst], '+.3f')}), least at {band_words(least)} "
        f"({interval(found[least], '+.3f')}). At least half as much as the worst cost: "
        f"{words}. White noise of that RMS: "
        f"{interval(changes.loc[(UNDEGRADED, one.telling)], '+.3f')}."
    )
