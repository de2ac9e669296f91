"""From scores and targets to metrics, for many weightings of the images at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .weighted_sums import ranked_sums, weighted_mean

Floats: TypeAlias = NDArray[np.float64]

_BINS = 15


def score_metrics(
    scores: Floats,
    targets: Floats,
    weights: NDArray[Any] | None = None,
    threshold: float | None = None,
    rows: NDArray[np.intp] | None = None,
) -> dict[str, Floats]:
    """Metrics of scores, for many weightings of the images at once.

    With ``w`` the weights, ``s`` the scores, ``y`` the targets, sums over images:

    - ``auroc``: the weight of pairs (positive, negative) in which the positive has the higher
      score, equal scores counting half, as a share of all pairs
    - ``auprc``: average precision, ``sum_t (R_t - R_(t-1)) P_t`` over the distinct scores ``t``
    - ``f1``: ``2 sum w y h / sum w (y + h)`` with ``h = (s >= 0.5)``
    - ``f1_val``: as ``f1`` with ``h = (s >= threshold)``; only where a threshold is given
    - ``accuracy``: ``sum w [h = y] / sum w`` with ``h`` of ``f1``
    - ``brier``: ``sum w (s - y)^2 / sum w``
    - ``ece``: ``sum_b |sum_(i in b) w (y - s)| / sum w``: expected calibration error of the
      label's probability over 15 bins ``b`` of equal width, each with its upper edge

    Targets of one class have neither ``auroc`` nor ``auprc``, and without a positive no ``f1``.
    They have ``truth``: ``sum w t / sum w`` with ``t`` the probability of the truth, ``s`` or
    ``1 - s``.

    Args:
        scores: ``(n,)`` from 0 to 1.
        targets: ``(n,)`` of 0 and 1.
        weights: ``(n, R)``, not negative; ``None`` for one column of ones.
        threshold: for ``f1_val``; where it is NaN, ``f1_val`` is NaN.
        rows: ``(n,)``, which row of the weights is each image's, as that of its patient; default:
            its own.

    Returns:
        ``(R,)`` per metric; NaN where it is not defined, as ``auroc`` of a single class.

    Example:
        >>> found = score_metrics(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
        >>> {name: round(value.item(), 3) for name, value in found.items()}
        {'auroc': 0.875, 'auprc': 0.833, 'f1': 0.667, 'accuracy': 0.75, 'brier': 0.135, 'ece': 0.1}

    References:
        Brier 1950, Mon. Weather Rev. 78:1; Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    order = np.argsort(-scores, kind="stable")
    scores, targets = scores[order], targets[order]
    weights = np.ones((len(scores), 1)) if weights is None else weights
    rows = order if rows is None else rows[order]
    classes = np.unique(targets)
    bins = np.searchsorted(np.linspace(0, 1, _BINS + 1)[1:-1], scores)
    cuts = {"f1": 0.5} | ({} if threshold is None else {"f1_val": threshold})
    leading = np.array([np.count_nonzero(scores >= cut) for cut in cuts.values()])
    sums = ranked_sums(scores, targets == 1, bins, leading, rows, weights)
    mass, negatives = sums.total, sums.total - sums.positives
    nothing = np.full_like(mass, np.nan)
    both = len(classes) == 2
    found = {
        "auroc": _ratio(sums.pairs, sums.positives * negatives) if both else nothing,
        "auprc": _ratio(sums.precision, sums.positives) if both else nothing,
    }
    if not both:
        truth = truth_probability(scores, targets)
        found["truth"] = weighted_mean(truth, rows, weights)
    for place, (name, cut) in enumerate(cuts.items()):
        defined = 1 in classes and not np.isnan(cut)
        called = sums.positives + sums.flagged[place]
        found[name] = _ratio(2 * sums.flagged_positives[place], called) if defined else nothing
    right = 2 * sums.flagged_positives[0] + negatives - sums.flagged[0]
    found["accuracy"] = _ratio(right, mass)
    found["brier"] = _ratio(sums.squares, mass)
    found["ece"] = _ratio(sums.gaps, mass)
    return found


def truth_probability(scores: Floats, targets: Floats) -> Floats:
    """The probability that each score gives to its target; NaN where there is no target.

    Example:
        >>> truth_probability(np.array([0.75, 0.75, 0.75]), np.array([1, 0, np.nan])).tolist()
        [0.75, 0.25, nan]
    """
    return np.where(np.isnan(targets), np.nan, np.where(targets == 1, scores, 1 - scores))


def best_threshold(scores: Floats, targets: Floats) -> float:
    """The score from which on calling an image positive gives the highest F1.

    Args:
        scores: ``(n,)``.
        targets: ``(n,)`` of 0 and 1.

    Returns:
        One of the scores; the lowest where several are equally good.

    Raises:
        ValueError: no target is 1.

    Example:
        >>> best_threshold(np.array([0.1, 0.3, 0.4, 0.9]), np.array([0.0, 1.0, 0.0, 1.0]))
        0.3
    """
    if not (targets == 1).any():
        raise ValueError("targets must hold a 1 for a threshold, got none")
    order = np.argsort(-scores, kind="stable")
    last = _last_of_equals(scores[order])
    f1 = 2 * targets[order].cumsum()[last] / (targets.sum() + last + 1)
    return float(scores[order][last[np.flatnonzero(f1 == f1.max())[-1]]])


def _last_of_equals(descending: Floats) -> NDArray[np.intp]:
    return np.flatnonzero(np.diff(descending, append=np.nan))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    nothing = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)
