"""The published numbers, and where they contradict themselves.

References:
    Jiu et al. 2025, arXiv:2509.25265: Table 1, Table 2, and the drops quoted in section 5.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

_FOLDER = Path(__file__).parent / "published"


def segmentation_results() -> pd.DataFrame:
    """Table 1: ``task``, ``sq``, ``se``, ``dice``, ``dice_diff``, ``iou``, ``iou_diff``."""
    return pd.read_csv(_FOLDER / "table1.csv")


def classification_results() -> pd.DataFrame:
    """Table 2, on clean films: ``group``, ``pair``, ``auprc``, ``auroc``, ``f1``."""
    return pd.read_csv(_FOLDER / "table2.csv")


def quoted_drops() -> pd.DataFrame:
    """Losses that the text states: ``section``, ``task``, ``metric``, ``sq``, ``se``, ``drop``.

    The task "distinct" is the mean over the pairs of that group in Table 2.
    """
    return pd.read_csv(_FOLDER / "quoted_drops.csv")


def contradictions() -> pd.DataFrame:
    """Rows of Table 1 that contradict themselves, found by arithmetic.

    Returns:
        One row per contradiction: ``task``, ``sq``, ``se``, ``printed`` and ``follows``.

    Example:
        >>> contradictions().query("task == 'lungs' and sq == 6").follows.item()
        'impossible: IoU <= Dice'
    """
    table = segmentation_results()
    clean = table[(table.sq == 0) & (table.se == 0)].set_index("task")
    found = []
    for row in table.itertuples():
        cell = (row.task, row.sq, row.se)
        for metric, name in (("dice", "Dice"), ("iou", "IoU")):
            value, difference = getattr(row, metric), getattr(row, f"{metric}_diff")
            follows = value - clean.loc[row.task, metric]
            # three numbers rounded to two places differ by at most 0.015
            if abs(follows - difference) > 0.0151:
                printed = f"{name} {value:.2f}, difference {difference:+.2f}"
                found.append((*cell, printed, f"difference {follows:+.2f}"))
        if row.iou > row.dice:
            printed = f"IoU {row.iou:.2f} above Dice {row.dice:.2f}"
            found.append((*cell, printed, "impossible: IoU <= Dice"))
    return pd.DataFrame(found, columns=["task", "sq", "se", "printed", "follows"])
