"""From films to studies: one score of all views of a study."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cxr_noise_transforms.study.columns import UNDEGRADED

from .long_table import KEYS, SCORE

COMBINE = ("mean", "max")


def by_study(table: pd.DataFrame, combine: str = "mean") -> pd.DataFrame:
    """The long table of studies: the mean or the maximum of the scores of a study's films.

    A study is what stands before the last ``/`` of a film's name, as in CheXpert's paths. Its
    target is 1 where that of any film is, as far as they are known.

    Args:
        table: the long table of films.
        combine: ``"mean"`` or ``"max"``.

    Returns:
        The same columns, ``image`` being the study, and ``degradation``.

    Raises:
        ValueError: another ``combine``, or a metric that is no score.
    """
    if combine not in COMBINE:
        raise ValueError(f"combine must be mean or max, got {combine!r}")
    if not (table.metric == SCORE).all():
        raise ValueError("table must hold scores to be combined, has other metrics")
    table = table.assign(image=table.image.str.rpartition("/")[0])
    if "degradation" not in table:
        table["degradation"] = UNDEGRADED
    keys = [*KEYS, "metric", "image", "patient"]
    how = {name: "first" for name in table if name not in (*keys, "value", "target")}
    how |= {"value": combine, "target": "max"}
    studies = table.groupby(keys, as_index=False, sort=False, observed=True).agg(how)
    return studies[list(table)]


def ensemble(tables: Sequence[pd.DataFrame], network: str, combine: str = "mean") -> pd.DataFrame:
    """Several networks as one: the studies' mean or maximum over the films of all of them.

    A study that has films of one network only is judged by that one.

    Args:
        tables: long tables of films, one per network; the networks may see different views.
        network: name of the ensemble.
        combine: as in :func:`by_study`.
    """
    return by_study(pd.concat(tables, ignore_index=True).assign(network=network), combine)
