"""Tests over patients: drops from the clean cell, recoveries, and whether curves only fall.

The resamples are those of :mod:`resampling`, whose unit is the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from cxr_noise_transforms.study.columns import UNDEGRADED

from .metrics import LOWER_IS_BETTER
from .resampling import Resampled
from .scores import Floats

# tests that are adjusted together
FAMILY = ("task", "weights", "metric")


def paired_tests(
    differences: Resampled,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
    level: float = 0.95,
    family: Sequence[str] = FAMILY,
) -> pd.DataFrame:
    """Whether differences are 0: the intervals with ``p`` and ``p_holm``.

    ``t = value / standard_error`` against Student's distribution of ``patients - 1`` degrees of
    freedom: for means of one film per patient the paired t-test, up to the resamples' chance.
    Unlike a share of resamples, p is not bounded below by their number, and survives Holm's factor.
    With very few positives the metrics of scores are far from normal: trust no small p there.

    Args:
        differences: from :meth:`against`.
        alternative: "greater" than 0, "less", or either.
        level: of the intervals, which are not adjusted.
        family: columns; rows that agree in all of them are adjusted together by :func:`holm`.
    """
    found = differences.intervals(level)
    found["p"] = _p_values(found, alternative)
    adjusted = found.groupby(list(family), observed=True).p
    found["p_holm"] = adjusted.transform(lambda p: holm(p.to_numpy()))
    return found


def recovery(
    resampled: Resampled,
    metric: str,
    milder: tuple[float, float] = (0, 6),
    harder: tuple[float, float] = (0, 8),
    level: float = 0.95,
) -> pd.DataFrame:
    """Whether performance is better in the harder cell: one-sided paired tests over patients.

    ``value`` is the rise from the milder to the harder cell (the fall, where lower is better), for
    every network and their mean ("mean"). Patients are resampled, films stay with their patient.
    The networks are taken as they are: a rise that is real for them may be an accident of their
    training, and would need several trainings to tell.

    Args:
        resampled: from :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`.
        metric: such as "dice" or "auroc".
        milder: cell ``(sq, se)``.
        harder: cell ``(sq, se)``.
        level: of the interval, which is two-sided and not adjusted.

    Returns:
        As :func:`paired_tests`; the cell is the harder one.

    Raises:
        ValueError: a cell or the metric is missing.
    """
    chosen = _with_mean(resampled.select(metric=metric))
    (sq, se), (to_sq, to_se) = milder, harder
    rise = chosen.against(sq=sq, se=se).select(sq=to_sq, se=to_se)
    if rise.groups.empty:
        raise ValueError(f"metric {metric} must have the cells {milder} and {harder}; one misses")
    return paired_tests(_improvement(rise), "greater", level)


def network_tests(
    resampled: Resampled, metric: str, reference: str, level: float = 0.95
) -> pd.DataFrame:
    """Every network's clean performance, and its paired difference from that of another.

    Args:
        resampled: from :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`, of one
            task and checkpoint.
        metric: such as "auroc".
        reference: name of the network that the others are compared with.
        level: of the intervals, which are not adjusted.

    Returns:
        One row per network and label, and for their mean ("mean") where there are several:
        ``value``, ``lower``, ``upper``, ``chance``; ``difference``, ``difference_lower``,
        ``difference_upper``, ``p``, and ``p_holm``, adjusted over the networks of each label; NaN
        for the reference.

    Raises:
        ValueError: there is no such network or metric, or no clean cell.
    """
    clean = resampled.select(metric=metric, sq=0, se=0, degradation=UNDEGRADED)
    if reference not in set(clean.groups.network):
        raise ValueError(
            f"reference must be a network with a clean {metric}, got {reference!r}; there are "
            f"{', '.join(clean.groups.network.unique()) or 'none'}"
        )
    if len(clean.groups.label.unique()) > 1:
        clean = _stack([clean, clean.mean_over("label")])
    key = ["network", "label"]
    tests = paired_tests(clean.against(network=reference), level=level, family=("label",))
    named = {"value": "difference", "lower": "difference_lower", "upper": "difference_upper"}
    tests = tests[[*key, *named, "p", "p_holm"]].rename(columns=named)
    levels = clean.intervals(level)[[*key, "value", "lower", "upper", "chance", "patients"]]
    return levels.merge(tests, on=key, how="left")


def monotonicity(resampled: Resampled, level: float = 0.95) -> pd.DataFrame:
    """The largest rise between neighbouring severities of each curve, and whether any is real.

    All steps of both axes are tested one-sided as in :func:`recovery`, which says what the unit is
    and what cannot be told. A family are the steps of all curves of a task, weights and metric.

    Args:
        resampled: from :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`.
        level: of the intervals, which hold for all steps of a family together (Bonferroni, with
            Student's distribution), so also for the largest.

    Returns:
        One row per task, network ("mean" too), weights, label and metric that has a step:
        ``axis``, ``milder`` and ``harder`` severity of the largest rise, ``value`` (the rise;
        negative if all steps fall),
        ``lower``, ``upper``, ``standard_error``, ``p``, ``p_holm``; and ``p_any``, the least
        ``p_holm`` of the curve's steps: below alpha, some rise is real.

    Raises:
        ValueError: no axis has two cells, or one network lacks a cell of the others.
    """
    chosen = _with_mean(resampled)
    parts = []
    for axis, other in (("sq", "se"), ("se", "sq")):
        on_axis = chosen.select(**{other: 0})
        for milder, harder in pairwise(sorted(on_axis.groups[axis].unique())):
            pair = on_axis.select(**{axis: [milder, harder]})
            rise = _improvement(pair.against(**{axis: milder}))
            about = rise.groups.assign(axis=axis, milder=milder, harder=harder)
            parts.append(Resampled(about, rise.draws))
    if not parts:
        raise ValueError("an axis must have at least two cells, got one")
    steps = paired_tests(_stack(parts), "greater", level)
    steps = steps[steps.value.notna()]
    tests = steps.groupby(list(FAMILY), observed=True).p.transform("count")
    margin = stats.t.isf((1 - level) / 2 / tests, steps.patients - 1) * steps.standard_error
    steps = steps.assign(lower=steps.value - margin, upper=steps.value + margin)
    curve = ["task", "network", "weights", "label", "metric"]
    grouped = steps.groupby(curve, observed=True)
    steps["p_any"] = grouped.p_holm.transform("min")
    columns = [*curve, "axis", "milder", "harder", "value", "lower", "upper", "standard_error"]
    columns += ["p", "p_holm", "p_any", "patients"]
    return steps.loc[grouped.value.idxmax(), columns].reset_index(drop=True)


def holm(p: Floats) -> Floats:
    """Holm's adjusted p-values: the chance of any false rejection stays below alpha.

    The k-th smallest of m becomes the largest of ``(m - j + 1) p_j`` over ``j <= k``, at most 1.
    NaN stays, and does not count.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]

    References:
        Holm 1979, Scand. J. Stat. 6:65.
    """
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    adjusted = np.full(len(p), np.nan)
    scaled = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1)
    return adjusted


def _p_values(found: pd.DataFrame, alternative: str) -> Floats:
    if alternative not in ("two-sided", "greater", "less"):
        raise ValueError(f"alternative must be two-sided, greater or less, got {alternative}")
    value, error = found.value.to_numpy(), found.standard_error.to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        # nothing differs for any patient: no evidence either way
        t = np.where((value == 0) & (error == 0), 0.0, value / error)
    student = stats.t(found.patients.to_numpy() - 1)
    if alternative == "two-sided":
        return 2 * student.sf(np.abs(t))
    return student.sf(t if alternative == "greater" else -t)


def _improvement(differences: Resampled) -> Resampled:
    sign = np.where(differences.groups.metric.isin(LOWER_IS_BETTER), -1.0, 1.0)
    about = differences.groups.assign(value=differences.groups.value * sign)
    return Resampled(about, differences.draws * sign[:, None])


def _with_mean(resampled: Resampled) -> Resampled:
    if resampled.groups.network.nunique() < 2:
        return resampled
    return _stack([resampled, resampled.mean_over("network")])


def _stack(parts: Sequence[Resampled]) -> Resampled:
    about = pd.concat([part.groups for part in parts], ignore_index=True)
    return Resampled(about, np.concatenate([part.draws for part in parts]))
