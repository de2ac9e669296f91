"""The report of a sweep: ``report.html``, one file without network or script, and ``report.md``.

All numbers come from the long table: means over networks, labels and noise seeds, with intervals
over patients (:mod:`~cxr_noise_transforms.study.statistics.resampling`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import torch

from cxr_noise_transforms.study.evaluation.errors import own_errors
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.statistics.long_table import AnyTable
from cxr_noise_transforms.study.statistics.performance import Thresholds, validation_thresholds
from cxr_noise_transforms.study.table import open_table

from . import document
from .beside_the_paper import compare
from .document import Block, Code, Folded, Heading, Section, Text
from .findings import Findings, find
from .gallery import Views, sweep_views
from .measured import design, facts_table, films_table, training_tables
from .pictures import answer_cards, film_ladder, photographer, severity_curves
from .sentences import remarks
from .single_films import worst_films
from .subgroups import subgroup_blocks
from .tables import overview, result_tables

_PHANTOMS = "Phantoms, which say nothing about patients."


def find_in_sweeps(
    sweeps: Sequence[Sweep],
    architectures: Sequence[str],
    table: AnyTable,
    normal_dose: float = math.nan,
) -> list[Findings]:
    """The findings of finished sweeps, with F1 at thresholds from their validation films.

    Args:
        sweeps: one per task.
        architectures: the networks; the first one is the baseline of mCE.
        table: the sweeps' long tables, one below the other.
        normal_dose: see :func:`~cxr_noise_transforms.study.report.findings.find`.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.report.findings.find`.
    """
    files = [sweep.out / "validation.parquet" for sweep in sweeps]
    thresholds = None
    if all(file.is_file() for file in files):
        thresholds = validation_thresholds(open_table(files))
    return find(table, thresholds, architectures, normal_dose=normal_dose)


def write_report(
    sweeps: Sequence[Sweep],
    tasks: Sequence[Findings],
    out: Path,
    title: str,
    repeat: str = "",
) -> list[Path]:
    """Write the report of finished sweeps, with films as the first network sees them.

    Args:
        sweeps: one per task.
        tasks: from :func:`find_in_sweeps`.
        out: folder.
        title: of the report.
        repeat: the command line that made the sweeps.

    Returns:
        ``report.html`` and ``report.md``, whose pictures are in the folder ``report``.

    Raises:
        FileNotFoundError: films or weights are not there.
    """
    runs = [json.loads((sweep.out / "run.json").read_text()) for sweep in sweeps]
    # every network has the same
    splits = [
        json.loads((sweep.out / one.networks[0] / "split.json").read_text())
        for sweep, one in zip(sweeps, tasks, strict=True)
    ]
    phantoms = any(sweep.options["dataset_dir"] is None for sweep in sweeps)
    notice = [Text(_PHANTOMS, notice=True)] if phantoms else []
    made = [Folded("Training and settings", training_tables(runs)), *_provenance(runs, repeat)]
    views = sweep_views(sweeps, tasks[0].networks[0], tasks[0].weights)
    with own_errors():
        return _write(out, title, tasks, notice, [films_table(tasks, splits)], made, views)


def write_report_of_table(
    out: str | Path,
    table: AnyTable,
    title: str,
    about: Mapping[str, str] | None = None,
    views: Views | None = None,
    thresholds: Thresholds | None = None,
    groups: Iterable[str] | None = None,
) -> list[Path]:
    """Write the report of any long table, such as a stress test of a model of one's own.

    Args:
        out: folder.
        table: the long table.
        title: of the report.
        about: what was measured on what, name to words.
        views: the films under noise as the first network sees them, for the pictures.
        thresholds: for F1, see :func:`performance`.
        groups: columns whose groups are compared, see
            :func:`~cxr_noise_transforms.study.report.findings.find`; default: all that there are.

    Returns:
        ``report.html`` and ``report.md``, whose pictures are in the folder ``report``.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.report.findings.find`.
    """
    findings = find(table, thresholds, groups=groups)
    return write_report_of_findings(out, findings, title, about, views)


def write_report_of_findings(
    out: str | Path,
    tasks: Sequence[Findings],
    title: str,
    about: Mapping[str, str] | None = None,
    views: Views | None = None,
    more: Sequence[Section] = (),
) -> list[Path]:
    """As :func:`write_report_of_table`, of what was found in the table already.

    ``more`` are sections of a study's own; their pictures are in the folder ``report`` too.
    """
    measured: list[Block] = [films_table(tasks)]
    if about:
        measured.insert(0, facts_table("About this measurement", about))
    made = facts_table("This report was made with", provenance(torch.device("cpu")))
    kept = [Folded("Versions", [made])]
    return _write(Path(out), title, tasks, [], measured, kept, views, more)


def _write(
    out: Path,
    title: str,
    tasks: Sequence[Findings],
    notice: Sequence[Block],
    measured: Sequence[Block],
    made: Sequence[Block],
    views: Views | None,
    more: Sequence[Section] = (),
) -> list[Path]:
    names = (f"{number:03d}" for number in count(1))
    film = photographer(views, names, 512 if len(tasks) == 1 else 256) if views else None
    several = len(tasks) > 1
    sections = [
        Section("", [*notice, *answer_cards(tasks, names), *overview(tasks)]),
        Section("In words", _each(tasks, lambda one: remarks(one, alone=not several), fold=True)),
        *more,
        Section("Subgroups", _each(tasks, lambda one: subgroup_blocks(one, names), fold=True)),
        Section("What was measured", [*measured, *design(tasks)]),
        Section("Films under noise", _each(tasks, lambda one: film_ladder(one, film), fold=True)),
        Section(
            "Severity curves" if several else "More curves",
            _each(tasks, lambda one: severity_curves(one, names, leading=several), fold=True),
        ),
        Section("Tables", _each(tasks, result_tables, fold=True)),
        Section("Beside the paper", compare(tasks)),
        Section("Worst films", _each(tasks, lambda one: worst_films(one, film), fold=True)),
        Section("Settings and provenance", made),
    ]
    return document.write(out, title, sections)


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


def _provenance(runs: Sequence[Mapping[str, Any]], repeat: str) -> list[Block]:
    versions = {
        name: value
        for name, value in runs[0].items()
        if name not in ("task", "settings", "networks")
    }
    blocks: list[Block] = [Folded("Versions", [facts_table("Versions and machine", versions)])]
    if repeat:
        words = Text("To repeat; what is finished is not measured again:")
        blocks.append(Folded("The command", [words, Code(repeat)]))
    blocks += [
        Folded(f"run.json, {run['task']}", [Code(json.dumps(run, indent=1))]) for run in runs
    ]
    return blocks
