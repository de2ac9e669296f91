"""Stress-test a trained model on a folder of films.

python -m cxr_noise_transforms.study.command.stress model.pt2 --films DIR --masks lungs=DIR
python -m cxr_noise_transforms.study.command.stress package.module:model --films DIR --labels CSV
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from torch.utils.data import DataLoader

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.devices import usable_device
from cxr_noise_transforms.study.evaluation.loading import load_model
from cxr_noise_transforms.study.evaluation.measures import MEASURES
from cxr_noise_transforms.study.evaluation.stress import (
    IMAGENET_C,
    MEDMNIST_C_CHEST,
    Cell,
    stress_test,
)
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films.folders import LabelledFolder, MaskedFolder
from cxr_noise_transforms.study.report.markdown import markdown, write_table
from cxr_noise_transforms.study.report.page import write_report_of_table
from cxr_noise_transforms.study.statistics.summaries import severity_table

from .options import count, run, say_written

_GRIDS = {"ladder": LADDER, "imagenet-c": IMAGENET_C, "medmnist-c": MEDMNIST_C_CHEST}


def main() -> None:
    """Measure, print the table, and say what was written where."""
    chosen = _arguments()
    start = time.monotonic()
    device = usable_device(chosen.device)
    dataset: MaskedFolder | LabelledFolder
    if chosen.masks:
        dataset = MaskedFolder(chosen.films, dict(chosen.masks), chosen.size, chosen.patients)
    else:
        classes = chosen.task == "multiclass"
        dataset = LabelledFolder(chosen.films, chosen.labels, chosen.size, classes=classes)
    labels = None if chosen.task == "multiclass" else dataset.labels
    model, content = load_model(chosen.model, device)
    print(f"{chosen.model}: {len(dataset)} films, {chosen.size} x {chosen.size}")
    table = stress_test(
        model,
        DataLoader(dataset, batch_size=chosen.batch_size, num_workers=chosen.workers),
        chosen.task,
        labels=labels,
        outputs=chosen.outputs,
        uncertain=chosen.uncertain,
        cells=chosen.cells,
        noise_seeds=range(chosen.noise_seeds),
        channels=chosen.channels,
        mean=chosen.mean,
        std=chosen.std,
        device=device,
        out=chosen.out / "cells",
        about={"network": Path(chosen.model).stem, "size": chosen.size, **content},
        cells_at_once=chosen.cells_at_once,
    )
    with whole_file(chosen.out / "per_image.csv") as beside:
        table.to_csv(beside, index=False)
    summary = severity_table(table, weights="given")
    about = {
        "Model": chosen.model,
        "Films": f"{len(dataset)} of {chosen.films}, {chosen.size} x {chosen.size}",
        "Made with": shlex.join(
            ["python", "-m", "cxr_noise_transforms.study.command.stress", *sys.argv[1:]]
        ),
    }
    title = f"{Path(chosen.model).stem} under noise"
    written = [
        chosen.out / "per_image.csv",
        *write_table(summary, chosen.out / "summary"),
        *write_report_of_table(chosen.out, table, title, about),
    ]
    print(markdown(summary))
    say_written(written, start)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m cxr_noise_transforms.study.command.stress",
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
    add("--task", choices=MEASURES)
    add("--outputs", choices=("logits", "probabilities"), help="what the model gives")
    add("--uncertain", choices=("ignore",), help="leave labels of -1 out, as missing ones are")
    add("--size", type=count, default=512, help="side of the films in pixels")
    add("--cells", nargs="+", default=["ladder"], metavar="GRID|SQ,SE",
        help=f"{', '.join(_GRIDS)}, or pairs such as 0,0 4,0 0,4")  # fmt: skip
    add("--noise-seeds", type=count, default=3, metavar="N", help="repetitions of the noise")
    add("--channels", type=count, default=1, help="expand the grey film to this many")
    add("--mean", type=float, nargs="+", default=[0.0], help="subtracted after the noise")
    add("--std", type=float, nargs="+", default=[1.0], help="divided by after the noise")
    add("--batch-size", type=count, default=8)
    add("--workers", type=int, default=0, help="loader processes")
    add("--cells-at-once", type=count, default=1, help="cells measured in one reading of the films")
    add("--device", help="torch device; default: CUDA where there is one")
    add("--out", type=Path, default=Path("runs") / "stress", help="folder of the results")
    chosen = parser.parse_args()
    chosen.task = chosen.task or ("segmentation" if chosen.masks else "multilabel")
    if chosen.task.startswith("segmentation") != bool(chosen.masks):
        parser.error("--task segmentation needs --masks, any other task --labels")
    chosen.cells = [cell for text in chosen.cells for cell in _cells(text, parser)]
    if (0.0, 0.0) not in chosen.cells:
        parser.error("--cells must have the clean cell 0,0")
    return chosen


def _named(text: str) -> tuple[str, Path]:
    label, _, folder = text.partition("=")
    if not label or not folder:
        raise argparse.ArgumentTypeError(f"must be LABEL=DIR, got {text}")
    return label, Path(folder)


def _cells(text: str, parser: argparse.ArgumentParser) -> list[Cell]:
    if text in _GRIDS:
        return list(_GRIDS[text])
    try:
        sq, se = (float(number) for number in text.split(","))
    except ValueError:
        parser.error(f"--cells must be {', '.join(_GRIDS)} or SQ,SE, got {text}")
    return [(sq, se)]


if __name__ == "__main__":
    run(main)
