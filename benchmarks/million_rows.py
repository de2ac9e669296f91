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
import sys
import time
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

from .machine import RESULTS, provenance

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


def main() -> None:
    """Run all parts, or the one that is named, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=FILMS, help="fewer for a trial")
    parser.add_argument("--out", type=Path, default=RESULTS / "rows-cpu.json")
    parser.add_argument("--folder", type=Path, help="of the tables; default: a temporary one")
    parser.add_argument("--part", choices=("cells", "table"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part == "cells":
        write_cells(chosen.folder, chosen.films)
    elif chosen.part == "table":
        collect(chosen.folder)
    else:
        with TemporaryDirectory() as folder:
            result = measured(chosen.folder or Path(folder), chosen.films)
        chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(json.dumps(result["parts"], indent=1), f"wrote {chosen.out}", sep="\n")


def measured(folder: Path, films: int) -> dict[str, Any]:
    """Every part, one after the other, with the load of the machine before each."""
    own = [sys.executable, "-m", "benchmarks.million_rows", "--folder", str(folder)]
    table = folder / "per_image.parquet"
    verb = [sys.executable, "-m", "cxr_noise_transforms.study", "report", str(table)]
    commands = {
        "cells": [*own, "--films", str(films), "--part", "cells"],
        "table": [*own, "--part", "table"],
        "report": [*verb, "--out", str(folder / "report")],
    }
    parts = {name: {"what": PARTS[name], **run(command)} for name, command in commands.items()}
    cells = sorted((folder / "cells").glob("*/*.parquet"))
    rows = len(FINDINGS) * films * len(LADDER) * len(NETWORKS)
    text = rows_of(NETWORKS[0], Measurement(*LADDER[0], 0), films).to_csv(index=False)
    bytes_of_cell = len(text.encode())
    return {
        "rows": [],
        "table": {
            "rows": rows,
            "films": films,
            "patients": min(PATIENTS, films),
            "labels": len(FINDINGS),
            "cells": len(LADDER),
            "networks": len(NETWORKS),
            "resamples": 1000,
            "bytes_of_cell_files": sum(path.stat().st_size for path in cells),
            "bytes_of_table": table.stat().st_size,
            "bytes_as_csv": bytes_of_cell * len(cells),
            "bytes_of_report": (folder / "report" / "report.html").stat().st_size,
        },
        "parts": parts,
        **provenance(["numba", "pandas", "pyarrow"]),
    }


def run(command: Sequence[str]) -> dict[str, Any]:
    """A command in a process of its own: seconds, seconds of the processor, and peak memory."""
    load, start = os.getloadavg()[0], time.monotonic()
    child = os.posix_spawn(command[0], list(command), os.environ)
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return {
        "seconds": round(time.monotonic() - start, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        # Linux tells it in KiB
        "peak_bytes": used.ru_maxrss * 1024,
        "load_before": round(load, 2),
    }


def write_cells(folder: Path, films: int) -> None:
    """One finished cell after the other, as a stress test leaves them."""
    for network in NETWORKS:
        store = cell_store(folder, network)
        for cell in LADDER:
            one = Measurement(*cell, 0)
            store.write(one, rows_of(network, one, films), "made up")


def collect(folder: Path) -> None:
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
