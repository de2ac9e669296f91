"""One run: every contender through every case, row by row into the result file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from .grid import QUICK_GRID, Case, Contender, Grid, cases, make_films
from .machine import describe_machine, describe_versions, is_installed, machine_slug
from .memory import extra_bytes
from .records import add_row, measured, open_result
from .targets import judge, table
from .timing import Effort, measure

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
# results that mean nothing are kept apart from those that are published
QUICK_RESULTS = ROOT / "runs" / "benchmarks"

# the first call of all, which compiles and allocates, comes before these
EFFORT = Effort(warm_up=0, least=5, most=200, budget_s=0.5)
# for the size that the targets are about
BASE_EFFORT = Effort(warm_up=2, least=5, most=200, budget_s=1.0)
QUICK_EFFORT = Effort(warm_up=0, least=2, most=2, budget_s=0.0)


def main(
    device: str, grid: Grid, contenders: Sequence[Contender], arguments: Sequence[str] | None = None
) -> None:
    """Measure what is missing in the result file, then say what became of the targets."""
    options = _parse(device, arguments)
    grid = QUICK_GRID if options.quick else grid
    header = _header(device, grid, contenders, quick=options.quick)
    folder = QUICK_RESULTS if options.quick else RESULTS
    path = options.out or folder / f"{device}-{machine_slug(header['machine'])}.json"
    result = open_result(path, header, fresh=options.fresh)
    done = measured(result)
    todo = [
        (case, contender)
        for case in cases(grid)
        for contender in contenders
        if contender.takes(case)
        and is_installed(contender.package)
        and options.only in f"{case}/{contender.name}"
        and f"{case}/{contender.name}" not in done
    ]
    print(f"{len(todo)} rows to measure, {len(done)} there already")
    for case, contender in (progress := tqdm(todo, unit="row", mininterval=1)):
        progress.set_description(f"{case} {contender.name}"[:60])
        add_row(path, result, _row(case, contender, device, _effort(case, grid, options.quick)))
    print(table(judge(result)))
    if options.quick:
        print("--quick: these numbers mean nothing")
    print(f"wrote {path}")


def _parse(device: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{device}",
        description="Time this package beside its peers; see benchmarks/README.md.",
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="rows whose key contains this text"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result file")
    parser.add_argument("--fresh", action="store_true", help="begin a new file instead of going on")
    parser.add_argument("--quick", action="store_true", help="tiny films: does it run at all?")
    return parser.parse_args(arguments)


def _header(
    device: str, grid: Grid, contenders: Sequence[Contender], *, quick: bool
) -> dict[str, Any]:
    packages = {contender.package for contender in contenders}
    effort = QUICK_EFFORT if quick else BASE_EFFORT
    return {
        "kind": device,
        "machine": describe_machine(device),
        "versions": describe_versions({"numpy", "torch", *packages}),
        "settings": {
            "threads": torch.get_num_threads(),
            "quick": quick,
            "sizes": [str(size) for size in grid.sizes],
            "base": str(grid.base),
            "least_repetitions": effort.least,
        },
        "absent": sorted(package for package in packages if not is_installed(package)),
        "contenders": {
            f"{c.noise}/{c.name}": {"draws": c.draws, "same_law": c.same_law} for c in contenders
        },
        "load": round(os.getloadavg()[0], 2),
    }


def _effort(case: Case, grid: Grid, quick: bool) -> Effort:
    if quick:
        return QUICK_EFFORT
    return BASE_EFFORT if case.size == grid.base else EFFORT


def _row(case: Case, contender: Contender, device: str, effort: Effort) -> dict[str, Any]:
    films = make_films(case, device)
    torch.manual_seed(0)
    call = contender.prepare(films, case.severity)
    row: dict[str, Any] = {**case._asdict(), "size": str(case.size), "contender": contender.name}
    try:
        result = call()
    except Exception as error:
        # a peer that cannot do a task has lost it; ours must
        if contender.package == "cxr_noise_transforms":
            raise
        return {**row, "error": f"{type(error).__name__}: {error}".splitlines()[0]}
    if (result.shape, result.dtype, result.device) != (films.shape, films.dtype, films.device):
        raise RuntimeError(f"{contender.name} gave {result.dtype} {tuple(result.shape)} for {case}")
    moved = (films.nbytes + result.nbytes) / films.numel()
    output_bytes = result.nbytes
    del result
    timing = measure(call, device, effort)
    nanoseconds = 1e9 / films.numel()
    seen = device == "cpu" or contender.torch_memory
    return {
        **row,
        "ns_per_pixel": _rounded(timing.median * nanoseconds),
        "q1": _rounded(timing.q1 * nanoseconds),
        "q3": _rounded(timing.q3 * nanoseconds),
        "repetitions": timing.repetitions,
        "calls_per_repetition": timing.calls_per_repetition,
        "bytes_per_pixel": moved,
        "output_bytes": output_bytes,
        "extra_bytes": extra_bytes(call, device) if seen else None,
    }


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
