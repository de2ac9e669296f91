"""Write the films of a folder with noise, and beside them the record of what was applied.

cxr-noise apply FILMS NOISY --sq 4 --seed 0
cxr-noise apply FILMS NOISY --sq 0,4 --se 0,1 --bits 8      a severity of its own for every film
cxr-noise apply FILMS NOISY --sq 4 --domain log --decades 2  counted in exposure, shown as its log

Films keep their size, their name and, as grey PNG, their 8 or 16 bits; others become 8-bit PNG.
DICOM films become DICOM with the same attributes and an identity of their own. A film's noise
belongs to its name and the seed. Nothing is overwritten; the same command goes on after an
interruption, and cxr-noise replay makes the same films again. Exits with 1 if a film could not be
made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from os import cpu_count
from pathlib import Path

from .arguments import count, severity
from .terminal import say_failed, say_written

_DOMAINS = ("display", "linear", "log")


def main(arguments: Sequence[str]) -> int:
    """Write the films, name those that could not be made, and say what was written where."""
    chosen = _arguments(arguments)
    start = time.monotonic()
    from cxr_noise_transforms.study.films import apply_noise

    applied = apply_noise(
        chosen.films,
        chosen.out,
        sq=chosen.sq,
        se=chosen.se,
        bits=chosen.bits,
        levels=chosen.levels,
        seed=chosen.seed,
        domain=chosen.domain,
        decades=chosen.decades,
        workers=chosen.workers,
    )
    say_failed(applied.failed)
    words = [
        f"{applied.films} films with noise in {chosen.out}",
        *([f"{applied.before} of them from before"] if applied.before else []),
        *([f"{len(applied.failed)} could not be made"] if applied.failed else []),
    ]
    print(", ".join(words))
    say_written([chosen.out / "applied.json"], start)
    return int(len(applied.failed) > 0)


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cxr-noise apply",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("films", type=Path, metavar="FILMS", help="folder of films, also in folders below")
    add("out", type=Path, metavar="NOISY", help="folder to write to")
    add(
        "--sq",
        type=severity,
        default=0.0,
        metavar="S|LOW,HIGH",
        help="quantum severity; default: 0",
    )
    add(
        "--se",
        type=severity,
        default=0.0,
        metavar="S|LOW,HIGH",
        help="electronic severity; default: 0",
    )
    add("--bits", type=count, help="digitise to 2^bits levels; default: the film's own")
    add("--levels", type=count, metavar="N",
        help="full scale of films that do not fill their files: 4095 for 12 bits")  # fmt: skip
    add("--seed", type=int, default=0, help="of the noise; default: 0")
    add("--domain", choices=_DOMAINS, help="of the photons; default: what DICOM says, or display")
    add("--decades", type=float, default=2.0, help="of the log domain, black to white; default: 2")
    add("--workers", type=count, default=cpu_count(), help="threads")
    chosen = parser.parse_args(arguments)
    if not (chosen.sq or chosen.se):
        parser.error("--sq or --se must be above 0")
    return chosen
