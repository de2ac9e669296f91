"""What attention and normalisation do under noise, as numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cxr_noise_transforms import electronic_sigma
from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.statistics.long_table import check_table
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap

from .explained import KIND_NAMES, QUANTUM, arm_words, rms_words
from .words import interval, number

_METRICS = {
    "inside": "share of the map inside the mask",
    "agreement": "rank correlation with the clean map",
    "confidence": "confidence",
}


@dataclass(frozen=True)
class Looked:
    """Activation maps and batch normalisation of one task's networks.

    Args:
        maps: the long table of ``inside``, ``agreement`` and ``confidence``.
        layers: one row per network, kind, severity and layer.
        resamples: of the patients.
    """

    maps: pd.DataFrame
    layers: pd.DataFrame
    resamples: int = 1000

    @cached_property
    def _draws(self) -> Resampled:
        return bootstrap(check_table(self.maps), resamples=self.resamples)

    @cached_property
    def silent(self) -> list[tuple[str, str]]:
        """Trainings and networks that have no map of any film in some cell."""
        groups = self._draws.groups
        without = groups[(groups.metric == "agreement") & groups.value.isna()]
        made = without[["weights", "network"]].drop_duplicates()
        return list(made.itertuples(index=False, name=None))

    @cached_property
    def levels(self) -> pd.DataFrame:
        """Mean over networks by training, kind, severity and metric, with intervals.

        Of the networks that say something in every cell, where there is one.
        """
        made = pd.MultiIndex.from_frame(self._draws.groups[["weights", "network"]])
        kept = ~made.isin(self.silent)
        speaking = set(made[kept].get_level_values("weights"))
        kept |= ~made.get_level_values("weights").isin(speaking)
        draws = self._draws.take(np.flatnonzero(kept)).mean_over("network")
        index = ["weights", "degradation", "se", "metric"]
        return draws.intervals().set_index(index).sort_index()

    def level(self, cell: tuple[str, str, float], metric: str) -> pd.Series:
        """Of a training, kind and severity."""
        arm, kind, se = cell
        return self.levels.loc[(arm, kind, se, metric)]

    @property
    def cells(self) -> list[tuple[str, str, float]]:
        """Training, kind and severity, in the table's order."""
        keys = ["weights", "degradation", "se"]
        return list(self.maps[keys].drop_duplicates().itertuples(index=False, name=None))

    def follows(self, arm: str) -> float:
        """Rank correlation, over all noisy films, of a map's agreement with the confidence."""
        noisy = self.maps[(self.maps.weights == arm) & (self.maps.se > 0)]
        film = ["network", "training_seed", "degradation", "se", "image"]
        wide = noisy.pivot_table("value", film, "metric", observed=True)
        return float(wide.agreement.corr(wide.confidence, method="spearman"))

    def worst(self, number: int) -> tuple[list[str], float]:
        """Films whose map agrees least with its clean one at the end, least first; that severity.

        Of the table's first network and training, under electronic noise.
        """
        end = self.maps.se.max()
        model = ["network", "weights", "training_seed"]
        rows = self.maps.merge(self.maps[model].head(1))
        cell = (rows.metric == "agreement") & (rows.degradation == UNDEGRADED) & (rows.se == end)
        return list(rows[cell].dropna(subset="value").nsmallest(number, "value").image), end

    @cached_property
    def mean_shift(self) -> pd.DataFrame:
        """Shifts by training, kind, severity and third of the network, mean over its layers."""
        thirds = pd.cut(self.layers.place, [-1, 1 / 3, 2 / 3, 1], labels=_THIRDS)
        keys = [*(self.layers[name] for name in ("weights", "degradation", "se")), thirds]
        return self.layers.groupby(keys, observed=True)[["mean", "log_variance"]].mean()


_THIRDS = ("first third", "middle", "last third")


def looked_verdicts(one: Looked) -> list[tuple[str, str]]:
    """The answers, each after what it is about."""
    found = [
        (f"Attention ({arm_words(arm)})", _attention(one, arm)) for arm in one.maps.weights.unique()
    ]
    if one.layers.empty:
        return [*found, ("Normalisation", "no network has batch normalisation.")]
    arms = one.layers.weights.unique()
    return found + [(f"Normalisation ({arm_words(arm)})", _normalisation(one, arm)) for arm in arms]


def _attention(one: Looked, arm: str) -> str:
    end = one.maps.se.max()
    parts = []
    for metric, name in _METRICS.items():
        clean = one.level((arm, UNDEGRADED, 0.0), metric)
        if clean.patients:
            noisy = " and ".join(
                f"{interval(one.level((arm, kind, end), metric), '.2f')} under {words}"
                for kind, words in KIND_NAMES.items()
            )
            parts.append(f"the {name} is {interval(clean, '.2f')} on clean films and {noisy}")
    silent = [network for other, network in one.silent if other == arm]
    left_out = f" Without {', '.join(silent)}, which finds nothing in some cells." if silent else ""
    return (
        f"at {rms_words(end)}, {'; '.join(parts)}. Over all noisy films, agreement with the clean "
        f"map and confidence have a rank correlation of {number(one.follows(arm), '+.2f')}."
        f"{left_out}"
    )


def _normalisation(one: Looked, arm: str) -> str:
    end = one.layers.se.max()
    kinds = []
    for kind, words in KIND_NAMES.items():
        found = one.mean_shift.loc[(arm, kind, end)]
        thirds = ", ".join(
            f"{number(row['mean'], '.2f')} in the {third}" for third, row in found.iterrows()
        )
        kinds.append(f"under {words} {thirds}")
    clean = one.mean_shift.loc[(arm, UNDEGRADED, 0.0)]["mean"].mean()
    return (
        f"at {rms_words(end)} a channel's mean is off, in standard deviations that the layer "
        f"expects, by {'; '.join(kinds)} ({number(clean, '.2f')} on clean test films)."
    )


def attention_table(one: Looked) -> tuple[list[str], list[list[str]]]:
    """Header and a row per training, kind and RMS."""
    header = ["trained with", "noise", "RMS", *_METRICS.values()]
    rows = [
        [
            *_cell(*cell),
            *(interval(one.level(cell, metric), ".2f") for metric in _METRICS),
        ]
        for cell in one.cells
        if cell[1:] != (QUANTUM, 0.0)
    ]
    return header, rows


def shift_table(one: Looked) -> tuple[list[str], list[list[str]]]:
    """Header and a row per training, kind and RMS: shifts of means, ratios of variances."""
    header = ["trained with", "noise", "RMS"]
    header += [f"shift of the mean, {third}" for third in _THIRDS]
    header += [f"log2 of the variance's ratio, {third}" for third in _THIRDS]
    if one.layers.empty:
        return header, []
    shifts = one.mean_shift.unstack()  # noqa: PD010 (a pivot has no such index)
    rows = [
        [*_cell(*cell), *(number(value, ".2f") for value in row)]
        for cell, row in zip(shifts.index, shifts.to_numpy(), strict=True)
    ]
    return header, rows


def _cell(arm: str, kind: str, se: float) -> list[str]:
    if se == 0:
        return [arm, "none", "0"]
    return [arm, KIND_NAMES[kind], f"{electronic_sigma(se):.3g}"]
