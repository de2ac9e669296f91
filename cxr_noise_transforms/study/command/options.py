"""What the command lines of the example sweeps have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.processes import joined, rank

from .arguments import count
from .ladders import add_ladder, cells_of
from .terminal import in_sentences

Profiles = Mapping[str, Mapping[str, Any]]


def sweep_parser(
    description: str | None, profiles: Profiles, networks: Sequence[str], dataset: str
) -> argparse.ArgumentParser:
    """A parser with the options of every sweep; the first profile is the default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help=f"folder of {dataset}; default: phantoms")
    add(
        "--arch", nargs="+", default=list(networks), help=f"networks; default: {' '.join(networks)}"
    )
    add("--profile", choices=profiles, default=next(iter(profiles)), help="defaults of the rest")
    add("--size", type=count, help="side of the films in pixels, a multiple of 32")
    add("--levels", type=count, metavar="N",
        help="full scale of films that do not fill their files: 4095 for 12 bits")  # fmt: skip
    add("--epochs", type=count, help="at most; training stops early")
    add("--learning-rate", type=float)
    add("--swa-start", type=count, metavar="EPOCH", help="first epoch of the weight average")
    add("--noise-seeds", type=count, metavar="N", help="repetitions of the noise")
    add("--batch-size", type=count)
    add("--phantoms", type=count, help="phantom films, without --data")
    add("--cache", metavar="memory|none|DIR", default="memory", help="where films read are kept")
    add("--workers", type=int, default=0, help="loader processes")
    add("--seed", type=int, default=0, help="of split and training, 0 to 2**32 - 1")
    add_ladder(parser)
    add("--cells-at-once", type=count, default=1, metavar="N",
        help="cells measured in one reading of the films")  # fmt: skip
    add("--share", type=_share, metavar="I/N", default=(0, 1),
        help="measure only this share of the cells, from 0/N, and write no tables")  # fmt: skip
    add("--train-only", action="store_true", help="measure nothing")
    add("--device", help="torch device; default: CUDA where there is one")
    add("--out", type=Path, help="folder of the results; default: below runs")
    return parser


def parse(parser: argparse.ArgumentParser, profiles: Profiles) -> argparse.Namespace:
    """The command line, checked; what is not given comes from the profile."""
    chosen = parser.parse_args()
    for name, value in profiles[chosen.profile].items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    if chosen.size % 32:
        parser.error(f"--size must be a multiple of 32, got {chosen.size}")
    if not 0 <= chosen.seed < 2**32:
        parser.error(f"--seed must be from 0 to 2**32 - 1, got {chosen.seed}")
    if not 0 < chosen.learning_rate <= 1:
        parser.error(f"--learning-rate must be above 0 and at most 1, got {chosen.learning_rate}")
    if len({name.lower() for name in chosen.arch}) < len(chosen.arch):
        parser.error(f"--arch must name each network once, got {' '.join(chosen.arch)}")
    if chosen.device:
        try:
            torch.empty(0, device=chosen.device)
        except (AssertionError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            parser.error(f"--device {chosen.device} cannot be used here: {reason}")
    return chosen


def sweep_settings(chosen: argparse.Namespace) -> dict[str, Any]:
    """What every sweep takes from the command line, its ``options`` and ``training`` too."""
    options = {
        "dataset_dir": str(chosen.data) if chosen.data else None,
        "size": chosen.size,
        "levels": chosen.levels,
        "phantoms": chosen.phantoms,
        "seed": chosen.seed,
    }
    training = {
        "epochs": chosen.epochs,
        "swa_start": chosen.swa_start,
        "learning_rate": chosen.learning_rate,
        "batch_size": chosen.batch_size,
    }
    return {
        "options": options,
        "training": training,
        "loading": {"cache": chosen.cache, "num_workers": chosen.workers},
        "device": chosen.device,
        "cells": cells_of(chosen),
        "noise_seeds": range(chosen.noise_seeds),
        "cells_at_once": chosen.cells_at_once,
        "share": chosen.share,
    }


def carry_out(sweep: Sweep, chosen: argparse.Namespace) -> pd.DataFrame | None:
    """Run a sweep as far as the command line asks; its table where this process is to show it."""
    if chosen.train_only:
        sweep.train(chosen.arch)
        return None
    table = sweep.run(chosen.arch)
    return table if chosen.share == (0, 1) and rank() == 0 else None


def films_of(chosen: argparse.Namespace) -> str:
    """The films in words."""
    if chosen.data:
        return f"films of {chosen.data.resolve().name}"
    return f"{chosen.phantoms} phantoms"


def run(main: Callable[[], None]) -> None:
    """Run a script's ``main``, in one process or in each that ``torchrun`` started."""
    with in_sentences(), joined():
        main()


def _share(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    number, shares = int(first), int(second)
    if not 0 <= number < shares:
        raise argparse.ArgumentTypeError(f"must be I/N with I from 0 to N - 1, got {text}")
    return number, shares
