"""What the command lines of the example sweeps have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.processes import joined, rank
from cxr_noise_transforms.study.table import LongTable

from .arguments import count
from .ladders import add_ladder, cells_of
from .terminal import in_sentences

Profiles = Mapping[str, Mapping[str, Any]]


def sweep_parser(
    description: str | None,
    profiles: Profiles,
    networks: Sequence[str],
    dataset: str,
    *,
    several_sizes: bool = False,
) -> argparse.ArgumentParser:
    """A parser with the options of every sweep; the first profile is the default.

    With ``several_sizes`` its size is a list, and there is no ladder: a dose is another severity at
    every size.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help=f"folder of {dataset}; default: phantoms")
    add(
        "--arch", nargs="+", default=list(networks), help=f"networks; default: {' '.join(networks)}"
    )
    add("--profile", choices=profiles, default=next(iter(profiles)), help="defaults of the rest")
    add("--size", type=count, nargs="+" if several_sizes else None, metavar="N",
        help="side of the films in pixels; each of several has trainings of its own")  # fmt: skip
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
    if not several_sizes:
        add_ladder(parser)
    add("--cells-at-once", type=count, default=1, metavar="N",
        help="cells measured in one reading of the films")  # fmt: skip
    add("--share", type=_share, metavar="I/N", default=(0, 1),
        help="measure only this share of the cells, from 0/N, and write no tables")  # fmt: skip
    add("--train-only", action="store_true", help="measure nothing")
    add("--csv", action="store_true", help="write per_image.csv beside per_image.parquet")
    add("--device", help="torch device; default: CUDA where there is one")
    add("--out", type=Path, help="folder of the results; default: below runs")
    return parser


def parse(
    parser: argparse.ArgumentParser, profiles: Profiles, multiple: int = 1
) -> argparse.Namespace:
    """The command line, checked; what is not given comes from the profile.

    Args:
        parser: from :func:`sweep_parser`.
        profiles: the defaults by name.
        multiple: what divides the size of films that the networks take.
    """
    chosen = parser.parse_args()
    for name, value in profiles[chosen.profile].items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    _check_sizes(parser, chosen.size if isinstance(chosen.size, list) else [chosen.size], multiple)
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
        **({"cells": cells_of(chosen)} if "ladder" in chosen else {}),
        "noise_seeds": range(chosen.noise_seeds),
        "cells_at_once": chosen.cells_at_once,
        "share": chosen.share,
        "csv": chosen.csv,
    }


def carry_out(sweep: Sweep, chosen: argparse.Namespace) -> LongTable | None:
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


def _check_sizes(parser: argparse.ArgumentParser, sizes: Sequence[int], multiple: int) -> None:
    for size in sizes:
        if size < 32 or size % multiple:
            must = f"a multiple of {multiple}" if multiple > 1 else "at least 32"
            parser.error(f"--size must be {must}, got {size}")
    if len(set(sizes)) < len(sizes):
        parser.error(f"--size must name each size once, got {' '.join(map(str, sizes))}")


def _share(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    number, shares = int(first), int(second)
    if not 0 <= number < shares:
        raise argparse.ArgumentTypeError(f"must be I/N with I from 0 to N - 1, got {text}")
    return number, shares
