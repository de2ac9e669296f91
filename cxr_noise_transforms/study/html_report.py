"""The report of a sweep: ``report.html``, one file without network or script, and ``report.md``.

All numbers come from the long table: means over networks, labels and noise seeds, with intervals
over patients (:mod:`~cxr_noise_transforms.study.resampling`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cxr_noise_transforms import electronic_sigma, photons_per_pixel

from . import document, paper
from .cells import read_table
from .document import Block, Code, Folded, Gallery, Heading, Picture, Points, Section, Table, Text
from .files import whole_file
from .findings import CLEAN, Findings, find
from .gallery import Views, draw, sweep_views
from .panels import curve_panel, drawn
from .performance import LOWER_IS_BETTER, MODEL, Thresholds, seed_spread, validation_thresholds
from .provenance import provenance
from .report import metric_name
from .statistics import monotonicity, paired_tests
from .sweep import Sweep, own_errors

_NOISE = {"se": "Electronic noise", "sq": "Quantum noise"}
_SYMBOL = {"se": "s_e", "sq": "s_q"}
# these metrics have no figures
_IN_TABLES = frozenset({"f1_val", "brier", "ece"})
_CHECKPOINTS = {"best": "lowest validation loss", "swa": "averaged weights"}
_WORST = 8
_ALPHA = 0.05
_FEW_PATIENTS = 30

Cell = tuple[float, float]
# task, film, cell, caption to picture
Photographer = Callable[..., Picture]


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
        ValueError: see :func:`~cxr_noise_transforms.study.findings.find`.
    """
    runs = [json.loads((sweep.out / "run.json").read_text()) for sweep in sweeps]
    # every network has the same
    splits = [
        json.loads((sweep.out / architectures[0] / "split.json").read_text()) for sweep in sweeps
    ]
    tasks = find(table, _thresholds(sweeps), architectures)
    measured: list[Block] = [_films_table(tasks, splits), *_networks_tables(runs)]
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
        thresholds: for F1, see :func:`~cxr_noise_transforms.study.performance.performance`.

    Returns:
        ``report.html`` and ``report.md``, whose pictures are in the folder ``report``.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.findings.find`.
    """
    tasks = find(table, thresholds)
    measured: list[Block] = [_films_table(tasks)]
    if about:
        measured.insert(0, _pairs("About this measurement", about))
    made = [_pairs("This report was made with", provenance(torch.device("cpu")))]
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
    film = _photographer(views, names, 512 if len(tasks) == 1 else 256) if views else None
    sections = [
        Section("What was measured", [*measured, *_design(tasks)]),
        Section("In short", [*_overview(tasks), *_each(tasks, _headline)]),
        Section("Films under noise", _each(tasks, lambda one: _ladder(one, film), fold=True)),
        Section("Severity curves", [_READING, *_each(tasks, lambda one: _curves(one, names))]),
        Section("Tables", _each(tasks, _tables, fold=True)),
        Section("Beside the paper", _beside_the_paper(tasks)),
        Section(
            "Single films, worst first", _each(tasks, lambda one: _worst(one, film), fold=True)
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


def _films_table(tasks: Sequence[Findings], splits: Sequence[Any] = ()) -> Table:
    header = ["task", "label", *(["training films", "validation films"] if splits else [])]
    header += ["test films", "test patients", "test films by source"]
    scored = any(one.is_score for one in tasks)
    rows = []
    for place, one in enumerate(tasks):
        films = one.table.drop_duplicates("image")
        sources = films.source.value_counts(sort=False)
        named = ", ".join(f"{source} {number}" for source, number in sources.items() if source)
        parts = [str(len(splits[place][part])) for part in ("train", "val")] if splits else []
        for label, part in one.table.groupby("label", sort=False):
            test = [str(len(films)), str(films.patient.nunique()), named or "–"]
            positive = part.drop_duplicates("image").target.sum()
            rows.append([one.task, str(label), *parts, *test])
            rows[-1] += [f"{positive:.0f}"] if scored else []
    header += ["test films with the label"] if scored else []
    return Table("Tasks and films", header, rows)


def _networks_tables(runs: Sequence[Mapping[str, Any]]) -> list[Block]:
    rows = [
        [
            run["task"],
            name,
            *(str(record[key]) for key in ("epochs", "best_epoch", "averaged_epochs")),
            f"{record['best_validation_loss']:.4f}",
        ]
        for run in runs
        for name, record in run["networks"].items()
    ]
    header = ["task", "network", "epochs", "best epoch", "averaged epochs", "best validation loss"]
    # a key that differs between tasks is the task
    common = {
        name: value
        for name, value in runs[0]["settings"].items()
        if all(run["settings"].get(name) == value for run in runs)
    }
    inner = [
        Table("Networks, each trained once on clean films", header, rows),
        _pairs("Settings of films and training", common),
    ]
    return [Folded("Training and settings", inner)]


def _design(tasks: Sequence[Findings]) -> list[Block]:
    one = tasks[0]
    weights = [words for name, words in _CHECKPOINTS.items() if (one.table.weights == name).any()]
    facts = {
        "networks": ", ".join(one.networks),
        "checkpoints": " (reported), ".join(weights),
        **{
            f"{_NOISE[axis]}, {_SYMBOL[axis]}": ", ".join(f"{step:g}" for step in steps)
            for axis, steps in one.axes.items()
        },
        "cells": f"{len(one.cells)} combinations of both noises",
        "noise seeds": str(len(one.noise_seeds)),
    }
    return [
        _pairs("Networks and noise", {name: words for name, words in facts.items() if words}),
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


def _overview(tasks: Sequence[Findings]) -> list[Block]:
    """All tasks in one table, by the metric of the first."""
    metric, axes = tasks[0].metrics[0], tasks[0].axes
    if len(tasks) < 2 or any(one.axes != axes or metric not in one.metrics for one in tasks):
        return []
    ends = [_on_axis(axis, steps[-1]) for axis, steps in axes.items()]
    rows = []
    for one in tasks:
        row = [one.task, _interval(one.levels.loc[metric].loc[CLEAN])]
        for cell in ends:
            change = one.changes.loc[metric].loc[cell]
            row += [_interval(change, "+.3f"), _p(change.p_holm)]
        rows.append(row)
    header = ["task", f"clean {metric_name(metric)}"]
    for cell in ends:
        header += [f"change at {_cell(cell)}", "p (Holm)"]
    return [Table(f"All tasks: {metric_name(metric)}, mean over networks", header, rows)]


def _headline(one: Findings) -> list[Block]:
    metric = one.metrics[0]
    level, change = one.levels.loc[metric], one.changes.loc[metric]
    numbers = one.curve_numbers
    numbers = numbers[(numbers.network == "mean") & (numbers.metric == metric)].set_index("axis")
    weak = one.is_score and level.loc[CLEAN].lower <= 0.5
    points = []
    for axis, steps in one.axes.items():
        cell = _on_axis(axis, steps[-1])
        lost, sentence = change.loc[cell], f"At {_cell_words(cell)} {metric_name(metric)} "
        certain = lost.p_holm < _ALPHA
        sentence += ("falls" if lost.value < 0 else "rises") if certain else "goes"
        sentence += (
            f" from {_interval(level.loc[CLEAN])} to {_interval(level.loc[cell])}: a change of "
            f"{_interval(lost, '+.3f')}, p {_p(lost.p_holm, '= ')}"
        )
        sentence += ". " if certain else ", which may be chance. "
        if not weak:
            sentence += _breakdown_words(metric, numbers.loc[axis], axis)
        points.append((f"{_NOISE[axis]}.", sentence))
    if one.axes:
        points.append(("Recovery.", _recovery_words(one, metric)))
    if one.axes and len(one.networks) > 1:
        points.append(("Networks.", _network_words(one, metric)))
    patients = int(level.patients.min())
    if patients < _FEW_PATIENTS:
        few = f"With {patients} test patients, intervals and p are rough."
        points.append(("Few patients.", few))
    if weak:
        words = "Even on clean films the networks cannot be told from chance."
        points.append(("Weak without noise.", words))
    return [Points(points)]


def _breakdown_words(metric: str, numbers: pd.Series, axis: str) -> str:
    if metric in LOWER_IS_BETTER:
        return ""
    half = "Half of what is above chance" if metric in ("auroc", "auprc") else "Half of it"
    severity = numbers.breakdown
    if np.isnan(severity):
        return "Without noise it is not above chance: there is nothing to lose."
    if np.isinf(severity):
        return f"{half} is never lost on this axis."
    photons = f" ({_count(numbers.photons)} photons per pixel)" if axis == "sq" else ""
    return f"{half} is lost at {_SYMBOL[axis]} = {severity:.1f}{photons}."


def _recovery_words(one: Findings, metric: str) -> str:
    step = monotonicity(one.mean.select(metric=metric)).iloc[0]
    if step.value <= 0:
        return "None: at every step of both axes it gets worse, or stays."
    rise = (
        "The largest gain between neighbouring severities, from "
        f"{_SYMBOL[step.axis]} = {step.milder:g} to {step.harder:g}, is "
        f"{_interval(step, '+.3f')}, p {_p(step.p_holm, '= ')}."
    )
    if step.p_any >= _ALPHA:
        return f"None that stands out from chance. {rise}"
    return f"Some gain is more than chance between patients (p {_p(step.p_any, '= ')}). {rise}"


def _network_words(one: Findings, metric: str) -> str:
    numbers = one.curve_numbers
    numbers = numbers[(numbers.metric == metric) & (numbers.network != "mean")]
    sentences = []
    for axis in one.axes:
        areas = numbers[numbers.axis == axis].set_index("network").area.sort_values()
        sentences.append(
            f"On the average over {_SYMBOL[axis]}, {areas.index[-1]} has the highest "
            f"{metric_name(metric)} ({areas.iloc[-1]:.3f}), {areas.index[0]} the lowest "
            f"({areas.iloc[0]:.3f})."
        )
    return " ".join(sentences)


def _photographer(views: Views, names: Iterator[str], most: int) -> Photographer:
    """What takes the picture of a task's film in a cell."""

    def film(one: Findings, image: str, cell: Cell, caption: str = "") -> Picture:
        seen = views(one.task, image, *cell)
        alt = f"film {image} at {_cell_words(cell)}"
        side = max(seen.image.shape)
        if side > most and caption:
            caption += f" ({most} of {side} pixels)"
        return Picture(f"{next(names)}.jpg", alt, draw(seen, most), caption=caption)

    return film


def _ladder(one: Findings, film: Photographer | None) -> list[Block]:
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
            cells = [_on_axis(axis, step) for step in steps]
            shown = [film(one, image, cell, _film_words(one, films, image, cell)) for cell in cells]
            caption = f"{kind} {image}{_truth(one, image)}, {_NOISE[axis].lower()}, {network}."
            blocks.append(Gallery(f"{caption} {_below(one)}", shown))
    return blocks


def _film_words(one: Findings, films: pd.DataFrame, film: str, cell: Cell) -> str:
    value = films.loc[film, cell]
    name = "P" if one.is_score else metric_name(one.film_metric)
    return f"{_cell(cell)}: {name} {_number(value, '.2f')}"


def _truth(one: Findings, film: str) -> str:
    """What a binary classifier should say."""
    labels = one.table.label.unique()
    if not one.is_score or len(labels) > 1:
        return ""
    target = one.table[one.table.image == film].target.iloc[0]
    return f" ({'' if target else 'not '}{labels[0]})"


def _below(one: Findings) -> str:
    if one.is_score:
        return "P is the probability that the network gives to the truth."
    return "Dashed blue: reference; solid orange: prediction."


_READING = Text(
    "Bands are the 95 % intervals of the networks, bars those of their mean. All networks and "
    "cells are of the same patients, so curves may differ for certain although their bands overlap."
)


def _curves(one: Findings, names: Iterator[str]) -> list[Block]:
    drawn = [metric for metric in one.metrics if metric not in _IN_TABLES] or one.metrics[:1]
    if not one.axes:
        return []
    galleries = [_panels(one, metric, names) for metric in drawn]
    folded = [
        Folded(metric_name(metric), [gallery])
        for metric, gallery in zip(drawn[1:], galleries[1:], strict=True)
    ]
    return [galleries[0], *folded]


def _photons(sq: float) -> str:
    return _count(photons_per_pixel(sq))


def _count(photons: float) -> str:
    if np.isinf(photons):
        return "∞"
    return f"{photons:.0f}" if photons >= 100 else f"{photons:.3g}"


def _sigma(se: float) -> str:
    return f"{electronic_sigma(se):.3g}"


_TOP = {
    "sq": ("photons per pixel at full scale", _photons),
    "se": ("standard deviation, share of full scale", _sigma),
}


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
        words = f"{_NOISE[axis].lower()}, severity {_SYMBOL[axis]}"
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


def _tables(one: Findings) -> list[Block]:
    first, *others = one.metrics
    blocks: list[Block] = [_cells_table(one, first), _networks_table(one, first)]
    if one.axes:
        blocks.append(_curve_table(one, first))
    if (both := _checkpoint_table(one)) is not None:
        blocks.append(both)
    blocks += [
        Folded(
            metric_name(metric),
            [
                _cells_table(one, metric),
                _networks_table(one, metric),
                *([_curve_table(one, metric)] if one.axes else []),
            ],
        )
        for metric in others
    ]
    if len(one.table.label.unique()) > 1:
        blocks.append(Folded("Each label", [_labels_table(one, first)]))
    return blocks


def _cells_table(one: Findings, metric: str) -> Table:
    level, change = one.levels.loc[metric], one.changes.loc[metric]
    name = metric_name(metric)
    header = ["s_q", "s_e", "photons/pixel", "sigma", name, "difference from clean", "p (Holm)"]
    repeated = len(one.noise_seeds) > 1
    if repeated:
        perf = one.mean_perf[one.mean_perf.metric == metric]
        spread = seed_spread(perf).set_index(["sq", "se"]).noise_sd
        header.append("sd over noise seeds")
    rows = []
    for cell in one.cells:
        row = [*_cell_columns(cell), _interval(level.loc[cell])]
        if cell == CLEAN:
            row += ["", ""]
        else:
            row += [_interval(change.loc[cell], "+.3f"), _p(change.loc[cell].p_holm)]
        rows.append([*row, f"{spread[cell]:.4f}"] if repeated else row)
    return Table(f"{one.task}: {name}, mean of {', '.join(one.networks)}", header, rows)


def _networks_table(one: Findings, metric: str) -> Table:
    draws = one.draws.select(metric=metric)
    level = draws.intervals().set_index(["network", "sq", "se"])
    tests = paired_tests(draws.against(sq=0, se=0)).set_index(["network", "sq", "se"])
    rows = []
    for cell in one.cells:
        row = [f"{cell[0]:g}", f"{cell[1]:g}"]
        for network in one.networks:
            key = (network, *cell)
            differs = cell != CLEAN and tests.loc[key].p_holm < _ALPHA
            row.append(_interval(level.loc[key]) + (" *" if differs else ""))
        rows.append(row)
    caption = (
        f"{one.task}: {metric_name(metric)} of each network; * differs from its clean value, "
        "p < 0.05 after Holm over all networks and cells"
    )
    return Table(caption, ["s_q", "s_e", *one.networks], rows)


def _labels_table(one: Findings, metric: str) -> Table:
    draws = one.every_draw.select(weights=one.weights, metric=metric).mean_over("network")
    level = draws.intervals().set_index(["label", "sq", "se"])
    labels = list(one.table.label.unique())
    rows = [
        [f"{cell[0]:g}", f"{cell[1]:g}", *(_interval(level.loc[name].loc[cell]) for name in labels)]
        for cell in one.cells
    ]
    caption = f"{one.task}: {metric_name(metric)} of each label, mean over networks"
    return Table(caption, ["s_q", "s_e", *labels], rows)


def _curve_table(one: Findings, metric: str) -> Table:
    numbers = one.curve_numbers[one.curve_numbers.metric == metric]
    rows = []
    for network in [*one.networks, "mean"] if len(one.networks) > 1 else one.networks:
        for row in numbers[numbers.network == network].itertuples():
            quantum = row.axis == "sq" and row.photons > 0
            rows.append(
                [
                    network,
                    _NOISE[row.axis].split()[0].lower(),
                    *(_number(value) for value in (row.clean, row.area, row.relative_area)),
                    "not reached" if np.isinf(row.breakdown) else _number(row.breakdown, ".2f"),
                    _count(row.photons) if quantum else "",
                    *(_number(value) for value in (row.ce, row.mce)),
                ]
            )
    header = ["network", "noise", "clean", "area under the curve", "area / clean",
              "breakdown severity", "photons there", "CE", "mCE"]  # fmt: skip
    half = "" if metric in LOWER_IS_BETTER else (
        "; breakdown: half of what is above chance is lost, straight lines between cells"
    )  # fmt: skip
    caption = (
        f"{one.task}: {metric_name(metric)} curves in numbers{half}; CE and mCE: error over the "
        f"axis, and mean of both, as multiples of {one.networks[0]}'s"
    )
    return Table(caption, header, rows)


def _checkpoint_table(one: Findings) -> Table | None:
    """The best and the averaged weights of the networks that have both, at the ends of the axes."""
    trained = one.table.groupby("network").weights.unique()
    both = [name for name in one.networks if {"best", "swa"} <= set(trained[name])]
    if not both:
        return None
    draws = one.every_draw.select(network=both, weights=["best", "swa"])
    mean = draws.mean_over("label").mean_over("network")
    keys = ["metric", "weights", "sq", "se"]
    level = mean.intervals().set_index(keys).sort_index()
    # one family per metric, as in the other tables
    tests = paired_tests(mean.against(weights="best")).set_index(keys).sort_index()
    ends = [CLEAN, *(_on_axis(axis, steps[-1]) for axis, steps in one.axes.items())]
    rows = [
        [
            metric_name(metric),
            _cell(cell),
            _interval(level.loc[metric, "best"].loc[cell]),
            _interval(level.loc[metric, "swa"].loc[cell]),
            _interval(tests.loc[metric, "swa"].loc[cell], "+.3f"),
            _p(tests.loc[metric, "swa"].loc[cell].p_holm),
        ]
        for metric in one.metrics
        for cell in ends
    ]
    header = ["metric", "cell", *_CHECKPOINTS.values(), "difference", "p (Holm)"]
    return Table(f"{one.task}: both checkpoints, mean of {', '.join(both)}", header, rows)


def _beside_the_paper(tasks: Sequence[Findings]) -> list[Block]:
    blocks = [*_beside_table1(tasks), *_beside_table2(tasks), *_beside_quoted(tasks)]
    if not blocks:
        return []
    words = (
        "Jiu et al. 2025, arXiv:2509.25265: other films, other sizes, other networks. Its numbers "
        "stand here for orientation, not for agreement."
    )
    return [Text(words), *blocks]


def _beside_table1(tasks: Sequence[Findings]) -> list[Block]:
    published, wrong = paper.segmentation_results(), paper.contradictions()
    blocks: list[Block] = []
    for one in tasks:
        mine = published[published.task == one.task.lower()]
        if mine.empty or not {"dice", "iou"} <= set(one.metrics):
            continue
        bad = wrong[wrong.task == one.task.lower()]
        marked = set(zip(bad.sq, bad.se, strict=True))
        rows = []
        for cell in one.cells:
            printed = mine[(mine.sq == cell[0]) & (mine.se == cell[1])]
            if printed.empty:
                continue
            row = [f"{cell[0]:g}", f"{cell[1]:g}"]
            for metric in ("dice", "iou"):
                change = "" if cell == CLEAN else _number(one.changes.value[metric][cell], "+.3f")
                theirs = [printed[metric].item(), printed[f"{metric}_diff"].item()]
                mark = " †" if cell in marked else ""
                row += [_number(one.levels.value[metric][cell]), change]
                row += [f"{theirs[0]:.2f}{mark}", f"{theirs[1]:+.2f}{mark}"]
            rows.append(row)
        header = ["s_q", "s_e"]
        for name in ("Dice", "IoU"):
            header += [name, "difference", f"paper {name}", "paper difference"]
        dagger = "; † contradicts itself, see below" if marked else ""
        blocks.append(Table(f"{one.task}, and the paper's Table 1{dagger}", header, rows))
        if marked:
            lines = [
                [_cell((row.sq, row.se)), row.printed, row.follows] for row in bad.itertuples()
            ]
            caption = f"Rows of Table 1 ({one.task}) that contradict themselves"
            blocks.append(Table(caption, ["cell", "printed", "what follows"], lines))
    return blocks


def _beside_table2(tasks: Sequence[Findings]) -> list[Block]:
    published = paper.classification_results().set_index("pair")
    rows = []
    for one in tasks:
        if one.is_score and one.task in published.index:
            row = [one.task, published.group[one.task]]
            for metric in ("auprc", "auroc", "f1"):
                row += [_interval(one.levels.loc[metric].loc[CLEAN])]
                row += [f"{published.loc[one.task, metric]:.3f}"]
            rows.append(row)
    header = ["pair", "pairs of this group look"]
    for name in ("AUPRC", "AUROC", "F1"):
        header += [name, f"paper {name}"]
    return [Table("Clean films, and the paper's Table 2", header, rows)] if rows else []


def _beside_quoted(tasks: Sequence[Findings]) -> list[Block]:
    """The drops that the paper's text states."""
    named = {one.task.lower(): [one] for one in tasks}
    published = paper.classification_results()
    distinct = published[published.group == "distinct"].pair.str.lower()
    if distinct.isin(list(named)).all():
        named["distinct"] = [named[pair][0] for pair in distinct]
    rows = []
    for row in paper.quoted_drops().itertuples():
        cell = (row.metric, float(row.sq), float(row.se))
        ours = named.get(row.task.lower(), [])
        if ours and all(cell in one.changes.index for one in ours):
            lost = -np.mean([one.changes.value[cell] for one in ours])
            rows.append(
                [
                    row.task,
                    metric_name(row.metric),
                    _cell(cell[1:]),
                    _number(lost),
                    f"{row.drop:.3f}",
                ]
            )
    header = ["task", "metric", "cell", "lost here", "lost in the paper"]
    return [Table("Losses that the paper's text states", header, rows)] if rows else []


def _worst(one: Findings, film: Photographer | None) -> list[Block]:
    network = one.networks[0]
    films = one.films(network)
    failed = one.failures(films)
    patients = one.table.drop_duplicates("image").set_index("image").patient
    own_patients = (patients == patients.index).all()
    metric = "P" if one.is_score else metric_name(one.film_metric)
    mildness = sorted(one.cells, key=lambda cell: (max(cell), cell))
    rows: list[list[str | Picture]] = []
    for image in films.index[:_WORST]:
        values = films.loc[image]
        lowest = values.idxmax() if one.lower_is_better else values.idxmin()
        first = next((cell for cell in mildness if failed.loc[image, cell]), None)
        row: list[str | Picture] = [f"{image}{_truth(one, image)}"]
        if film is not None:
            row.append(film(one, image, first or lowest))
        row += [] if own_patients else [str(patients[image])]
        row.append(_number(values[CLEAN]))
        row += [_cell(first), _number(values[first])] if first else ["never", ""]
        rows.append([*row, _cell(lowest), _number(values[lowest])])
    header = ["film", *(["picture"] if film else [])]
    header += [] if own_patients else ["patient"]
    header += [f"clean {metric}", "first fails at", f"{metric} there", "worst cell"]
    header += [f"worst {metric}"]
    rule = (
        "a film fails where the truth has a probability below 0.5"
        if one.is_score
        else "a film fails where half of its clean value is lost"
    )
    if one.lower_is_better:
        rule = "a film fails where its clean value has doubled"
    counts = ", ".join(
        f"{_cell(cell)}: {failed[cell].sum()} of {len(films)}"
        for cell in [CLEAN, *(_on_axis(axis, steps[-1]) for axis, steps in one.axes.items())]
    )
    caption = (
        f"{one.task}, {network}, noise seed {one.noise_seeds[0]}: films with the worst "
        f"{'P (probability of the truth)' if one.is_score else metric} on the average of all cells"
        f"{', pictured where they first fail, else in their worst cell' if film else ''}"
    )
    return [
        Text(f"Here {rule}. Films that fail: {counts}."),
        Table(caption, header, rows),
    ]


def _provenance(runs: Sequence[Mapping[str, Any]], repeat: str) -> list[Block]:
    versions = {
        name: value
        for name, value in runs[0].items()
        if name not in ("task", "settings", "networks")
    }
    blocks: list[Block] = [_pairs("Versions and machine", versions)]
    if repeat:
        blocks += [Text("To repeat; what is finished is not measured again:"), Code(repeat)]
    blocks += [
        Folded(f"run.json, {run['task']}", [Code(json.dumps(run, indent=1))]) for run in runs
    ]
    return blocks


def _pairs(caption: str, facts: Mapping[str, Any]) -> Table:
    rows = [[name, "none" if value is None else str(value)] for name, value in facts.items()]
    return Table(caption, ["", ""], rows)


def _on_axis(axis: str, severity: float) -> Cell:
    return (severity, 0.0) if axis == "sq" else (0.0, severity)


def _cell(cell: Cell) -> str:
    if cell == CLEAN:
        return "clean"
    return ", ".join(
        f"{name}\u00a0=\u00a0{severity:g}"
        for name, severity in zip(("s_q", "s_e"), cell, strict=True)
        if severity
    )


def _cell_words(cell: Cell) -> str:
    sq, se = cell
    quantum = f"s_q = {sq:g} ({_photons(sq)} photons per pixel)" if sq else ""
    electronic = f"s_e = {se:g} (sigma {_sigma(se)} of full scale)" if se else ""
    return " and ".join(filter(None, [quantum, electronic])) or "no noise"


def _cell_columns(cell: Cell) -> list[str]:
    sq, se = cell
    return [f"{sq:g}", f"{se:g}", _photons(sq), _sigma(se)]


def _number(value: float, form: str = ".3f") -> str:
    if not np.isfinite(value):
        return "–"
    # + 0.0: no minus before a zero
    return f"{round(value, int(form[-2])) + 0.0:{form}}"


def _interval(row: Any, form: str = ".3f") -> str:
    return f"{_number(row.value, form)} [{_number(row.lower, form)}, {_number(row.upper, form)}]"


def _p(p: float, equals: str = "") -> str:
    if np.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.001" if equals else "<0.001"
    return f"{equals}{p:.3f}" if p < 0.1 else f"{equals}{p:.2f}"
