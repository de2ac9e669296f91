"""Does training with noise help, and does something cheaper? Train, measure, answer in words.

Without arguments: lungs of an embedded chest phantom, a few minutes on a CPU. With ``--data DIR``:
the Landmark dataset, or, with a pair of findings as task, ChestX-ray14. A second call resumes.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms.study.command.arguments import count
from cxr_noise_transforms.study.command.options import (
    films_of,
    parse,
    run,
    sweep_parser,
    sweep_settings,
)
from cxr_noise_transforms.study.command.terminal import say_written
from cxr_noise_transforms.study.evaluation.hardening import NOISES, Hardening
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.films import ORGANS
from cxr_noise_transforms.study.report.hardened import arm_table, find_hardened, verdicts
from cxr_noise_transforms.study.report.hardening import write_hardening
from cxr_noise_transforms.study.report.markdown import markdown
from cxr_noise_transforms.study.table import long_tables

BUNDLES = Path(__file__).parent / "bundles"
SEGMENTATION = ("Unet", "DeepLabV3", "FPN")
CLASSIFICATION = ("resnet34", "densenet121", "efficientnet_b0")
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "size": 64,
        "encoder": "resnet18",
        "weights": "none",
        "epochs": 8,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "noise_seeds": 1,
        "phantoms": 100,
        "trainings": 1,
        "films": ["8", "all"],
        "denoiser_epochs": 8,
        "noises": ["clean", "ladder"],
    },
    "full": {
        "size": 512,
        "encoder": "resnet34",
        "weights": "imagenet",
        "epochs": 100,
        "learning_rate": 1e-4,
        "batch_size": 8,
        "noise_seeds": 3,
        "phantoms": 1000,
        "trainings": 3,
        "films": ["8", "32", "all"],
        "denoiser_epochs": 20,
        "noises": list(NOISES),
    },
}


def main() -> None:
    """Run all arms, print the answers, and say what was written where."""
    chosen = _arguments()
    start = time.monotonic()
    hardening = Hardening(
        _sweep(chosen),
        chosen.arch,
        chosen.trainings,
        chosen.noises,
        [None if films == "all" else int(films) for films in chosen.films],
        chosen.denoiser_epochs,
    )
    print(f"{chosen.task}, {films_of(chosen)}, {chosen.size} x {chosen.size}")
    if chosen.train_only:
        hardening.train()
        return
    one = find_hardened(hardening.run())
    print(f"\nMean over {', '.join(chosen.arch)}; * p < 0.05 after Holm\n")
    header, rows = arm_table(one)
    print(markdown(pd.DataFrame(rows, columns=header)))
    print(*(f"{lead}: {sentence}" for lead, sentence in verdicts(one)), sep="\n")
    out = hardening.sweep.out
    about = json.loads((out / "run.json").read_text())
    repeat = shlex.join(["python", *sys.argv])
    title = f"{chosen.task}, hardened: {films_of(chosen)}"
    written = [
        *long_tables(out, csv=chosen.csv),
        out / "run.json",
        *write_hardening(one, hardening, title, about, repeat),
    ]
    if not chosen.data:
        print("Phantoms demonstrate the pipeline; they say nothing about patients.")
    say_written(written, start)


def _arguments() -> argparse.Namespace:
    parser = sweep_parser(__doc__, PROFILES, SEGMENTATION, "the task's dataset")
    add = parser.add_argument
    add("--task", default="lungs", help="lungs, heart, lungs-heart, or a pair such as 'A / B'")
    add("--trainings", type=count, help="of every network, on one split")
    add("--noises", nargs="+", choices=NOISES, help="what is trained with, beside clean films")
    add("--films", nargs="+", type=_films, metavar="N|all",
        help="validation films that batch normalisation is re-estimated from")  # fmt: skip
    add("--denoiser-epochs", type=int, help="0 leaves the denoiser out")
    add("--encoder", help="of segmentation networks, of smp")
    add("--weights", metavar="imagenet|none|FILE", help="of the encoder, or of the classifier")
    chosen = parse(parser, PROFILES)
    if chosen.task not in ORGANS and chosen.arch == list(SEGMENTATION):
        chosen.arch = list(CLASSIFICATION)
    if "clean" not in chosen.noises:
        chosen.noises = ["clean", *chosen.noises]
    if chosen.share != (0, 1):
        parser.error("--share cannot be used here: a hardening is measured by one process")
    if chosen.task not in ORGANS and "/" not in chosen.task:
        parser.error(f"--task must be {', '.join(ORGANS)} or 'A / B', got {chosen.task}")
    return chosen


def _sweep(chosen: argparse.Namespace) -> Sweep:
    settings = sweep_settings(chosen)
    settings["training"]["swa_start"] = None
    folder = ["harden", *chosen.task.lower().replace("/", " ").split(), chosen.profile]
    out = chosen.out or Path("runs") / "-".join([*folder, *(["data"] if chosen.data else [])])
    if chosen.task in ORGANS:
        settings["options"] |= {
            "organs": chosen.task,
            "source": None,
            "leave_out": None,
            "encoder": chosen.encoder,
        }
        settings["training"]["encoder_weights"] = chosen.weights
        kind, measure, labels = "segmentation", "segmentation", ORGANS[chosen.task]
    else:
        settings["options"] |= {"pair": chosen.task, "test_list": None, "with_others": False}
        settings["training"]["pretrained"] = chosen.weights
        kind, measure, labels = "classification", "binary", [chosen.task.split("/")[-1].strip()]
    return Sweep(BUNDLES / kind, out, chosen.task, measure, labels, **settings)


def _films(text: str) -> str:
    if text != "all" and not (text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a number of films or all, got {text}")
    return text


if __name__ == "__main__":
    run(main)
