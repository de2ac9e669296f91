"""What a network achieves in each cell of a sweep, from the long table.

A metric of images (Dice, IoU) is averaged over the images. A score becomes the metrics of
:func:`~cxr_noise_transforms.study.statistics.scores.score_metrics`, over all images at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.columns import UNDEGRADED

from .long_table import KEYS, MEAN, MODEL, SCORE, AnyTable, as_table, checked, groups, numbers
from .metrics import constant_answer
from .scores import best_threshold, score_metrics

# by MODEL: a mapping of tuples, or a series with that index
Thresholds: TypeAlias = Mapping[tuple, float] | pd.Series


def performance(table: AnyTable, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """The metrics of every network in every cell, for every training and noise seed.

    Args:
        table: the long table, a data frame or one that is read a part at a time.
        thresholds: for ``f1_val``, by task, network, weights, training seed and label: a mapping
            or a series, see :func:`validation_thresholds`.

    Returns:
        One row per task, network, weights, training seed, cell, noise seed, label and ``metric``:
        ``value``; ``n``, the images that have one (an empty reference has none: NaN in the
        table; nor has a label that is missing: NaN as target); ``chance``, what a constant answer
        gets, see :func:`~cxr_noise_transforms.study.statistics.metrics.constant_answer`.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.statistics.long_table.check_table`; a
            threshold is missing.
    """
    found = [row for rows in checked(table) for row in _performance(rows, thresholds)]
    keys = [*KEYS, "metric"]
    frame = pd.DataFrame(found, columns=[*keys, "value", "n", "chance"])
    return frame.sort_values(keys, ignore_index=True)


def _performance(table: pd.DataFrame, thresholds: Thresholds | None) -> Iterator[tuple]:
    """Of every key and metric of whole cells: value, images, and what a constant answer gets."""
    values, targets = numbers(table, "value"), numbers(table, "target")
    for (*key, metric), places in groups(table, (*KEYS, "metric")).items():
        known = places[~np.isnan((targets if metric == SCORE else values)[places])]
        mean = values[known].mean() if len(known) else np.nan
        found: dict[str, Any] = {metric: mean}
        positives = np.nan
        if metric == SCORE:
            truth = targets[known]
            positives = truth.mean() if len(truth) else np.nan
            cut = threshold(thresholds, tuple(key))
            found = score_metrics(values[known], truth, threshold=cut)
        for name, value in found.items():
            yield (
                *key,
                name,
                np.ravel(value)[0].item(),
                len(known),
                constant_answer(name, positives),
            )


def validation_thresholds(table: AnyTable) -> dict[tuple, float]:
    """The threshold of the highest F1 of every model and label on clean validation films.

    Args:
        table: the long table of the validation films; noisy cells are left out.

    Returns:
        (task, network, weights, training seed, label) to threshold; NaN where no film has the
        label.

    Raises:
        ValueError: as :func:`performance`.
    """
    clean = as_table(table).select(sq=0, se=0, degradation=UNDEGRADED)
    found = {}
    for rows in checked(clean) if len(clean) else ():
        scores = rows[rows.metric == SCORE]
        values, targets = numbers(scores, "value"), numbers(scores, "target")
        # the noise seeds of the clean cell repeat it
        for key, places in groups(scores, KEYS).items():
            known = places[~np.isnan(targets[places])]
            some = (targets[known] == 1).any()
            found[_model(key)] = best_threshold(values[known], targets[known]) if some else np.nan
    return found


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


def mean_over(perf: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The mean of performances over the values of columns ("network", "label")."""
    keys = [name for name in (*KEYS, "metric") if name not in columns]
    means = perf.groupby(keys, as_index=False, observed=True)[["value", "chance"]].mean()
    return means.assign(**dict.fromkeys(columns, MEAN))


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
    rest = ["task", "network", "weights", "sq", "se", "degradation", "label", "metric"]
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


def _model(key: tuple) -> tuple:
    named = dict(zip(KEYS, key, strict=True))
    return tuple(named[name] for name in MODEL)
