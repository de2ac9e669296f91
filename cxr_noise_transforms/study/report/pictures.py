"""The pictures of a report: severity curves, and films under noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.statistics.long_table import CLEAN

from .answers import Answer, answers
from .document import Block, Card, Cards, Folded, Gallery, Picture
from .findings import Findings, on_axis
from .gallery import Views, draw
from .panels import curve_panel, drawn
from .sentences import truth
from .words import (
    NOISE,
    SYMBOL,
    Cell,
    cell_name,
    cell_words,
    dose_at,
    metric_name,
    number,
    photons_at,
    sigma_at,
)

# these metrics have no figures
IN_TABLES = frozenset({"f1_val", "brier", "ece"})
_POINTS = ["name", "severity", "value", "lower", "upper"]

# findings, film, cell, caption to picture
Photographer: TypeAlias = Callable[..., Picture]


def answer_cards(tasks: Sequence[Findings], names: Iterator[str]) -> list[Block]:
    """What each noise costs, with the curves that say so."""
    cards = [_card(answer, tasks, names) for answer in answers(tasks)]
    if not cards:
        return []
    caption = (
        "Bands: 95 % intervals over patients; bars: those of the mean."
        if len(tasks) == 1
        else "Means over networks."
    )
    return [Cards(cards, caption if any(card.picture for card in cards) else "")]


def _card(answer: Answer, tasks: Sequence[Findings], names: Iterator[str]) -> Card:
    alike = [one for one in tasks if one.metrics[0] == answer.metric and answer.axis in one.axes]
    picture = None
    if len(alike) == 1:
        picture = _panel(alike[0], answer.metric, answer.axis, names)
    elif alike:
        picture = _panel_of_tasks(alike, answer.metric, answer.axis, names)
    return Card(
        answer.lead,
        answer.subject,
        " → ".join(filter(None, [answer.clean, answer.noisy])),
        answer.where,
        answer.rest,
        answer.sentence,
        picture,
    )


def severity_curves(one: Findings, names: Iterator[str], *, leading: bool) -> list[Block]:
    """The severity curves of every metric that has figures, folded; the leading one unfolded."""
    shown = [metric for metric in one.metrics if metric not in IN_TABLES] or one.metrics[:1]
    blocks: list[Block] = []
    for metric in shown if leading else shown[1:]:
        panels = [_panel(one, metric, axis, names) for axis in one.axes]
        images = [panel for panel in panels if panel]
        gallery = Gallery(f"{one.task}: {metric_name(metric)}", images, wide=True)
        folded = metric != shown[0]
        if images:
            blocks.append(Folded(metric_name(metric), [gallery]) if folded else gallery)
    return blocks


def _panel(one: Findings, metric: str, axis: str, names: Iterator[str]) -> Picture | None:
    mean = axis_points(one.levels.loc[metric].reset_index(), axis)
    points = one.draws.select(metric=metric, network=list(one.networks)).intervals()
    points = axis_points(points.rename(columns={"network": "name"}), axis)
    mean = mean if len(one.networks) > 1 else None
    constant, half = one.constant(metric), one.numbers(metric).breakdown[axis]
    return severity_panel(
        metric, axis, one.normal_dose, points, one.networks, names, mean, constant, half
    )


def _panel_of_tasks(
    tasks: Sequence[Findings], metric: str, axis: str, names: Iterator[str]
) -> Picture | None:
    parts = [one.levels.loc[metric].reset_index().assign(name=one.task) for one in tasks]
    points = axis_points(pd.concat(parts, ignore_index=True), axis)
    # bands of many tasks would hide each other
    points[["lower", "upper"]] = np.nan
    constants = {one.constant(metric) for one in tasks}
    shared = constants.pop() if len(constants) == 1 else np.nan
    dose, curves = tasks[0].normal_dose, [one.task for one in tasks]
    return severity_panel(metric, axis, dose, points, curves, names, None, shared)


def severity_panel(
    metric: str,
    axis: str,
    normal_dose: float,
    points: pd.DataFrame,
    curves: Sequence[str],
    names: Iterator[str],
    mean: pd.DataFrame | None,
    constant: float = np.nan,
    half: float = np.nan,
) -> Picture | None:
    """Curves of a metric over one severity, with its other scales; ``None`` without points."""
    if points.empty:
        return None
    words = f"{NOISE[axis].lower()}, severity {SYMBOL[axis]}"
    axes = (words.replace("s_", "$s_") + "$", metric_name(metric))
    figure = curve_panel(
        points,
        curves,
        axes,
        _top(axis, normal_dose),
        mean,
        constant if constant > 0 else None,
        half if np.isfinite(half) else None,
    )
    name, alt = next(names), f"{metric_name(metric)} against {words}: {spoken(points)}"
    return Picture(f"{name}.png", alt, *drawn(figure, f"f{name}", alt))


def _top(axis: str, normal_dose: float) -> tuple[str, Callable[[float], str]]:
    """The other scales of an axis."""
    if axis == "se":
        return "standard deviation, share of full scale", sigma_at
    if np.isnan(normal_dose):
        return "photons per pixel at full scale", photons_at
    label = "photons per pixel at full scale, and dose relative to normal"
    return label, lambda sq: f"{photons_at(sq)}\n{dose_at(sq, normal_dose)}"


def axis_points(points: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The points of one severity without the other noise."""
    other = "se" if axis == "sq" else "sq"
    rows = points[(points[other] == 0) & points.value.notna()]
    rows = rows.rename(columns={axis: "severity"})
    return rows[[name for name in _POINTS if name in rows]]


def spoken(points: pd.DataFrame) -> str:
    """A panel for those who do not see it."""
    parts = []
    for name, part in points.groupby("name", sort=False):
        ends = part.sort_values("severity").value
        parts.append(f"{name} from {number(ends.iloc[0], '.2f')} to {number(ends.iloc[-1], '.2f')}")
    return "; ".join(parts)


def photographer(views: Views, names: Iterator[str], most: int) -> Photographer:
    """What takes the picture of a task's film in a cell."""

    def film(one: Findings, image: str, cell: Cell, caption: str = "") -> Picture:
        seen = views(one.task, image, *cell)
        alt = f"film {image} at {cell_words(cell)}"
        side = max(seen.image.shape)
        if side > most and caption:
            caption += f" ({most} of {side} pixels)"
        return Picture(f"{next(names)}.jpg", alt, draw(seen, most), caption=caption)

    return film


def film_ladder(one: Findings, film: Photographer | None) -> list[Block]:
    """A typical film and the worst one at every severity of both axes."""
    network = one.networks[0]
    films = one.films(network)
    if film is None or films.empty:
        return []
    clean = films[CLEAN].sort_values(kind="stable")
    typical = str(clean.index[len(clean) // 2])
    worst = next((str(image) for image in films.index if image != typical), typical)
    blocks: list[Block] = []
    for kind, image in (("Typical film", typical), ("Worst film", worst)):
        for axis, steps in one.axes.items():
            cells = [on_axis(axis, step) for step in steps]
            shown = [film(one, image, cell, _film_words(one, films, image, cell)) for cell in cells]
            caption = f"{kind} {image}{truth(one, image)}, {NOISE[axis].lower()}, {network}."
            blocks.append(Gallery(f"{caption} {_below(one)}", shown))
    return blocks


def _film_words(one: Findings, films: pd.DataFrame, film: str, cell: Cell) -> str:
    value = films.loc[film, cell]
    name = "P" if one.is_score else metric_name(one.film_metric)
    return f"{cell_name(cell)}: {name} {number(value, '.2f')}"


def _below(one: Findings) -> str:
    if one.is_score:
        return "P is the probability that the network gives to the truth."
    return "Dashed blue: reference; solid orange: prediction."
