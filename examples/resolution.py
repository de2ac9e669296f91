"""Train a network on each of several film sizes, and measure each with the same photons per film.

Without arguments: two findings of an embedded chest phantom. With ``--data DIR``: ChestX-ray14, or
a folder laid out like it. Halving a film's side quarters its pixels, each with four times the
photons: resolution and dose are one plane. A second call resumes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cxr_noise_transforms import quantum_severity
from cxr_noise_transforms.study.command.arguments import count
from cxr_noise_transforms.study.command.options import (
    carry_out,
    films_of,
    parse,
    run,
    sweep_parser,
    sweep_settings,
)
from cxr_noise_transforms.study.command.terminal import say_written
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.table import LongTable, write_long_table

BUNDLE = Path(__file__).parent / "bundles" / "classification"
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "size": [64, 48, 32],
        "pretrained": "none",
        "epochs": 10,
        "swa_start": 8,
        "learning_rate": 1e-3,
        "batch_size": 16,
        "noise_seeds": 1,
        "phantoms": 160,
    },
}


def main() -> None:
    """Train and measure every size, and say what was written where."""
    data = "ChestX-ray14 or one laid out like it"
    parser = sweep_parser(__doc__, PROFILES, ["resnet18"], data, several_sizes=True)
    add = parser.add_argument
    add("--pair", default="Effusion / Edema", metavar="'A / B'", help="the second is positive")
    add("--pretrained", metavar="imagenet|none|FILE")
    add("--trainings", type=count, default=1, metavar="N",
        help="of every size; each has a seed and a split of its own")  # fmt: skip
    add("--photons", nargs="+", type=float, default=[1000.0, 100.0, 10.0],
        help="per pixel of the first size; other sizes get as many per film")  # fmt: skip
    chosen = parse(parser, PROFILES)
    start = time.monotonic()
    out = chosen.out or Path("runs") / "-".join(["resolution", *(["data"] if chosen.data else [])])
    sizes, tables = chosen.size, []
    for seed in range(chosen.seed, chosen.seed + chosen.trainings):
        for size in sizes:
            print(f"{chosen.pair}, {films_of(chosen)}, size {size}, training {seed}")
            chosen.size, chosen.seed = size, seed
            settings = sweep_settings(chosen)
            settings["training"]["pretrained"] = chosen.pretrained
            sweep = Sweep(
                bundle=BUNDLE,
                out=out / f"{size}px-seed{seed}",
                task=chosen.pair,
                measure="binary",
                labels=[chosen.pair.split("/")[-1].strip()],
                cells=cells(chosen.photons, size / sizes[0]),
                **{**settings, "options": {**settings["options"], "pair": chosen.pair}},
            )
            table = carry_out(sweep, chosen)
            if table is not None:
                rows = table.frame()
                names = rows.network.astype(str) + f" {size} px"
                tables.append(LongTable.of(rows.assign(network=names)))
    if tables:
        say_written(write_long_table(out, LongTable.joined(tables), csv=chosen.csv), start)


def cells(photons: list[float], side: float) -> list[tuple[float, float]]:
    """The clean cell, and one per number of photons that a pixel of side 1 gets."""
    return [(0.0, 0.0), *((float(quantum_severity(n * side**-2)), 0.0) for n in photons)]


if __name__ == "__main__":
    run(main)
