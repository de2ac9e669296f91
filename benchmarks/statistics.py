"""Whether the samplers are exact: ``python -m benchmarks.statistics``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from cxr_noise_transforms import N0

from .engine import QUICK_RESULTS, RESULTS
from .exactness import FULL, LEVEL, QUICK, report
from .machine import describe_machine, describe_versions, machine_slug
from .records import write_json
from .samplers import TORCH, samplers

_QUESTION = {
    "counts": "Poisson's law",
    "moments": "its moments",
    "whiteness": "independent pixels",
    "images": "independent images of a batch",
    "calls": "independent calls",
    "consecutive": "independent consecutive calls",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """One report per device at hand; fails where a sampler of ours is refused."""
    options = _parse(arguments)
    at_hand = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    devices = (options.device,) if options.device else at_hand
    wrong = [f"{r['sampler']} on {device}" for device in devices for r in _one(device, options)]
    if wrong:
        raise SystemExit(f"not as it should be: {', '.join(wrong)}")


def _one(device: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Write one device's reports; returns those whose outcome is not the promised one."""
    extent = QUICK if options.quick else FULL
    machine = describe_machine(device)
    reports = []
    with tqdm(unit="test", mininterval=1) as progress:

        def show(what: str) -> None:
            progress.set_description(f"{device} {what}"[:70], refresh=False)
            progress.update()

        for sampler in samplers(device):
            reports.append(report(sampler, device, extent, show))
            done = reports[-1]
            verdict = "accepted" if done["accepted"] else "refused"
            progress.write(
                f"{device}: {done['sampler']}: {verdict}, {done['tests']} tests, "
                f"least p {done['least_p_holm']:.2g}"
            )
    answer = torchs_counts(reports)
    print(f"{device}: {answer}")
    folder = options.out or (QUICK_RESULTS if options.quick else RESULTS)
    path = folder / f"exactness-{device}-{machine_slug(machine)}.json"
    write_json(
        path,
        {
            "kind": "exactness",
            "device": device,
            "machine": machine,
            "versions": describe_versions(["numpy", "scipy", "torch"]),
            "settings": {"quick": options.quick, "level": LEVEL, **extent._asdict()},
            "date": datetime.now(timezone.utc).date().isoformat(),
            "answer": answer,
            "reports": reports,
        },
    )
    print(f"wrote {path}")
    # torch's own samplers are looked at, not vouched for
    return [r for r in reports if r["promised"] is not None and r["accepted"] != r["promised"]]


def torchs_counts(reports: Sequence[dict[str, Any]]) -> str:
    """What the tests answer to pytorch#136750, at the rates of severities from 1 on.

    Args:
        reports: one of them is of torch.poisson itself.

    Returns:
        One sentence: the laws refused, with their rates, or that none is.
    """
    report = next(report for report in reports if report["sampler"] == TORCH)
    rows = [row for row in report["rows"] if row["rate"] and row["rate"] <= N0]
    # seeds and severities are no question to it
    rows = [row for row in rows if row["law"] in _QUESTION]
    refused = []
    for law, asked in _QUESTION.items():
        rates = {row["rate"] for row in rows if row["law"] == law and row["p_holm"] < LEVEL}
        if rates:
            refused.append(f"{asked} (rate {', '.join(f'{rate:g}' for rate in sorted(rates))})")
    strongest = max(
        (row for row in rows if "correlation" in row), key=lambda row: abs(row["correlation"])
    )
    verdict = f"not {'; not '.join(refused)}" if refused else "no test is refused"
    return (
        f"pytorch#136750, torch.poisson at rates up to {N0:g}: {verdict}; the largest correlation "
        f"between two calls is {strongest['correlation']:+.4f}, at rate {strongest['rate']:g}."
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.statistics",
        description="Test what the samplers draw; see benchmarks/README.md.",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="this one alone")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the reports go")
    parser.add_argument("--quick", action="store_true", help="small samples: does it run at all?")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
