"""What else is to be known of a task, in sentences."""

from __future__ import annotations

import numpy as np

from cxr_noise_transforms.study.statistics.comparisons import monotonicity

from .answers import answers
from .document import Points
from .findings import ALPHA, Findings
from .words import SYMBOL, interval, metric_name, p_value

FEW_PATIENTS = 30


def remarks(one: Findings, *, alone: bool = True) -> list[Points]:
    """What else is to be known of a task, by its first metric; of one among several its answer."""
    metric = one.metrics[0]
    told = [] if alone else answers([one])
    points = [(f"{answer.lead}.", answer.sentence) for answer in told]
    if one.axes:
        points += [("Recovery.", words) for words in _recovery_words(one, metric)]
        points += [("Networks.", words) for words in _network_words(one, metric)]
    if one.is_weak(metric):
        words = "Even on clean films the networks cannot be told from a constant answer."
        points.append(("Weak without noise.", words))
    points += _caveats(one)
    return [Points(points)] if points else []


def _caveats(one: Findings) -> list[tuple[str, str]]:
    points = []
    counts = one.counts[one.counts.positive + one.counts.negative > 0]
    single = counts[(counts.positive == 0) | (counts.negative == 0)]
    if len(single):
        which = ", ".join(
            f"{'every' if row.positive else 'no'} film shows {row.Index}"
            for row in single.itertuples()
        )
        words = f"{which[0].upper()}{which[1:]}: of one class there is neither AUROC nor AUPRC."
        points.append(("One class.", words))
    nothing = one.counts[one.counts.left_out == one.counts.films]
    if len(nothing):
        points.append(
            ("Nothing to measure.", f"No film has a truth for {', '.join(nothing.index)}.")
        )
    if not one.complete:
        words = (
            "Not all networks were measured on the same films, cells and noise seeds. A mean is "
            "over all networks, or there is none; differences may be between different films."
        )
        points.append(("Unequal.", words))
    patients = int(one.levels.loc[one.metrics[0]].patients.max())
    if 1 < patients < FEW_PATIENTS:
        points.append(
            ("Few patients.", f"With {patients} test patients, intervals and p are rough.")
        )
    elif patients == 1:
        points.append(("One patient.", "Of one patient there are neither intervals nor p."))
    return points


def _recovery_words(one: Findings, metric: str) -> list[str]:
    steps = monotonicity(one.mean.select(metric=metric))
    if steps.empty:
        return []
    step = steps.iloc[0]
    if step.value <= 0:
        return ["None: at every step of both axes it gets worse, or stays."]
    rise = (
        "The largest gain between neighbouring severities, from "
        f"{SYMBOL[step.axis]} = {step.milder:g} to {step.harder:g}, is {interval(step, '+.3f')}"
    )
    if np.isnan(step.p_holm):
        return [f"{rise}."]
    rise += f", p {p_value(step.p_holm, '= ')}."
    if step.p_any >= ALPHA:
        return [f"None that stands out from chance. {rise}"]
    return [
        f"Some gain is more than chance between patients (p {p_value(step.p_any, '= ')}). {rise}"
    ]


def _network_words(one: Findings, metric: str) -> list[str]:
    numbers = one.curve_numbers
    numbers = numbers[(numbers.metric == metric) & numbers.network.isin(one.networks)]
    sentences = []
    for axis in one.axes:
        areas = numbers[numbers.axis == axis].set_index("network").area.dropna().sort_values()
        if len(areas) and areas.iloc[-1] > areas.iloc[0]:
            sentences.append(
                f"On the average over {SYMBOL[axis]}, {areas.index[-1]} has the highest "
                f"{metric_name(metric)} ({areas.iloc[-1]:.3f}), {areas.index[0]} the lowest "
                f"({areas.iloc[0]:.3f})."
            )
    return [" ".join(sentences)] if sentences else []


def truth(one: Findings, film: str) -> str:
    """What a binary classifier should say, where it is known."""
    if not one.is_score or len(one.labels) > 1:
        return ""
    mark = one.marks.loc[one.labels[0], film]
    if not (mark.positive or mark.negative):
        return ""
    return f" ({'' if mark.positive else 'not '}{one.labels[0]})"
