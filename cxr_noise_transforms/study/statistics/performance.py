"""What a network achieves in each cell of a sweep, from the long table.

A metric of images (Dice, IoU) is averaged over the images. A score becomes the metrics of
:func:`score_metrics`, over all images at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

MODEL = ("task", "network", "weights", "training_seed", "label")
KEYS = ("task", "network", "weights", "training_seed", "sq", "se", "noise_seed", "label")
# the metrics in words, in the order of reports
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "surface_distance": "surface distance",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "f1_val": "F1 at the validation threshold",
    "brier": "Brier score",
    "ece": "ECE",
}
# metrics that are errors: the rest are 1 for a perfect network
LOWER_IS_BETTER = frozenset({"brier", "ece", "surface_distance"})

# by MODEL: a mapping of tuples, or a series with that index
Thresholds: TypeAlias = Mapping[tuple, float] | pd.Series

_SCORE = "score"
_BINS = 15


def performance(table: pd.DataFrame, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """The metrics of every network in every cell, for every training and noise seed.

    Args:
        table: the long table.
        thresholds: for ``f1_val``, by task, network, weights, training seed and label: a mapping
            or a series, see :func:`validation_thresholds`.

    Returns:
        One row per task, network, weights, training seed, cell, noise seed, label and ``metric``:
        ``value``; ``n``, the images that have one (an empty reference has none: NaN in the
        table); ``chance``, the value of a network that knows nothing: 0.5 for ``auroc``, the share
        of positives for ``auprc``, NaN where lower is better, 0 otherwise.

    Raises:
        ValueError: columns are missing; a score is not from 0 to 1, or its target not 0 or 1; a
            label has one class only; a threshold is missing.
    """
    check_table(table)
    is_score = table.metric == _SCORE
    keys = [*KEYS, "metric"]
    means = table[~is_score].groupby(keys, observed=True).value.agg(["mean", "count"])
    means = means.reset_index().rename(columns={"mean": "value", "count": "n"})
    means["chance"] = np.where(means.metric.isin(LOWER_IS_BETTER), np.nan, 0.0)
    rows = []
    scores = table[is_score]
    values, targets = _numbers(scores, "value"), _numbers(scores, "target")
    for key, places in groups(scores, KEYS).items():
        check_classes(key, targets[places])
        found = score_metrics(values[places], targets[places], threshold=threshold(thresholds, key))
        chance = {"auroc": 0.5, "auprc": targets[places].mean(), "brier": np.nan, "ece": np.nan}
        rows += [
            (*key, metric, number.item(), len(places), chance.get(metric, 0.0))
            for metric, number in found.items()
        ]
    parts = [means, pd.DataFrame(rows, columns=[*keys, "value", "n", "chance"])]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts).sort_values(keys, ignore_index=True) if parts else means


def score_metrics(
    scores: Floats,
    targets: Floats,
    weights: Floats | None = None,
    threshold: float | None = None,
) -> dict[str, Floats]:
    """Metrics of scores, for many weightings of the images at once.

    With ``w`` the weights, ``s`` the scores, ``y`` the targets, sums over images:

    - ``auroc``: the weight of pairs (positive, negative) in which the positive has the higher
      score, equal scores counting half, as a share of all pairs
    - ``auprc``: average precision, ``sum_t (R_t - R_(t-1)) P_t`` over the distinct scores ``t``
    - ``f1``: ``2 sum w y h / sum w (y + h)`` with ``h = (s >= 0.5)``
    - ``f1_val``: as ``f1`` with ``h = (s >= threshold)``; only where a threshold is given
    - ``brier``: ``sum w (s - y)^2 / sum w``
    - ``ece``: ``sum_b |sum_(i in b) w (y - s)| / sum w``: expected calibration error of the
      label's probability over 15 bins ``b`` of equal width, each with its upper edge

    Args:
        scores: ``(n,)`` from 0 to 1.
        targets: ``(n,)`` of 0 and 1.
        weights: ``(n, R)``, not negative; ``None`` for one column of ones.
        threshold: for ``f1_val``.

    Returns:
        ``(R,)`` per metric; NaN where it is not defined, as ``auroc`` of a single class.

    Example:
        >>> found = score_metrics(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]))
        >>> {name: round(value.item(), 3) for name, value in found.items()}
        {'auroc': 0.875, 'auprc': 0.833, 'f1': 0.667, 'brier': 0.135, 'ece': 0.1}

    References:
        Brier 1950, Mon. Weather Rev. 78:1; Guo et al. 2017, arXiv:1706.04599, equation 3.
    """
    order = np.argsort(-scores, kind="stable")
    scores, targets = scores[order], targets[order]
    weights = np.ones((len(scores), 1)) if weights is None else weights[order]
    mass = weights.sum(axis=0)
    # weights at or above each distinct score, of all images and of positives
    last = _last_of_equals(scores)
    above = weights.cumsum(axis=0)[last]
    hits = (weights * targets[:, None]).cumsum(axis=0)[last]
    new_hits = np.diff(hits, axis=0, prepend=0)
    false = np.diff(above - hits, axis=0, prepend=0)
    precision = np.divide(hits, above, out=np.zeros_like(hits), where=above > 0)
    positive, negative = hits[-1], mass - hits[-1]

    def f1(cut: float) -> Floats:
        flagged = (scores >= cut).astype(float)
        return _ratio(2 * (targets * flagged) @ weights, (targets + flagged) @ weights)

    found = {
        "auroc": _ratio(((hits - new_hits / 2) * false).sum(axis=0), positive * negative),
        "auprc": _ratio((new_hits * precision).sum(axis=0), positive),
        "f1": f1(0.5),
    }
    if threshold is not None:
        found["f1_val"] = f1(threshold)
    found["brier"] = _ratio((scores - targets) ** 2 @ weights, mass)
    bins = np.searchsorted(np.linspace(0, 1, _BINS + 1)[1:-1], scores)
    first = np.flatnonzero(np.diff(bins, prepend=-1))
    gaps = np.add.reduceat(weights * (targets - scores)[:, None], first, axis=0)
    found["ece"] = _ratio(np.abs(gaps).sum(axis=0), mass)
    return found


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


def validation_thresholds(table: pd.DataFrame) -> dict[tuple, float]:
    """:func:`best_threshold` of every model and label on clean validation films.

    Args:
        table: the long table of the validation films; noisy cells are left out.

    Returns:
        (task, network, weights, training seed, label) to threshold.

    Raises:
        ValueError: as :func:`performance`.
    """
    check_table(table)
    clean = table[(table.metric == _SCORE) & (table.sq == 0) & (table.se == 0)]
    values, targets = _numbers(clean, "value"), _numbers(clean, "target")
    found = {}
    # the noise seeds of the clean cell repeat it
    for key, places in groups(clean, KEYS).items():
        check_classes(key, targets[places])
        found[_model(key)] = best_threshold(values[places], targets[places])
    return found


def seed_spread(perf: pd.DataFrame) -> pd.DataFrame:
    """Standard deviation over noise seeds and over training seeds, each apart.

    ``noise_sd`` is that of the noise seeds within one training (root mean square over
    trainings), ``training_sd`` that of the trainings' means over noise seeds; NaN where there is
    one seed only. The test films are the same throughout: neither holds their spread.

    Args:
        perf: from :func:`performance`.

    Returns:
        One row per task, network, weights, cell, label and metric: ``value`` (mean), ``noise_sd``,
        ``noise_seeds`` (the fewest of a training), ``training_sd``, ``training_seeds``.
    """
    rest = ["task", "network", "weights", "sq", "se", "label", "metric"]
    trainings = perf.groupby([*rest, "training_seed"], observed=True).value.agg(
        ["mean", "var", "count"]
    )
    grouped = trainings.reset_index().groupby(rest, observed=True)
    spread = grouped.agg(
        value=("mean", "mean"),
        noise_sd=("var", "mean"),
        noise_seeds=("count", "min"),
        training_sd=("mean", "std"),
        training_seeds=("mean", "size"),
    )
    spread["noise_sd"] = np.sqrt(spread.noise_sd)
    return spread.reset_index()


def check_table(table: pd.DataFrame) -> None:
    """Refuse a table without the needed columns, and scores that are no probabilities.

    Raises:
        ValueError: see above.
    """
    needed = [*KEYS, "image", "patient", "metric", "value", "target"]
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(f"table must have the columns {', '.join(missing)}; they are missing")
    for name in (*KEYS, "image", "patient", "metric"):
        if table[name].isna().any():
            raise ValueError(f"column {name} must have a value in every row, got an empty one")
    is_score = (table.metric == _SCORE).to_numpy()
    # NaN is not between 0 and 1 either
    for name, allowed in (
        ("value", table.value.between(0, 1)),
        ("target", table.target.isin((0, 1))),
    ):
        wrong = np.flatnonzero(is_score & ~allowed.to_numpy())
        if len(wrong):
            row = table.iloc[wrong[0]]
            must = "from 0 to 1" if name == "value" else "0 or 1"
            raise ValueError(
                f"{name} of a score must be {must}, got {row[name]} for image {row.image}, label "
                f"{row.label}, network {row.network}"
            )


def check_classes(key: tuple, targets: Floats) -> None:
    """Refuse a label of one class only; ``key`` has the order of ``KEYS``.

    Raises:
        ValueError: see above.
    """
    if targets.min() == targets.max():
        raise ValueError(
            f"targets of {_describe(key)} must hold both 0 and 1, got {targets[0]:g} only"
        )


def threshold(thresholds: Thresholds | None, key: tuple) -> float | None:
    """The threshold of a key in the order of ``KEYS``; ``None`` without thresholds.

    Raises:
        ValueError: there are thresholds, but not this one.
    """
    if thresholds is None:
        return None
    model = _model(key)
    if model not in thresholds:
        raise ValueError(f"thresholds must have {model}; it is missing")
    return float(thresholds[model])


def groups(table: pd.DataFrame, columns: tuple[str, ...]) -> dict[tuple, NDArray[np.intp]]:
    """Values of the columns to the places of their rows."""
    if table.empty:
        return {}
    return table.groupby(list(columns), observed=True).indices


def _describe(key: tuple) -> str:
    named = dict(zip(KEYS, key, strict=True))
    return (
        f"label {named['label']} at sq={named['sq']:g}, se={named['se']:g} (task {named['task']}, "
        f"network {named['network']})"
    )


def _model(key: tuple) -> tuple:
    named = dict(zip(KEYS, key, strict=True))
    return tuple(named[name] for name in MODEL)


def _numbers(table: pd.DataFrame, column: str) -> Floats:
    return table[column].to_numpy(float)


def _last_of_equals(descending: Floats) -> NDArray[np.intp]:
    return np.append(np.flatnonzero(np.diff(descending)), len(descending) - 1)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    nothing = np.full_like(numerator, np.nan)
    return np.divide(numerator, denominator, out=nothing, where=denominator > 0)
