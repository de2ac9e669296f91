"""The report of why networks fail: ``report.html`` and ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr_noise_transforms import SIGMA0
from cxr_noise_transforms.study.evaluation.kinds import band_edges
from cxr_noise_transforms.study.statistics.long_table import MEAN

from . import document
from .document import Block, Gallery, Picture, Points, Section, Table, Text
from .explained import (
    Explained,
    arm_words,
    band_points,
    band_table,
    equal_points,
    equal_table,
    rms_words,
    verdicts,
)
from .looked import Looked, attention_table, looked_verdicts, shift_table
from .measured import made_with
from .panels import curve_panel, drawn
from .pictures import spoken
from .words import metric_name

STARS = (
    "Mean over networks and trainings; differences are paired over patients, with 95 % intervals; "
    "* marks p < 0.05 after Holm over all of the task"
)


def write_explaining(
    one: Explained,
    looked: Looked,
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
        Table("Attention and confidence, mean over films and networks", *attention_table(looked)),
        Table("Shift of batch normalisation's statistics", *shift_table(looked)),
    ]
    sections = [
        Section("", [*notice, Points([*verdicts(one), *looked_verdicts(looked)])]),
        Section("Equal RMS, and single bands", [Gallery("Bands: 95 %.", panels(one), wide=True)]),
        Section("Tables", tables),
        made_with(about, repeat),
    ]
    return document.write(out, title, sections)


def panels(one: Explained) -> list[Picture]:
    """Both noises over their RMS, and every network over the frequency of the noise."""
    metric = metric_name(one.metric)
    points = equal_points(one)
    top = ("electronic severity s_e", lambda rms: f"{rms / SIGMA0:g}")
    labels = ("RMS of the noise, share of full scale", metric)
    figure = curve_panel(points, list(points.name.unique()), labels, top)
    alt = f"{metric} over the RMS of quantum and electronic noise: {spoken(points)}"
    pictures = [Picture("equal.png", alt, *drawn(figure, "equal", alt))]
    for place, arm in enumerate(one.arms):
        points = band_points(one, arm)
        single = points[points.network != MEAN]
        mean = points[points.network == MEAN] if len(one.networks) > 1 else None
        top = ("band", _band_at)
        labels = ("frequency of the noise, cycles per pixel", metric)
        figure = curve_panel(single, one.networks, labels, top, mean=mean)
        alt = (
            f"{metric} over the band of noise of {rms_words(one.telling)}, {arm_words(arm)}: "
            f"{spoken(single)}"
        )
        name = f"bands-{place}"
        pictures.append(Picture(f"{name}.png", alt, *drawn(figure, name, alt), caption=arm))
    return pictures


def _band_at(middle: float) -> str:
    """The number of the band whose middle this is."""
    width = band_edges(1)[1]
    return f"{middle / width + 0.5:.0f}"
