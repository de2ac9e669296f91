"""The report of a sweep: ``report.html``, one file without network or script, and ``report.md``.

All numbers come from the long table: means over networks, labels and noise seeds, with intervals
over patients (:mod:`~cxr_noise_transforms.study.statistics.resampling`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cxr_noise_transforms.study.evaluation.cells import read_table
from cxr_noise_transforms.study.evaluation.sweep import Sweep, own_errors
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.statistics.performance import (
    MODEL,
    Thresholds,
    validation_thresholds,
)

from . import document
from .beside_the_paper import compare
from .document import Block, Code, Folded, Heading, Section, Text
from .findings import Findings, find
from .gallery import Views, sweep_views
from .pictures import film_ladder, photographer, severity_curves
from .sentences import CHECKPOINTS, NOISE, SYMBOL, headline
from .tables import facts_table, films_table, overview, result_tables, training_tables, worst_films

_READING = Text(
    "Bands are the 95 % intervals of the networks, bars those of their mean. All networks and "
    "cells are of the same patients, so curves may differ for certain although their bands overlap."
)


def write_report(
    sweeps: Sequence[Sweep],
    architectures: Sequence[str],
    table: pd.DataFrame,
    out: Path,
    title: str,
    repeat: str = "",
) -> list[Path]:
    """Write the report of finished sweeps, with films as the first network sees them.

    Args:
        sweeps: one per task.
        architectures: the networks; the first one is the baseline of mCE.
        table: the sweeps' long tables, one below the other.
        out: folder.
        title: of the report.
        repeat: the command line that made the sweeps.

    Returns:
        ``report.html`` and ``report.md``, whose pictures are in the folder ``report``.

    Raises:
        FileNotFoundError: films or weights are not there.
        ValueError: see :func:`~cxr_noise_transforms.study.report.findings.find`.
    """
    runs = [json.loads((sweep.out / "run.json").read_text()) for sweep in sweeps]
    # every network has the same
    splits = [
        json.loads((sweep.out / architectures[0] / "split.json").read_text()) for sweep in sweeps
    ]
    tasks = find(table, _thresholds(sweeps), architectures)
    measured: list[Block] = [films_table(tasks, splits), *training_tables(runs)]
    if any(sweep.options["dataset_dir"] is None for sweep in sweeps):
        words = "These films are phantoms: they demonstrate the pipeline and say nothing about"
        measured.insert(0, Text(f"{words} patients.", notice=True))
    views = sweep_views(sweeps, tasks[0].networks[0], tasks[0].weights)
    with own_errors():
        return _write(out, title, tasks, measured, _provenance(runs, repeat), views)


def write_report_of_table(
    out: str | Path,
    table: pd.DataFrame,
    title: str,
    about: Mapping[str, str] | None = None,
    views: Views | None = None,
    thresholds: Thresholds | None = None,
) -> list[Path]:
    """Write the report of any long table, such as a stress test of a model of one's own.

    Args:
        out: folder.
        table: the long table.
        title: of the report.
        about: what was measured on what, name to words.
        views: the films under noise as the first network sees them, for the pictures.
        thresholds: for F1, see :func:`performance`.

    Returns:
        ``report.html`` and ``report.md``, whose pictures are in the folder ``report``.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.report.findings.find`.
    """
    tasks = find(table, thresholds)
    measured: list[Block] = [films_table(tasks)]
    if about:
        measured.insert(0, facts_table("About this measurement", about))
    made = [facts_table("This report was made with", provenance(torch.device("cpu")))]
    return _write(Path(out), title, tasks, measured, made, views)


def _write(
    out: Path,
    title: str,
    tasks: Sequence[Findings],
    measured: Sequence[Block],
    made: Sequence[Block],
    views: Views | None,
) -> list[Path]:
    names = (f"{number:03d}" for number in count(1))
    film = photographer(views, names, 512 if len(tasks) == 1 else 256) if views else None
    sections = [
        Section("What was measured", [*measured, *_design(tasks)]),
        Section("In short", [*overview(tasks), *_each(tasks, headline)]),
        Section("Films under noise", _each(tasks, lambda one: film_ladder(one, film), fold=True)),
        Section(
            "Severity curves", [_READING, *_each(tasks, lambda one: severity_curves(one, names))]
        ),
        Section("Tables", _each(tasks, result_tables, fold=True)),
        Section("Beside the paper", compare(tasks)),
        Section(
            "Single films, worst first", _each(tasks, lambda one: worst_films(one, film), fold=True)
        ),
        Section("Provenance", made),
    ]
    sections = [section for section in sections if section.blocks]
    folder = out / "report"
    for section in sections:
        for image in document.pictures(section.blocks):
            with whole_file(folder / image.file) as beside:
                beside.write_bytes(image.content)
    written = {
        out / "report.html": document.html(title, sections),
        out / "report.md": document.markdown(title, sections, folder.name),
    }
    for path, text in written.items():
        with whole_file(path) as beside:
            beside.write_text(text, encoding="utf-8")
    return list(written)


def _each(
    tasks: Sequence[Findings],
    blocks: Callable[[Findings], Sequence[Block]],
    *,
    fold: bool = False,
) -> list[Block]:
    """The blocks of every task, under its name where there are several; the first one unfolded."""
    found: list[Block] = []
    for place, one in enumerate(tasks):
        inner = blocks(one)
        if fold and inner and len(tasks) > 1:
            found.append(Folded(one.task, inner, shown=place == 0))
        elif inner:
            found += [*([Heading(one.task)] if len(tasks) > 1 else []), *inner]
    return found


def _thresholds(sweeps: Sequence[Sweep]) -> dict[tuple, float] | None:
    files = [sweep.out / "validation.csv" for sweep in sweeps]
    if not all(file.is_file() for file in files):
        return None
    table = pd.concat(map(read_table, files))
    # a handful of validation films may show one class only
    both = table.groupby(list(MODEL)).target.nunique().min() == 2
    return validation_thresholds(table) if both else None


def _design(tasks: Sequence[Findings]) -> list[Block]:
    one = tasks[0]
    weights = [words for name, words in CHECKPOINTS.items() if (one.table.weights == name).any()]
    facts = {
        "networks": ", ".join(one.networks),
        "checkpoints": " (reported), ".join(weights),
        **{
            f"{NOISE[axis]}, {SYMBOL[axis]}": ", ".join(f"{step:g}" for step in steps)
            for axis, steps in one.axes.items()
        },
        "cells": f"{len(one.cells)} combinations of both noises",
        "noise seeds": str(len(one.noise_seeds)),
    }
    return [
        facts_table("Networks and noise", {name: words for name, words in facts.items() if words}),
        Text(
            "Severity s_q leaves 1000 / s_q² photons per pixel at full scale. Severity s_e adds "
            "Gaussian noise of standard deviation sigma = 0.1 s_e, as a fraction of full scale. "
            "A film has the same noise pattern in every cell and for every network, at another "
            "strength."
        ),
        Text(
            "Brackets are 95 % intervals over patients (1,000 resamples): what other test "
            "patients would change about these trained networks, not what another training would."
        ),
    ]


def _provenance(runs: Sequence[Mapping[str, Any]], repeat: str) -> list[Block]:
    versions = {
        name: value
        for name, value in runs[0].items()
        if name not in ("task", "settings", "networks")
    }
    blocks: list[Block] = [facts_table("Versions and machine", versions)]
    if repeat:
        blocks += [Text("To repeat; what is finished is not measured again:"), Code(repeat)]
    blocks += [
        Folded(f"run.json, {run['task']}", [Code(json.dumps(run, indent=1))]) for run in runs
    ]
    return blocks
