"""Tables and points of curves of why networks fail."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxr_noise_transforms import electronic_sigma
from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.evaluation.grid import EQUAL_VARIANCE
from cxr_noise_transforms.study.evaluation.kinds import band_edges
from cxr_noise_transforms.study.statistics.long_table import MEAN

from .explained import BAND_NAMES, KIND_NAMES, PAIRS, QUANTUM, Explained, band_words
from .findings import ALPHA
from .words import interval, number


def equal_table(one: Explained) -> tuple[list[str], list[list[str]]]:
    """Header and a row per training and RMS: both noises, and their paired differences."""
    header = ["trained with", "RMS", "electronic", "quantum", "difference", "unclipped difference"]
    rows = [
        [
            arm,
            f"{electronic_sigma(se):.3g}",
            *(interval(one.levels.loc[(arm, MEAN, kind, se)]) for kind in EQUAL_VARIANCE),
            *(starred(one.differences.loc[(arm, pair[1], se)]) for pair in PAIRS),
        ]
        for arm in one.arms
        for se in one.differences.loc[(arm, QUANTUM)].index
    ]
    return header, rows


def band_table(one: Explained) -> tuple[list[str], list[list[str]]]:
    """Header and a row per training and band: the change from clean of every network."""
    means = [MEAN] if len(one.networks) > 1 else []
    header = ["trained with", "cycles per pixel", *one.networks, *means]
    rows = [
        [
            arm,
            "white" if kind == UNDEGRADED else band_words(kind),
            *(_change(one, (arm, name, kind, one.telling)) for name in header[2:]),
        ]
        for arm in one.arms
        for kind in (*BAND_NAMES, UNDEGRADED)
    ]
    return header, rows


def _change(one: Explained, cell: tuple[str, str, str, float]) -> str:
    """A dash where this network has no such training."""
    return starred(one.changes.loc[cell]) if cell in one.changes.index else number(np.nan)


def starred(row: pd.Series) -> str:
    """A difference with its interval, marked where it is significant after Holm."""
    return interval(row, "+.3f") + (" *" if row.p_holm < ALPHA else "")


def equal_points(one: Explained) -> pd.DataFrame:
    """Points of both noises' curves over their RMS, for a panel."""
    rows = one.levels.loc[(one.arms, MEAN, [UNDEGRADED, QUANTUM]), :].reset_index()
    kinds = rows.degradation.map(KIND_NAMES)
    several = len(one.arms) > 1
    return rows.assign(
        severity=[electronic_sigma(se) for se in rows.se],
        name=rows.weights + ", " + kinds.str.removesuffix(" noise") if several else kinds,
    )


def band_points(one: Explained, arm: str) -> pd.DataFrame:
    """Points of every network's performance over the frequency of the noise, for a panel."""
    rows = one.levels.loc[(arm, slice(None), list(BAND_NAMES), one.telling), :].reset_index()
    middles = {band: sum(band_edges(place)) / 2 for place, band in enumerate(BAND_NAMES, start=1)}
    return rows.assign(severity=rows.degradation.map(middles), name=rows.network)
