"""What a severity curve comes down to: drops, area, breakdown, corruption error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from cxr_noise_transforms import photons_per_pixel

from .long_table import undegraded
from .metrics import LOWER_IS_BETTER

CURVE = ("task", "network", "weights", "label", "metric")


def drops(perf: pd.DataFrame) -> pd.DataFrame:
    """What every cell has lost since the clean one, of the same seeds.

    ``drop = clean - value`` and ``relative_drop = drop / clean``, NaN where ``clean`` is 0. Where
    lower is better a loss is negative.

    Args:
        perf: from :func:`~cxr_noise_transforms.study.statistics.performance.performance`.

    Returns:
        ``perf`` with the columns ``clean``, ``drop`` and ``relative_drop``.

    Raises:
        ValueError: a clean cell is missing.
    """
    keys = [*CURVE, "degradation", "training_seed", "noise_seed"]
    clean = perf[(perf.sq == 0) & (perf.se == 0)]
    found = perf.merge(
        clean[[*keys, "value"]].rename(columns={"value": "clean"}),
        on=keys,
        how="left",
        validate="many_to_one",
        indicator="partner",
    )
    alone = found[found.partner == "left_only"]
    if len(alone):
        raise ValueError(
            f"every network must have the cell sq=0, se=0; missing for "
            f"{alone[keys].iloc[0].to_dict()}"
        )
    found["drop"] = found.clean - found.value
    found["relative_drop"] = found["drop"] / found.clean.where(found.clean != 0)
    return found.drop(columns="partner")


def curves(perf: pd.DataFrame) -> pd.DataFrame:
    """The quantum and the electronic curve, averaged over training and noise seeds.

    Args:
        perf: from :func:`~cxr_noise_transforms.study.statistics.performance.performance`.

    Returns:
        One row per task, network, weights, label, metric, ``axis`` ("sq" or "se") and
        ``severity``: ``value``, ``chance``. Each axis begins with the clean cell; an axis without
        another cell is left out.

    Raises:
        ValueError: a clean cell is missing.
    """
    cells = (
        undegraded(perf).groupby([*CURVE, "sq", "se"], observed=True)[["value", "chance"]].mean()
    )
    cells = cells.reset_index()
    parts = []
    for axis, other in (("sq", "se"), ("se", "sq")):
        rows = cells[cells[other] == 0].rename(columns={axis: "severity"}).drop(columns=other)
        rows.insert(len(CURVE), "axis", axis)
        extent = rows.groupby(list(CURVE), observed=True).severity.transform
        if (extent("min") > 0).any():
            raise ValueError(f"every curve must have the cell sq=0, se=0; missing on axis {axis}")
        parts.append(rows[extent("max") > 0])
    return pd.concat(parts).sort_values([*CURVE, "axis", "severity"], ignore_index=True)


def curve_numbers(
    perf: pd.DataFrame, share: float = 0.5, baseline: str | None = None
) -> pd.DataFrame:
    """The numbers of every severity curve, NaN where its clean cell has no value.

    Args:
        perf: from :func:`~cxr_noise_transforms.study.statistics.performance.performance`.
        share: of the clean performance above chance whose loss is a breakdown, in (0, 1].
        baseline: name of a network, for the columns of :func:`mean_corruption_error`.

    Returns:
        One row per task, network, weights, label, metric and ``axis``: ``clean``; ``area``, see
        :func:`area_under_curve`; ``relative_area = area / clean``; ``breakdown``, see
        :func:`breakdown_severity`; ``photons``, photons per pixel at full scale at the breakdown
        (quantum axis only; 0 for a breakdown that never comes); ``chance``, what a constant
        answer gets; with a baseline ``ce`` of the axis, and ``mce``.
    """
    rows = []
    for (*curve, axis), points in curves(perf).groupby([*CURVE, "axis"], observed=True):
        known = points[points.value.notna()]
        rows.append((*curve, axis, points.chance.mean(), *_numbers(known, axis, share)))
    names = ["chance", "clean", "area", "relative_area", "breakdown", "photons"]
    numbers = pd.DataFrame(rows, columns=[*CURVE, "axis", *names])
    if baseline is None:
        return numbers
    errors = mean_corruption_error(perf, baseline)
    ce = errors.rename(columns={"ce_sq": "sq", "ce_se": "se"}).melt(
        [*CURVE, "mce"], [axis for axis in ("sq", "se") if axis in set(numbers.axis)], "axis", "ce"
    )
    return numbers.merge(ce, on=[*CURVE, "axis"], how="left")


def _numbers(points: pd.DataFrame, axis: str, share: float) -> tuple[float, ...]:
    severity, value = points.severity.to_numpy(), points.value.to_numpy()
    if len(severity) < 2 or severity[0] > 0:
        return (value[0] if len(severity) and severity[0] == 0 else np.nan, *[np.nan] * 4)
    clean, area = value[0], area_under_curve(severity, value)
    breakdown = breakdown_severity(severity, value, points.chance.iloc[0], share)
    photons = photons_per_pixel(breakdown) if axis == "sq" else np.nan
    return clean, area, area / clean if clean else np.nan, breakdown, photons


def area_under_curve(severity: Sequence[float], value: Sequence[float]) -> float:
    """Mean height of a severity curve: trapezoids over the uneven steps, by the axis's length.

    Args:
        severity: ascending, at least two.
        value: one per severity.

    Raises:
        ValueError: the severities do not ascend.

    Example:
        >>> area_under_curve([0, 2, 10], [1.0, 0.5, 0.5])
        0.55
    """
    _check_ascending(severity)
    return float(trapezoid(value, severity) / (severity[-1] - severity[0]))


def breakdown_severity(
    severity: Sequence[float], value: Sequence[float], chance: float = 0.0, share: float = 0.5
) -> float:
    """The first severity at which a share of the clean performance above chance is lost.

    Where the curve first comes down to ``clean - share * (clean - chance)``, straight lines
    between the cells.

    Args:
        severity: ascending from the clean cell.
        value: one per severity.
        chance: value without knowledge.
        share: in (0, 1].

    Returns:
        A severity; infinite if the share is never lost on this axis; NaN where the clean value is
        not above chance, or chance is NaN.

    Raises:
        ValueError: the severities do not ascend; the share is not in (0, 1].

    Example:
        >>> breakdown_severity([0, 2, 4], [1.0, 0.875, 0.625], chance=0.5)
        3.0
    """
    _check_ascending(severity)
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    if not value[0] > chance:
        return np.nan
    level = value[0] - share * (value[0] - chance)
    lost = np.flatnonzero(np.asarray(value) <= level)
    if not len(lost):
        return np.inf
    k = lost[0]
    part = (value[k - 1] - level) / (value[k - 1] - value[k])
    return float(severity[k - 1] + part * (severity[k] - severity[k - 1]))


def mean_corruption_error(perf: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Error over a whole axis as a multiple of the baseline network's, averaged over both noises.

    ``CE = sum_s error / sum_s error_baseline`` over the severities above 0, with
    ``error = 1 - metric`` (the metric itself where lower is better), and ``mCE`` the mean of both.

    Args:
        perf: from :func:`~cxr_noise_transforms.study.statistics.performance.performance`.
        baseline: name of a network.

    Returns:
        One row per task, network, weights, label and metric: ``ce_sq``, ``ce_se``, ``mce``; 1 is
        the baseline, less is better; NaN where the baseline makes no error, or a cell has no value.

    Raises:
        ValueError: the baseline is missing, or its axes have other severities.

    References:
        Hendrycks and Dietterich 2019, arXiv:1903.12261 (mCE, there in percent).
    """
    points = curves(perf)
    points = points[points.severity > 0]
    flips = ~points.metric.isin(LOWER_IS_BETTER)
    points = points.assign(error=points.value.where(~flips, 1 - points.value))
    grouped = points.groupby([*CURVE, "axis"], observed=True)
    errors = grouped.agg(error=("error", _whole_sum), cells=("severity", tuple)).reset_index()
    rest = [name for name in (*CURVE, "axis") if name != "network"]
    reference = errors[errors.network == baseline].drop(columns="network")
    errors = errors.merge(reference, on=rest, how="left", suffixes=("", "_baseline"))
    differs = errors[errors.cells != errors.cells_baseline]
    if len(differs):
        one = differs.iloc[0]
        raise ValueError(
            f"baseline {baseline} must have the severities of {one.network} on axis {one.axis} "
            f"({one.task}, {one.weights}, {one.label}, {one.metric}): {one.cells}, got "
            f"{one.cells_baseline}"
        )
    errors["ce"] = errors.error / errors.error_baseline.where(errors.error_baseline > 0)
    axes = errors.groupby("axis", observed=True)
    found = pd.DataFrame({f"ce_{axis}": rows.set_index(list(CURVE)).ce for axis, rows in axes})
    return found.assign(mce=found.mean(axis=1, skipna=False)).reset_index()


def _whole_sum(errors: pd.Series) -> float:
    return errors.sum(skipna=False)


def _check_ascending(severity: Sequence[float]) -> None:
    if len(severity) < 2 or not (np.diff(severity) > 0).all():
        raise ValueError(f"severity must ascend over at least two cells, got {list(severity)}")
