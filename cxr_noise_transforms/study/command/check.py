"""Check the films of a data folder before they are used, and write their split as a MONAI datalist.

cxr-noise check DIR      a data set, or a folder of films: what DICOM headers say is printed
cxr-noise check DIR --organs lungs-heart --out split.json      of the Landmark dataset
cxr-noise check DIR --pair "Effusion / Edema" --out split.json      of ChestX-ray14
cxr-noise check DIR --out split.json      of CheXpert, its five findings

Exits with 1 if something must be mended.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import count
from .terminal import say_written

if TYPE_CHECKING:
    from cxr_noise_transforms.study.films.splits import Split

_ORGANS = ("lungs", "heart", "lungs-heart")
_NAMES = {
    "landmark": "the Landmark dataset",
    "chestxray14": "ChestX-ray14",
    "chexpert": "CheXpert",
}


def main(arguments: Sequence[str]) -> int:
    """Print the report and write the datalist; 1 if something must be mended, otherwise 0."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    start = time.monotonic()
    from cxr_noise_transforms.study.films.check import Report, check, datalist, layout_of

    report, parts = Report(), None
    try:
        layout = layout_of(chosen.data_dir)
        _check_task(chosen, parser, layout)
        report = check(
            chosen.data_dir, seed=chosen.seed, workers=chosen.workers, levels=chosen.levels
        )
        if not report.problems and (chosen.out or chosen.organs or chosen.pair):
            organs = (chosen.organs or "lungs") if layout == "landmark" else None
            parts = datalist(_split(chosen, organs), organs)
            sizes = ", ".join(f"{part} {len(films)}" for part, films in parts.items())
            report.facts.append(f"{organs or chosen.pair or 'five findings'}: {sizes}")
    except (OSError, ValueError) as error:
        report.problems.append(str(error))
    print(report)
    if chosen.out and parts:
        from cxr_noise_transforms.study.files import whole_file

        with whole_file(chosen.out) as beside:
            beside.write_text(json.dumps(parts, indent=1))
        say_written([chosen.out], start)
    elif chosen.out:
        print(f"{chosen.out} is not written")
    return int(len(report.problems) > 0)


def _check_task(chosen: argparse.Namespace, parser: argparse.ArgumentParser, layout: str) -> None:
    if layout == "films" and (chosen.pair or chosen.organs or chosen.out):
        parser.error("DIR holds films alone: there is no task to split them for")
    if chosen.pair and layout != "chestxray14":
        instead = ": use --organs" if layout == "landmark" else ", whose films need no option"
        parser.error(f"--pair is for ChestX-ray14, DIR holds {_NAMES[layout]}{instead}")
    if chosen.organs and layout != "landmark":
        instead = ": use --pair" if layout == "chestxray14" else ", whose films need no option"
        parser.error(f"--organs is for the Landmark dataset, DIR holds {_NAMES[layout]}{instead}")
    if chosen.out and layout == "chestxray14" and not chosen.pair:
        parser.error("--out needs --pair: the films of which findings?")


def _split(chosen: argparse.Namespace, organs: str | None) -> Split:
    from cxr_noise_transforms.study.films import (
        chexpert_films,
        classification_films,
        segmentation_films,
        split_by_patient,
    )

    root, seed = chosen.data_dir, chosen.seed
    if organs is not None:
        return split_by_patient(segmentation_films(root, organs), seed, by="source")
    if chosen.pair is None:
        return split_by_patient(chexpert_films(root), seed, leave_out="valid")
    films = classification_films(root, chosen.pair, with_others=chosen.with_others)
    return split_by_patient(films, seed, by="label")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cxr-noise check",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data_dir", metavar="DIR", type=Path,
        help="Landmark dataset, ChestX-ray14, CheXpert, or films")  # fmt: skip
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--organs", choices=_ORGANS, help="task on the Landmark dataset")
    task.add_argument("--pair", metavar="'A / B'", help="task on ChestX-ray14: two findings")
    add("--with-others", action="store_true", help="the pair's films may show other findings too")
    add("--out", type=Path, metavar="FILE", help="MONAI datalist to write: the task's split")
    add("--seed", type=int, default=0, help="of the split")
    add("--levels", type=count, metavar="N",
        help="full scale of films that do not fill their files: 4095 for 12 bits")  # fmt: skip
    add("--workers", type=count, default=cpu_count(), help="threads that read films")
    return parser
