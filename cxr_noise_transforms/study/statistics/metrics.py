"""The metrics: their names, which are errors, and what an answer without looking would get."""

from __future__ import annotations

import numpy as np

# the metrics in words, in the order of reports
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "surface_distance": "surface distance",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "truth": "mean probability of the truth",
    "f1": "F1",
    "f1_val": "F1 at the validation threshold",
    "accuracy": "accuracy",
    "brier": "Brier score",
    "ece": "ECE",
}
# what scores become, see score_metrics
OF_SCORES = frozenset({"auroc", "auprc", "truth", "f1", "f1_val", "accuracy", "brier", "ece"})
# metrics that are errors: the rest are 1 for a perfect network
LOWER_IS_BETTER = frozenset({"brier", "ece", "surface_distance"})
# what a constant answer gets depends on the share of positives
BY_SHARE = frozenset({"auprc", "f1", "f1_val", "accuracy"})


def constant_answer(metric: str, positives: float = np.nan) -> float:
    """What the same answer for every image gets: the value of a network that knows nothing.

    0.5 for ``auroc``, and for ``truth`` at probability 0.5; the share p of positives for
    ``auprc``; ``2 p / (1 + p)``, by calling every image positive, for ``f1`` and ``f1_val``; the
    larger of p and 1 - p for ``accuracy``; NaN where lower is better; otherwise 0.

    Args:
        metric: its name.
        positives: share of the images with the label.

    Example:
        >>> round(constant_answer("f1", 0.929), 3)
        0.963
    """
    if metric in LOWER_IS_BETTER:
        return np.nan
    known = {
        "auroc": 0.5,
        "truth": 0.5,
        "auprc": positives,
        "f1": 2 * positives / (1 + positives),
        "f1_val": 2 * positives / (1 + positives),
        "accuracy": max(positives, 1 - positives),
    }
    return known.get(metric, 0.0)
