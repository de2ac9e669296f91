"""Write docs/performance.md and its figures: ``python -m benchmarks.make_performance``."""

import argparse
import json
from pathlib import Path

from . import exactness_page, figures, tables
from .machine import RESULTS, ROOT
from .tables import Row
from .targets import judge, table

PAGE = ROOT / "docs" / "performance.md"

_HEAD = """# Performance and exactness

Made by `python -m benchmarks.make_performance` from the files in `benchmarks/results/`; how they \
were measured is in [benchmarks/README.md](../benchmarks/README.md). Nothing here is typed by hand.
"""


def main(arguments: list[str] | None = None) -> None:
    """Build the page from all result files of a folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.make_performance")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    paths = sorted(options.results.glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    folder = options.out.parent / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    for draw, kind in ((figures.performance, "speed"), (figures.exactness, "exactness")):
        if found := of_kind(kind, results):
            draw(found).savefig(folder / f"{draw.__name__}.png", dpi=100)
    options.out.write_text(build(results), encoding="utf-8")
    print(f"wrote {options.out}")


def build(results: list[Row]) -> str:
    """The page."""
    parts = [_HEAD]
    for head, kind, section in (
        ("## Time\n\n![time per pixel](figures/performance.png)", "speed", _speed),
        ("## Training", "training", _films_per_second),
        ("## Evaluation", "evaluation", _films_per_second),
        ("## Exactness\n\n![p-values](figures/exactness.png)", "exactness", exactness_page.section),
    ):
        if found := of_kind(kind, results):
            parts += [head, *(f"{_origin(result)}\n\n{section(result)}" for result in found)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def of_kind(kind: str, results: list[Row]) -> list[Row]:
    """The results that have rows of a kind, each with these alone."""
    kept = [
        {**result, "rows": [row for row in result["rows"] if row["kind"] == kind]}
        for result in results
    ]
    return [result for result in kept if result["rows"]]


def _speed(result: Row) -> str:
    calls = tables.read_calls(result)
    return "\n\n".join(
        [
            "#### Targets",
            table(judge(result)),
            "#### Where a peer is faster than the default call",
            tables.losses(calls),
            "Median and quartiles follow, then memory.",
            tables.times(calls),
            "#### Memory of one call beyond its output",
            tables.memory(calls),
            "#### Contenders",
            tables.contenders(calls),
        ]
    )


def _films_per_second(result: Row) -> str:
    rows = result["rows"]
    first = rows[0]
    rates = {name: [row["films"] / row[name] for row in rows] for name in ("median", "q1", "q3")}
    body = [
        [row["what"], f"{rate:.4g} ({low:.4g}–{high:.4g})", f"{rate / rates['median'][0]:.2f}"]
        for row, rate, high, low in zip(rows, *rates.values(), strict=True)
    ]
    listed = tables.markdown(["", "films per second", f"in units of {first['what']}"], body)
    return f"{first['settings']}; median and quartiles of {first['rounds']} rounds.\n\n{listed}"


def _origin(result: Row) -> str:
    machine = result["machine"]
    gpu = f"{machine['gpu']} with {machine['gpu_memory_gib']} GiB, " if "gpu" in machine else ""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    load = f", load of the machine at the start {result['load']}" if "load" in result else ""
    quick = "**A quick run: these numbers mean nothing.** " if result["quick"] else ""
    return (
        f"### {machine.get('gpu') or machine['cpu']}, {result['date']}\n\n{quick}{gpu}"
        f"{machine['cpu']}, {machine['cores']} cores, {machine['ram_gib']} GiB, {machine['os']}"
        f"{load}.\n\n{versions}."
    )


if __name__ == "__main__":
    main()
