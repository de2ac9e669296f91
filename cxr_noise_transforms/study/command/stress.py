"""Stress-test a trained model on a folder of films.

cxr-noise stress model.pt2 --films DIR --masks lungs=DIR heart=DIR
cxr-noise stress package.module:model --films DIR --labels labels.csv
"""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import count
from .ladders import add_ladder, cells_of, dose_words, normal_dose
from .terminal import say_written

if TYPE_CHECKING:
    import torch

    from cxr_noise_transforms.study.films import LabelledFolder, MaskedFolder
    from cxr_noise_transforms.study.table import LongTable

_TASKS = ("segmentation", "segmentation-distance", "binary", "multilabel", "multiclass")
_GRIDS = ("ladder", "imagenet-c", "medmnist-c")
# grids with kinds of noise of their own
_KINDS = ("equal-variance", "bands")


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, and say what was written where."""
    chosen = _arguments(arguments)
    start = time.monotonic()
    from cxr_noise_transforms.study.devices import usable_device
    from cxr_noise_transforms.study.processes import joined
    from cxr_noise_transforms.study.report.answers import headline
    from cxr_noise_transforms.study.report.findings import find
    from cxr_noise_transforms.study.report.markdown import markdown, write_table
    from cxr_noise_transforms.study.report.page import write_report_of_findings
    from cxr_noise_transforms.study.report.subgroups import subgroup_words
    from cxr_noise_transforms.study.statistics.summaries import severity_table
    from cxr_noise_transforms.study.table import write_long_table

    with joined():
        device = usable_device(chosen.device)
        films = _films(chosen)
        print(f"{chosen.model}: {len(films)} films, {chosen.size} x {chosen.size}")
        print(dose_words(chosen))
        table = _measure(chosen, films, device)
        summary, dose = severity_table(table, weights="given"), normal_dose(chosen)
        about = {
            "Model": chosen.model,
            "Films": f"{len(films)} of {chosen.films}, {chosen.size} x {chosen.size}",
            "Dose": dose_words(chosen),
            "Made with": shlex.join(["cxr-noise", "stress", *arguments]),
        }
        title = f"{_name(chosen.model)} under noise"
        findings = find(table, normal_dose=dose, groups=_columns(chosen))
        written = [
            *write_long_table(chosen.out, table, csv=chosen.csv),
            *write_table(summary, chosen.out / "summary"),
            *write_report_of_findings(chosen.out, findings, title, about),
        ]
    print(markdown(summary))
    print(*headline(findings), *subgroup_words(findings), sep="\n")
    say_written(written, start)
    return 0


def _films(chosen: argparse.Namespace) -> MaskedFolder | LabelledFolder:
    from cxr_noise_transforms.study.films import LabelledFolder, MaskedFolder

    about = {"levels": chosen.levels, "groups": chosen.groups, "readings": chosen.readings}
    if chosen.masks:
        return MaskedFolder(chosen.films, dict(chosen.masks), chosen.size, chosen.patients, **about)
    classes = chosen.task == "multiclass"
    return LabelledFolder(chosen.films, chosen.labels, chosen.size, classes=classes, **about)


def _columns(chosen: argparse.Namespace) -> list[str]:
    """The groups' names: the folder has cut their numbers."""
    return [name.partition("=")[0].strip() for name in chosen.groups]


def _measure(
    chosen: argparse.Namespace, films: MaskedFolder | LabelledFolder, device: torch.device
) -> LongTable:
    from torch.utils.data import DataLoader

    from cxr_noise_transforms import LADDER
    from cxr_noise_transforms.study import IMAGENET_C, MEDMNIST_C_CHEST
    from cxr_noise_transforms.study.evaluation.grid import (
        BAND_CELLS,
        BAND_NOISES,
        EQUAL_VARIANCE,
        RMS_LADDER,
    )
    from cxr_noise_transforms.study.evaluation.loading import load_model
    from cxr_noise_transforms.study.evaluation.stressing import stress_cells

    named = (LADDER, IMAGENET_C, MEDMNIST_C_CHEST, RMS_LADDER, BAND_CELLS)
    grids = dict(zip((*_GRIDS, *_KINDS), named, strict=True))
    kinds = dict(zip(_KINDS, (EQUAL_VARIANCE, BAND_NOISES), strict=True))
    model, content = load_model(chosen.model, device)
    front_end = None
    if chosen.front_end:
        front_end, known = load_model(chosen.front_end, device)
        content |= {"front_end": next(iter(known.values()), chosen.front_end)}
    return stress_cells(
        model,
        DataLoader(films, batch_size=chosen.batch_size, num_workers=chosen.workers),
        chosen.task,
        labels=None if chosen.task == "multiclass" else films.labels,
        outputs=chosen.outputs,
        uncertain=chosen.uncertain,
        groups=_columns(chosen),
        cells=cells_of(chosen)
        if chosen.ladder
        else [cell for one in chosen.cells for cell in grids.get(one, [one])],
        noise_seeds=range(chosen.noise_seeds),
        degradations=kinds.get(chosen.cells[0], chosen.degradations),
        front_end=front_end,
        channels=chosen.channels,
        mean=chosen.mean,
        std=chosen.std,
        device=device,
        out=chosen.out / "cells",
        about={"network": _name(chosen.model), "size": chosen.size, **content},
        cells_at_once=chosen.cells_at_once,
    )


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cxr-noise stress",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "model",
        help="file of torch.export (.pt2), or of TorchScript, or module:name of a callable",
    )
    add("--films", type=Path, required=True, metavar="DIR")
    truth = parser.add_mutually_exclusive_group(required=True)
    truth.add_argument("--masks", nargs="+", type=_named, metavar="LABEL=DIR")
    truth.add_argument("--labels", type=Path, metavar="CSV", help="columns image and labels")
    add("--patients", type=Path, metavar="CSV", help="with --masks: columns image and patient")
    add("--task", choices=_TASKS, help="default: segmentation with --masks, else multilabel")
    add("--outputs", choices=("logits", "probabilities"), help="what the model gives")
    add("--uncertain", choices=("ignore",), help="leave labels of -1 out, as missing ones are")
    add("--groups", nargs="+", default=[], metavar="NAME",
        help="columns of --readings whose groups are compared, as sex or age=40,60")  # fmt: skip
    add("--readings", type=Path, metavar="CSV",
        help="a row per film; default: the CSV of --labels or --patients")  # fmt: skip
    add("--size", type=count, default=512, help="side of the films in pixels")
    add("--levels", type=count, metavar="N",
        help="full scale of films that do not fill their files: 4095 for 12 bits")  # fmt: skip
    add_ladder(parser, default=None)
    add("--cells", nargs="+", default=["ladder"], metavar="GRID|SQ,SE",
        help=f"{', '.join(_GRIDS)}, or pairs such as 0,0 4,0 0,4; or alone {' or '.join(_KINDS)}, "
        "which compare noises of one RMS")  # fmt: skip
    add("--noise-seeds", type=count, default=3, metavar="N", help="repetitions of the noise")
    add("--degradations", nargs="+", default=["none"], metavar="NAME",
        help="before the noise, in every cell: none, contrast=0.5, resolution=2; or in its place, "
        "in cells 0,SE: quantum, band=3")  # fmt: skip
    add("--front-end", metavar="MODEL", help="what noisy films pass first, such as a denoiser")
    add("--channels", type=count, default=1, help="expand the grey film to this many")
    add("--mean", type=float, nargs="+", default=[0.0], help="subtracted after the noise")
    add("--std", type=float, nargs="+", default=[1.0], help="divided by after the noise")
    add("--batch-size", type=count, default=8)
    add("--workers", type=int, default=0, help="loader processes")
    add("--cells-at-once", type=count, default=1, help="cells measured in one reading of the films")
    add("--device", help="torch device; default: CUDA where there is one")
    add("--csv", action="store_true", help="write per_image.csv beside per_image.parquet")
    add("--out", type=Path, default=Path("runs") / "stress", help="folder of the results")
    chosen = parser.parse_args(arguments)
    chosen.task = chosen.task or ("segmentation" if chosen.masks else "multilabel")
    if chosen.ladder and chosen.cells != ["ladder"]:
        parser.error("--ladder and --cells both name severities: give one of them")
    if chosen.task.startswith("segmentation") != bool(chosen.masks):
        parser.error("--task segmentation needs --masks, any other task --labels")
    chosen.cells = [_cell(text, parser) for text in chosen.cells]
    if set(_KINDS) & set(chosen.cells) and (len(chosen.cells), chosen.degradations) != (
        1,
        ["none"],
    ):
        parser.error(f"--cells {' and '.join(_KINDS)} come alone, and without --degradations")
    if not {(0.0, 0.0), *_GRIDS, *_KINDS} & set(chosen.cells):
        parser.error("--cells must have the clean cell 0,0")
    return chosen


def _named(text: str) -> tuple[str, Path]:
    label, _, folder = text.partition("=")
    if not label or not folder:
        raise argparse.ArgumentTypeError(f"must be LABEL=DIR, got {text}")
    return label, Path(folder)


def _cell(text: str, parser: argparse.ArgumentParser) -> str | tuple[float, float]:
    if text in (*_GRIDS, *_KINDS):
        return text
    try:
        sq, se = (float(number) for number in text.split(","))
    except ValueError:
        parser.error(f"--cells must be {', '.join((*_GRIDS, *_KINDS))} or SQ,SE, got {text}")
    return sq, se


def _name(model: str) -> str:
    return model if ":" in model else Path(model).stem
