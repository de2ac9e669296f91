"""The report of a hardening: ``report.html`` and ``report.md``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cxr_noise_transforms import RadiographicNoise, image_seeds
from cxr_noise_transforms.study.evaluation.hardening import Hardening
from cxr_noise_transforms.study.statistics.long_table import CLEAN

from . import document
from .document import Block, Gallery, Picture, Points, Section, Table, Text
from .gallery import View, draw
from .hardened import Hardened, arm_table, curve_points, square, verdicts
from .measured import made_with
from .pictures import severity_panel
from .words import NOISE, Cell, cell_words, metric_name

# curves that can be told apart in one panel
_MOST = 6


def write_hardening(
    one: Hardened,
    hardening: Hardening,
    title: str,
    about: Mapping[str, Any],
    repeat: str,
) -> list[Path]:
    """Write the report of a finished hardening beside its table.

    Args:
        one: its findings.
        hardening: that was run; its first network's predictions are shown.
        title: of the report.
        about: facts of the run, by name.
        repeat: the command.

    Returns:
        The files.
    """
    out, phantoms = hardening.sweep.out, hardening.sweep.options["dataset_dir"] is None
    notice = Text("Phantoms, which say nothing about patients.", notice=True)
    header, rows = arm_table(one)
    answers = Points([(f"{lead}:", words) for lead, words in verdicts(one)])
    sections = [
        Section("", [*([notice] if phantoms else []), answers]),
        Section("Severity curves", panels(one)),
        Section("Films", film_rows(one, hardening)),
        Section("Tables", [Table(_caption(one), header, rows), Table(_SQUARE, *square(one))]),
        made_with(about, repeat),
    ]
    return document.write(out, title, sections)


_SQUARE = "Training and re-estimation at the end of each axis"


def _caption(one: Hardened) -> str:
    return (
        f"{metric_name(one.metric)}, mean over networks, {one.trainings} trainings each and all "
        "noise seeds. Changes are paired over patients against the clean arm, with 95 % intervals; "
        "* marks p < 0.05 after Holm over all arms. Area: mean over the severity axis. The "
        "standard deviation over trainings is that of the gain"
    )


def panels(one: Hardened) -> list[Block]:
    """Curves of the arms that differ in training, and of those that differ in what comes after."""
    names = (f"curves-{number}" for number in count(1))
    trained = [arm for arm in one.arms if ", " not in arm]
    after = [one.arms[0], *(arm for arm in one.arms if ", " in arm)]
    blocks: list[Block] = []
    for caption, arms in (("Noise in training", trained), ("Without or after training", after)):
        shown = arms[:_MOST]
        if len(shown) > 1:
            images = [_panel(one, shown, axis, names) for axis in NOISE]
            found = [image for image in images if image]
            blocks.append(Gallery(f"{caption}. Bands: 95 % over patients.", found, wide=True))
    return blocks


def _panel(one: Hardened, arms: Sequence[str], axis: str, names: Iterator[str]) -> Picture | None:
    points = curve_points(one, arms, axis)
    chance = float(points.chance.mean())
    return severity_panel(one.metric, axis, np.nan, points, arms, names, None, chance)


def film_rows(one: Hardened, hardening: Hardening) -> list[Block]:
    """A typical film at the end of each axis, as every arm of the first training sees it."""
    network = hardening.networks[0]
    rows = one.table[
        (one.table.network == network)
        & (one.table.weights == one.arms[0])
        & (one.table.sq == 0)
        & (one.table.se == 0)
        & (one.table.metric != "score")
    ]
    if rows.empty:
        return []
    values = rows.groupby("image", observed=True).value.mean().sort_values(kind="stable")
    film = str(values.index[len(values) // 2])
    ends: list[Cell] = [(one.table.sq.max(), 0.0), (0.0, one.table.se.max())]
    return [
        Gallery(
            f"Film {film} at {cell_words(cell)}, {network}. Dashed blue: reference; solid orange: "
            "prediction.",
            [_film(hardening, network, film, cell, place) for place in range(len(hardening.arms))],
        )
        for cell in (CLEAN, *ends)
    ]


def _film(hardening: Hardening, network: str, film: str, cell: Cell, place: int) -> Picture:
    arm, dataset = hardening.arms[place], hardening.content("test")("dataset")
    ids = [one["id"] for one in hardening.content("test")("split")["test"]]
    sample = dataset[ids.index(film)]
    noise = RadiographicNoise(*cell, bits=8)
    noisy = noise(sample["image"][None], seed=image_seeds(0, [film]))
    logits = hardening.predictor(arm, network, 0, cell)(noisy)[0].cpu()
    seen = View(noisy[0, 0].numpy(), sample["label"].numpy(), (logits > 0).numpy())
    name = f"film-{cell[0]:g}-{cell[1]:g}-{place}.jpg"
    return Picture(name, f"{arm.name} at {cell_words(cell)}", draw(seen), caption=arm.name)
