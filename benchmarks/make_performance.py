"""Write docs/performance.md and its figures: ``python -m benchmarks.make_performance``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from cxr_noise_transforms.study.files import whole_file

from . import exactness_page, figures, tables
from .engine import RESULTS, ROOT
from .records import Result
from .targets import judge, table

PAGE = ROOT / "docs" / "performance.md"

_HEAD = """# Performance and exactness

Made by `python -m benchmarks.make_performance` from the files in `benchmarks/results/`; how they \
were measured is in [benchmarks/README.md](../benchmarks/README.md). Nothing here is typed by hand.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the page from all result files of a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_performance")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    paths = sorted(options.results.glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    timed = [result for result in results if result["kind"] in ("cpu", "cuda")]
    exact = [result for result in results if result["kind"] == "exactness"]
    trained = [result for result in results if result["kind"] == "throughput"]
    folder = options.out.parent / "figures"
    for name, draw, drawn in (
        ("performance", figures.performance, timed),
        ("exactness", figures.exactness, exact),
    ):
        if drawn:
            _save(draw(drawn), folder / f"{name}.png")
    with whole_file(options.out) as beside:
        beside.write_text(build(timed, exact, trained), encoding="utf-8")
    print(f"wrote {options.out}")


def build(timed: Sequence[Result], exact: Sequence[Result], trained: Sequence[Result] = ()) -> str:
    """The page."""
    parts = [_HEAD]
    if timed:
        parts += ["## Time", "![time per pixel](figures/performance.png)"]
        parts += [_timings(result) for result in timed]
    if trained:
        parts += ["## Training", *map(_training, trained)]
    if exact:
        parts += ["## Exactness", "![p-values and correlations](figures/exactness.png)"]
        parts += [_exactness(result) for result in exact]
    if not (timed or trained or exact):
        parts.append("There are no results yet.")
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _timings(result: Result) -> str:
    failed = tables.failures(result)
    parts = [
        _origin(result, result["kind"]),
        "#### Targets",
        table(judge(result)),
        "#### Where a peer is faster than the default call",
        tables.losses(result),
        "Median and quartiles follow, then memory.",
        tables.times(result),
        "#### Extra memory of one call, the output included",
        tables.memory(result),
        "#### Contenders",
        tables.contenders(result),
    ]
    if result["absent"]:
        parts.append(f"Not installed, so not measured: {', '.join(result['absent'])}.")
    if failed:
        parts += ["Failed:", failed]
    return "\n\n".join(parts)


def _training(result: Result) -> str:
    settings, rows = result["settings"], result["rows"]
    clean = rows[0]["films_per_second"]
    return "\n\n".join(
        [
            _origin(result, result["device"]),
            (
                f"{settings['network']}, films of {settings['side']}², batches of "
                f"{settings['batch']}, {settings['workers']} loader processes, severities "
                f"{tuple(settings['sq'])} and {tuple(settings['se'])}; median and quartiles of "
                f"{settings['rounds']} rounds."
            ),
            tables.markdown(
                ["noise", "films per second", f"share of {rows[0]['way']}"],
                [
                    [
                        row["way"],
                        f"{row['films_per_second']:.4g} ({row['q1']:.4g}–{row['q3']:.4g})",
                        f"{row['films_per_second'] / clean:.2f}",
                    ]
                    for row in rows
                ],
            ),
        ]
    )


def _exactness(result: Result) -> str:
    parts = [_origin(result, result["device"]), result.get("answer", "")]
    return "\n\n".join(filter(None, [*parts, exactness_page.section(result)]))


def _origin(result: Result, device: str) -> str:
    machine, settings = result["machine"], result["settings"]
    named = f"{machine['gpu']} with {machine['gpu_memory_gib']} GiB, " if "gpu" in machine else ""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    threads = f"{settings['threads']} threads, " if "threads" in settings else ""
    load = f", load of the machine at the start {result['load']}" if "load" in result else ""
    quick = (
        "**A quick run on tiny films: these numbers mean nothing.** " if settings["quick"] else ""
    )
    return (
        f"### {machine.get('gpu') or machine['cpu']} ({device})\n\n{quick}"
        f"{named}{machine['cpu']}, {machine['cores']} cores, {machine['ram_gib']} GiB, "
        f"{machine['os']}; {threads}{result['date']}{load}.\n\n{versions}."
    )


def _save(figure: Figure, path: Path) -> None:
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=100)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
