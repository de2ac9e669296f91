"""Ten million rows, from cell files to a report: ``python -m benchmarks.million_rows``.

A made-up sweep of two networks: as many films as the test list of ChestX-ray14, its 14 findings at
their shares of all films, the 14 cells of the ladder, scores that lose what they know as the noise
rises. Each part runs in a process of its own, whose seconds and peak of resident memory are told by
the operating system. The result is ``results/rows-cpu.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.evaluation.cells import CellStore
from cxr_noise_transforms.study.evaluation.grid import Measurement
from cxr_noise_transforms.study.table import LongTable, write_long_table

from .machine import RESULTS, ROOT, provenance

NETWORKS = ("densenet121", "resnet34")
# films of the official test list, their patients, and findings among all 112,120 films
FILMS, PATIENTS, EVERY = 25_596, 2_797, 112_120
FINDINGS = {
    "Atelectasis": 11_559, "Cardiomegaly": 2_776, "Consolidation": 4_667, "Edema": 2_303,
    "Effusion": 13_317, "Emphysema": 2_516, "Fibrosis": 1_686, "Hernia": 227,
    "Infiltration": 19_894, "Mass": 5_782, "Nodule": 6_331, "Pleural_Thickening": 3_385,
    "Pneumonia": 1_431, "Pneumothorax": 5_302,
}  # fmt: skip
PARTS = {
    "cells": "write one file per cell",
    "table": "collect them in one file",
    "report": "cxr-noise report: statistics over patients, HTML and Markdown",
}


def main(arguments: list[str] | None = None) -> None:
    """Run all parts, or the one that is named, and write the result."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million_rows", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few films: does it run at all?")
    parser.add_argument("--out", type=Path, default=RESULTS / "rows-cpu.json")
    parser.add_argument("--part", choices=("cells", "table"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    films = 60 if options.quick else FILMS
    if options.part:
        {"cells": write_cells, "table": collect}[options.part](options.folder, films)
        return
    with TemporaryDirectory() as folder:
        result = measured(Path(folder), films, quick=options.quick)
    text = json.dumps(result).replace('{"kind"', '\n{"kind"')
    options.out.write_text(text + "\n", encoding="utf-8")
    print(text, f"wrote {options.out}", sep="\n")


def measured(folder: Path, films: int, *, quick: bool) -> dict[str, Any]:
    """Every part, one after the other, with the load of the machine before each."""
    own = [sys.executable, "-m", "benchmarks.million_rows", "--folder", str(folder)]
    own += ["--quick"] if quick else []
    table, load = folder / "per_image.parquet", os.getloadavg()[0]
    verb = [sys.executable, "-m", "cxr_noise_transforms.study", "report", str(table)]
    commands = {
        "cells": [*own, "--part", "cells"],
        "table": [*own, "--part", "table"],
        "report": [*verb, "--out", str(folder / "report")],
    }
    parts = [
        {"kind": "rows", "part": part, "what": PARTS[part], **run(command)}
        for part, command in commands.items()
    ]
    cells = list((folder / "cells").glob("*/*.parquet"))
    one = rows_of(NETWORKS[0], Measurement(*LADDER[0], 0), films)
    return {
        **provenance(["numba", "pandas", "pyarrow"]),
        "load": round(load, 2),
        "quick": quick,
        "table": {
            "rows": len(one) * len(cells),
            "films": films,
            "patients": one.patient.nunique(),
            "labels": len(FINDINGS),
            "cells": len(LADDER),
            "networks": len(NETWORKS),
            "resamples": 1000,
            "bytes_of_cell_files": sum(path.stat().st_size for path in cells),
            "bytes_of_table": table.stat().st_size,
            "bytes_as_csv": len(one.to_csv(index=False, header=False).encode()) * len(cells),
            "bytes_in_memory": int(LongTable.of(one).frame().memory_usage(index=False).sum()),
        },
        "rows": parts,
    }


# a process begins with the peak of who starts it, so this small one does
_LAUNCH = """
import json, resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
# Linux tells KiB
print(json.dumps({
    "seconds": round(time.monotonic() - start, 1),
    "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
    "peak_bytes": used.ru_maxrss * 1024,
}))
"""


def run(command: Sequence[str]) -> dict[str, Any]:
    """A command in a process of its own: seconds, seconds of the processor, and peak memory."""
    load = os.getloadavg()[0]
    launch = [sys.executable, "-c", _LAUNCH, *command]
    done = subprocess.run(launch, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)  # noqa: S603
    return {**json.loads(done.stdout), "load_before": round(load, 2)}


def write_cells(folder: Path, films: int) -> None:
    """One finished cell after the other, as a stress test leaves them."""
    for network in NETWORKS:
        store = cell_store(folder, network)
        for cell in LADDER:
            one = Measurement(*cell, 0)
            store.write(one, rows_of(network, one, films), "made up")


def collect(folder: Path, _: int) -> None:
    """The long table of all cells, as a sweep that finds them finished."""
    found = [
        cell_store(folder, network).read(Measurement(*cell, 0))
        for network in NETWORKS
        for cell in LADDER
    ]
    write_long_table(folder, LongTable.joined(table for table in found if table is not None))


def cell_store(folder: Path, network: str) -> CellStore:
    """Of a network."""
    return CellStore(folder / "cells" / network, {"network": network}, {})


def rows_of(network: str, one: Measurement, films: int) -> pd.DataFrame:
    """A cell of the made-up sweep: one row per film and finding."""
    count = len(FINDINGS)
    # the same truth in every cell, other scores
    truth = np.random.default_rng(0)
    share = np.array(list(FINDINGS.values())) / EVERY
    target = truth.random((films, count)) < share
    known = truth.normal(size=(films, count))
    place = [NETWORKS.index(network), *(int(100 * severity) for severity in (one.sq, one.se))]
    noise = np.random.default_rng(place).normal(size=(films, count))
    signal = 1.6 / (1 + 0.2 * (one.sq + one.se)) * (1.1 if network == NETWORKS[0] else 1)
    logit = np.log(share / (1 - share)) + signal * target + 0.8 * known + 0.3 * noise
    score = (1 / (1 + np.exp(-logit))).astype(np.float32).astype(float)
    owner = np.sort(np.arange(films) % min(PATIENTS, films))
    first = np.searchsorted(owner, owner)
    names = [
        f"{who:08d}_{film:03d}.png"
        for who, film in zip(owner, np.arange(films) - first, strict=True)
    ]
    constant = {
        "task": "findings", "network": network, "weights": "best", "training_seed": 0,
        "sq": one.sq, "se": one.se, "noise_seed": 0, "degradation": one.degradation,
    }  # fmt: skip
    return pd.DataFrame(
        {
            "image": pd.Categorical.from_codes(np.repeat(np.arange(films), count), names),
            "patient": pd.Categorical.from_codes(
                np.repeat(owner, count), [f"{who:08d}" for who in range(owner[-1] + 1)]
            ),
            "source": "",
            "label": pd.Categorical.from_codes(np.tile(np.arange(count), films), [*FINDINGS]),
            "metric": "score",
            "value": score.ravel(),
            "target": target.ravel().astype(float),
        }
    ).pipe(lambda rows: pd.DataFrame({**constant, **rows}, index=rows.index))


if __name__ == "__main__":
    main()
