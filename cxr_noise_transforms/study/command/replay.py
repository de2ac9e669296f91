"""Make films with noise again from the record beside them, and say whether they come out the same.

cxr-noise replay NOISY/applied.json                          compares, and writes what is missing
cxr-noise replay NOISY/applied.json --films FILMS --out AGAIN

The record knows films and noise by their digests. Nothing is overwritten. Exits with 1 if a film is
another one, or has other noise than the record says.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from os import cpu_count
from pathlib import Path

from .arguments import count
from .terminal import say_failed, say_written


def main(arguments: Sequence[str]) -> int:
    """Make the films, name those that come out otherwise, and say how many do not."""
    parser = argparse.ArgumentParser(
        prog="cxr-noise replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("record", type=Path, metavar="FILE", help="applied.json beside films with noise")
    add("--films", type=Path, help="folder of the films without noise; default: where they were")
    add("--out", type=Path, help="folder to write to; default: the record's own")
    add("--workers", type=count, default=cpu_count(), help="threads")
    chosen = parser.parse_args(arguments)
    start = time.monotonic()
    from cxr_noise_transforms.study.films import replay_noise

    out = chosen.out or chosen.record.parent
    replayed = replay_noise(chosen.record, chosen.films, out, workers=chosen.workers)
    say_failed(replayed.failed)
    same = replayed.films - replayed.before
    print(f"{same} films in {out} are bit for bit what {chosen.record} says")
    say_written([out / "applied.json"], start)
    return int(len(replayed.failed) > 0)
