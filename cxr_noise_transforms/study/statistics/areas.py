"""Intervals of what a whole severity curve comes down to: its area, and how far a network keeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from .curves import breakdown_severity
from .long_table import undegraded
from .resampling import Resampled
from .scores import Floats

_CURVE = ["task", "network", "weights", "label", "metric"]


def areas(resampled: Resampled) -> Resampled:
    """The area under every severity curve, as its mean height over the axis, on every resample.

    Args:
        resampled: from :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`.

    Returns:
        One group per curve, with the column ``axis``. Its cell is the end of the axis, so that
        ``against`` pairs the areas of networks and checkpoints.

    Raises:
        ValueError: a curve has no clean cell, or no other.
    """
    groups, draws = [], []
    for rows, axis, severity in _curves(resampled):
        width = severity[-1] - severity[0]
        value = trapezoid(resampled.groups.value.to_numpy()[rows], severity) / width
        groups.append(resampled.groups.iloc[rows[-1]].to_dict() | {"axis": axis, "value": value})
        draws.append(trapezoid(resampled.draws[rows], severity, axis=0) / width)
    return Resampled(pd.DataFrame(groups), np.array(draws))


def kept_severities(resampled: Resampled, share: float = 0.95) -> Resampled:
    """The severity up to which a network keeps a share of its clean performance above chance.

    The axis's end where a curve never loses it, NaN where a clean value is not above chance; see
    :func:`~cxr_noise_transforms.study.statistics.curves.breakdown_severity`.

    Args:
        resampled: from :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`.
        share: in [0, 1).

    Returns:
        As :func:`areas`.

    Raises:
        ValueError: as :func:`areas`.
    """
    groups, draws = [], []
    for rows, axis, severity in _curves(resampled):
        about = resampled.groups.iloc[rows[-1]]
        columns = np.column_stack([resampled.groups.value.to_numpy()[rows], resampled.draws[rows]])
        found = np.minimum(
            [
                breakdown_severity(severity.tolist(), column, about.chance, 1 - share)
                for column in columns.T
            ],
            severity[-1],
        )
        groups.append(about.to_dict() | {"axis": axis, "value": found[0]})
        draws.append(found[1:])
    return Resampled(pd.DataFrame(groups), np.array(draws))


def _curves(resampled: Resampled) -> Iterator[tuple[NDArray[np.intp], str, Floats]]:
    """Rows of every curve in the order of its severities, its axis, and the severities."""
    places = undegraded(resampled.groups)
    for _, curve in places.groupby(_CURVE, observed=True, sort=False):
        for axis, other in (("sq", "se"), ("se", "sq")):
            rows = curve[curve[other] == 0].sort_values(axis)
            if rows.empty or rows[axis].iloc[0] > 0:
                raise ValueError(f"every curve must have the cell sq=0, se=0; missing on {axis}")
            if len(rows) > 1:
                yield rows.index.to_numpy(), axis, rows[axis].to_numpy(float)
