"""The report of why networks fail: ``report.html`` and ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms import SIGMA0
from cxr_noise_transforms.study.evaluation.kinds import band_edges
from cxr_noise_transforms.study.evaluation.looking import Maps
from cxr_noise_transforms.study.statistics.long_table import MEAN

from . import document
from .document import Block, Gallery, Picture, Points, Section, Table, Text
from .explained import Explained, arm_words, rms_words, verdicts
from .explained_tables import band_points, band_table, equal_points, equal_table
from .gallery import View, draw
from .looked import Looked, attention_table, looked_verdicts, shift_table
from .measured import made_with
from .panels import curve_panel, drawn
from .pictures import spoken
from .variants import (
    network_points,
    network_table,
    plain_networks,
    variant_points,
    variant_table,
    variant_verdicts,
)
from .words import metric_name, number

STARS = (
    "Mean over the networks of each kind of training, and over trainings; differences are paired "
    "over patients, with 95 % intervals; * marks p < 0.05 after Holm over all of its kind"
)


def write_explaining(
    one: Explained,
    looked: Looked,
    maps: Sequence[Maps],
    out: Path,
    title: str,
    about: Mapping[str, Any],
    repeat: str,
    *,
    phantoms: bool,
) -> list[Path]:
    """Write the report beside the tables.

    Args:
        one: findings under noises of one RMS.
        looked: findings of attention and normalisation.
        maps: examples, in the order in which they are shown.
        out: folder.
        title: of the report.
        about: facts of the run, by name.
        repeat: the command.
        phantoms: whether the films were drawn.

    Returns:
        The files.
    """
    notice = [Text("Phantoms, which say nothing about patients.", notice=True)] * phantoms
    tables: list[Block] = [
        Table(f"{metric_name(one.metric)} at equal RMS. {STARS}", *equal_table(one)),
        Table(
            f"Change of {metric_name(one.metric)} by noise of one band, {rms_words(one.telling)}",
            *band_table(one),
        ),
        Table(
            "Networks trained on clean films, under electronic noise. Intervals are over patients; "
            "* marks p < 0.05 after Holm over all changes of the task",
            *network_table(one),
        ),
        *_variant_tables(one),
        Table("Attention and confidence, mean over films and networks", *attention_table(looked)),
        Table("Shift of batch normalisation's statistics", *shift_table(looked)),
    ]
    sections = [
        Section("", [*notice, Points(answers(one, looked))]),
        Section("Curves", [Gallery("Bands around curves: 95 %.", panels(one), wide=True)]),
        Section("Where it looks, worst first", _map_table(maps)),
        Section("Tables", tables),
        made_with(about, repeat),
    ]
    return document.write(out, title, sections)


def answers(one: Explained, looked: Looked) -> list[tuple[str, str]]:
    """All of them, each after what it is about."""
    return [*verdicts(one), *variant_verdicts(one), *looked_verdicts(looked)]


def _variant_tables(one: Explained) -> list[Block]:
    header, rows = variant_table(one)
    caption = (
        "The same networks made otherwise, under electronic noise; paired with the plain ones, * "
        "marks p < 0.05 after Holm over a row"
    )
    return [Table(caption, header, rows)] if rows else []


def _map_table(maps: Sequence[Maps]) -> list[Block]:
    """Both maps of every example side by side."""
    if not maps:
        return []
    caption = (
        "Activation maps of the first network on films whose map agrees least with that of the "
        f"clean film under electronic noise of {rms_words(maps[0].se)}"
    )
    rows: list[list[str | Picture]] = []
    for place, one in enumerate(maps):
        views = (("clean film", one.film, one.map), ("noisy film", one.noisy, one.noisy_map))
        pictures = [
            Picture(f"map-{place}-{side}.jpg", f"{one.image}, {name}", draw(View(film, heat=heat)))
            for side, (name, film, heat) in enumerate(views)
        ]
        rows.append([one.image, *pictures, number(one.agreement, ".2f")])
    return [Table(caption, ["film", "clean film", "noisy film", "rank correlation"], rows)]


def panels(one: Explained) -> list[Picture]:
    """Both noises over their RMS, networks and variants likewise, and networks over frequency."""
    metric = metric_name(one.metric)
    pictures = [_over_rms("equal", equal_points(one), metric, "both noises, mean over networks")]
    if len(plain_networks(one)) > 1:
        caption = "trained on clean films, electronic noise"
        pictures.append(_over_rms("networks", network_points(one), metric, caption))
    common, points = variant_points(one)
    if common and len(points.name.unique()) > 1:
        pictures.append(_over_rms("variants", points, metric, f"mean of {', '.join(common)}"))
    for place, arm in enumerate(one.arms):
        points = band_points(one, arm)
        single = points[points.network != MEAN]
        mean = points[points.network == MEAN] if len(one.networks) > 1 else None
        top = ("band", _band_at)
        labels = ("frequency of the noise, cycles per pixel", metric)
        names = [name for name in one.networks if name in set(single.network)]
        figure = curve_panel(single, names, labels, top, mean=mean)
        alt = (
            f"{metric} over the band of noise of {rms_words(one.telling)}, {arm_words(arm)}: "
            f"{spoken(single)}"
        )
        name = f"bands-{place}"
        pictures.append(Picture(f"{name}.png", alt, *drawn(figure, name, alt), caption=arm))
    return pictures


def _over_rms(name: str, points: pd.DataFrame, metric: str, caption: str) -> Picture:
    """Curves over the RMS of the noise."""
    top = ("electronic severity s_e", lambda rms: f"{rms / SIGMA0:g}")
    labels = ("RMS of the noise, share of full scale", metric)
    figure = curve_panel(points, list(points.name.unique()), labels, top)
    alt = f"{metric} over the RMS of the noise, {caption}: {spoken(points)}"
    return Picture(f"{name}.png", alt, *drawn(figure, name, alt), caption=caption)


def _band_at(middle: float) -> str:
    """The number of the band whose middle this is."""
    width = band_edges(1)[1]
    return f"{middle / width + 0.5:.0f}"
