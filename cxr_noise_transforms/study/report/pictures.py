"""The pictures of a report: films under noise, and severity curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pandas as pd

from .document import Block, Folded, Gallery, Picture
from .findings import CLEAN, Findings
from .gallery import Views, draw
from .markdown import metric_name
from .panels import curve_panel, drawn
from .sentences import (
    NOISE,
    SYMBOL,
    Cell,
    cell_name,
    cell_words,
    number,
    on_axis,
    photons_at,
    sigma_at,
    truth,
)

_TOP = {
    "sq": ("photons per pixel at full scale", photons_at),
    "se": ("standard deviation, share of full scale", sigma_at),
}
# these metrics have no figures
_IN_TABLES = frozenset({"f1_val", "brier", "ece"})

# findings, film, cell, caption to picture
Photographer: TypeAlias = Callable[..., Picture]


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
    if film is None:
        return []
    network = one.networks[0]
    films = one.films(network)
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


def severity_curves(one: Findings, names: Iterator[str]) -> list[Block]:
    """The severity curves of every metric that has figures, the first unfolded."""
    shown = [metric for metric in one.metrics if metric not in _IN_TABLES] or one.metrics[:1]
    if not one.axes:
        return []
    galleries = [_panels(one, metric, names) for metric in shown]
    folded = [
        Folded(metric_name(metric), [gallery])
        for metric, gallery in zip(shown[1:], galleries[1:], strict=True)
    ]
    return [galleries[0], *folded]


def _panels(one: Findings, metric: str, names: Iterator[str]) -> Gallery:
    points = one.draws.select(metric=metric).intervals()
    if len(one.networks) > 1:
        mean = one.mean.select(metric=metric).intervals()
        points = pd.concat([points, mean], ignore_index=True)
    chance = one.mean_perf[one.mean_perf.metric == metric].chance.mean()
    images = []
    for axis in sorted(one.axes, reverse=True):
        other = "se" if axis == "sq" else "sq"
        rows = points[points[other] == 0].rename(columns={axis: "severity"})
        words = f"{NOISE[axis].lower()}, severity {SYMBOL[axis]}"
        figure = curve_panel(
            rows,
            one.networks,
            (words.replace("s_", "$s_") + "$", metric_name(metric)),
            _TOP[axis],
            chance if chance > 0 else None,
        )
        name, alt = next(names), f"{metric_name(metric)} against {words}: {_spoken(rows)}"
        images.append(Picture(f"{name}.png", alt, *drawn(figure, f"f{name}", alt)))
    return Gallery(f"{one.task}: {metric_name(metric)}", images, wide=True)


def _spoken(rows: pd.DataFrame) -> str:
    """A panel for those who do not see it."""
    parts = []
    for network, part in rows.groupby("network", sort=False):
        ends = part.sort_values("severity").value
        parts.append(f"{network} from {ends.iloc[0]:.2f} to {ends.iloc[-1]:.2f}")
    return "; ".join(parts)
