"""Films measured per second in a stress test: ``python -m benchmarks.evaluation``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch
from tqdm import tqdm

from cxr_noise_transforms.study import stress_test
from cxr_noise_transforms.study.training.networks import classification_network

from .engine import QUICK_RESULTS, RESULTS
from .machine import describe_machine, describe_versions, machine_slug
from .records import write_json

NETWORKS = ("resnet34", "densenet121", "efficientnet_b0")
CELLS = ((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every network, and write one result file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation",
        description="Films measured per second, noise and checks included, films in memory.",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result file")
    parser.add_argument("--quick", action="store_true", help="small films: does it run at all?")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device")
    size = 64 if options.quick else 512
    films, batch = (4, 2) if options.quick else (16, 8) if options.device == "cpu" else (2048, 64)
    machine = describe_machine(options.device)
    folder = QUICK_RESULTS if options.quick else RESULTS
    path = options.out or folder / f"evaluation-{options.device}-{machine_slug(machine)}.json"
    load = round(os.getloadavg()[0], 2)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(films, 1, size, size, generator=generator)
    loader = [
        (images[at : at + batch], torch.arange(at, at + batch) % 2, list(range(at, at + batch)))
        for at in range(0, films, batch)
    ]
    rows = []
    for name in tqdm(NETWORKS, unit="network"):
        network = classification_network(name, size=size)
        stress_test(network, loader[:1], "binary", cells=CELLS[:1], channels=3,
                    device=options.device)  # fmt: skip
        begin = time.perf_counter()
        stress_test(network, loader, "binary", cells=CELLS, channels=3, device=options.device)
        rate = films * len(CELLS) / (time.perf_counter() - begin)
        rows.append({"network": name, "films_per_second": float(f"{rate:.4g}")})
    write_json(
        path,
        {
            "kind": "evaluation",
            "device": options.device,
            "machine": machine,
            "versions": describe_versions(["monai", "numpy", "timm", "torch"]),
            "settings": {
                "quick": options.quick,
                "size": size,
                "films": films,
                "batch": batch,
                "cells": CELLS,
            },
            "load": load,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "rows": rows,
        },
    )
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
