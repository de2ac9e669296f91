"""Write the films of a folder with noise, and beside them the record of what was applied.

cxr-noise apply FILMS NOISY --sq 4 --seed 0
cxr-noise apply FILMS NOISY --sq 0,4 --se 0,1 --bits 8      a severity of its own for every film
cxr-noise apply FILMS AGAIN --replay NOISY/applied.json      the same films again, bit for bit

Films keep their size, their name and, as grey PNG, their 8 or 16 bits; others become 8-bit PNG. A
film's noise belongs to its name and the seed. Full scale is 255 or 65535: stretch 12-bit films
before. Nothing is overwritten; the same command goes on after an interruption. Exits with 1 if a
film could not be made.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import count, severity
from .terminal import say_written

if TYPE_CHECKING:
    from cxr_noise_transforms.study.films.noisy import Applied


def main(arguments: Sequence[str]) -> int:
    """Write the films, name those that could not be made, and say what was written where."""
    chosen = _arguments(arguments)
    start = time.monotonic()
    applied = _apply(chosen)
    for sentence in applied.failed:
        print(f"error: {sentence}", file=sys.stderr)
    words = [
        f"{applied.films} films with noise in {chosen.out}",
        *([f"{applied.before} of them from before"] if applied.before else []),
        *([f"{len(applied.failed)} could not be made"] if applied.failed else []),
    ]
    print(", ".join(words))
    say_written([chosen.out / "applied.json"], start)
    return int(len(applied.failed) > 0)


def _apply(chosen: argparse.Namespace) -> Applied:
    from cxr_noise_transforms.study.films import apply_noise, replay_noise

    if chosen.replay:
        return replay_noise(chosen.films, chosen.out, chosen.replay, workers=chosen.workers)
    return apply_noise(
        chosen.films,
        chosen.out,
        sq=chosen.sq or 0.0,
        se=chosen.se or 0.0,
        bits=chosen.bits,
        levels=chosen.levels,
        seed=chosen.seed or 0,
        workers=chosen.workers,
    )


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cxr-noise apply",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("films", type=Path, metavar="FILMS", help="folder of films, also in folders below")
    add("out", type=Path, metavar="NOISY", help="folder to write to")
    add("--sq", type=severity, metavar="S|LOW,HIGH", help="quantum severity; default: 0")
    add("--se", type=severity, metavar="S|LOW,HIGH", help="electronic severity; default: 0")
    add("--bits", type=count, help="digitise to 2^bits levels; default: the film's own")
    add("--levels", type=count, metavar="N",
        help="full scale of films that do not fill their files: 4095 for 12 bits")  # fmt: skip
    add("--seed", type=int, help="of the noise; default: 0")
    add("--replay", type=Path, metavar="FILE", help="record that has all of the above")
    add("--workers", type=count, default=cpu_count(), help="threads")
    chosen = parser.parse_args(arguments)
    settings = (chosen.sq, chosen.se, chosen.bits, chosen.levels, chosen.seed)
    if chosen.replay and settings != (None,) * 5:
        parser.error("--replay FILE holds sq, se, bits, levels and seed: leave their options out")
    if not (chosen.replay or chosen.sq or chosen.se):
        parser.error("--sq or --se must be above 0, or --replay given")
    return chosen
