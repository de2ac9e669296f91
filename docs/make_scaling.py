"""Write docs/scaling.md's plan from measured throughput: ``python docs/make_scaling.py``."""

from __future__ import annotations

import json
from pathlib import Path

from cxr_noise_transforms.study.training.networks import classification_network

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- plan: written by docs/make_scaling.py -->", "<!-- end of plan -->"
FILMS, CELLS, SEEDS, MODELS, SIDE = 112_120, 14, 3, 18, 512
DEVICES = (1, 8, 64)
NETWORKS = ("resnet34", "densenet121", "efficientnet_b0")


def main() -> None:
    """Replace the generated part of docs/scaling.md."""
    views = FILMS * CELLS * SEEDS * MODELS
    results = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    loaded = [json.loads(path.read_text(encoding="utf-8")) for path in results]
    [rows] = [result for result in loaded if "table" in result]
    in_file, as_text = (
        rows["table"][name] / rows["table"]["rows"] for name in ("bytes_of_table", "bytes_as_csv")
    )
    checkpoints = 2 * MODELS * sum(map(checkpoint_bytes, NETWORKS)) / len(NETWORKS)
    lines = [
        "## The whole of ChestX-ray14, on paper",
        "",
        (
            f"{FILMS:,} films, {CELLS} cells, {SEEDS} noise seeds, {MODELS} models at {SIDE} x "
            f"{SIDE}: {views / 1e6:.1f} million predictions."
        ),
        "",
        "| machine | films/s (mean over networks) | hours on 1 | hours on 8 | hours on 64 |",
        "|---|---:|---:|---:|---:|",
    ]
    for result in loaded:
        measured = [row for row in result["rows"] if row["kind"] == "evaluation"]
        if measured:
            # a third of the models each: their seconds per film add up
            seconds = sum(row["median"] / row["films"] for row in measured)
            lines.append(row(describe(result), len(measured) / seconds, views))
    lines += [row("for scale: a device that measures 1,000", 1000.0, views), ""]
    pixels = FILMS * SIDE**2
    lines += [
        (
            f"- Films: {pixels / 1e9:.0f} GB at {SIDE} x {SIDE} in 8 bits, in memory or on disk "
            f"(`--cache`); in float32 {4 * pixels / 1e9:.0f} GB."
        ),
        (
            f"- Results: {views / 1e6:.0f} million rows of about {in_file:.1f} bytes in Parquet, "
            f"{views * in_file / 1e9:.1f} GB, {views * as_text / 1e9:.0f} GB as CSV, twice that "
            f"with the averaged weights; checkpoints {checkpoints / 1e9:.1f} GB."
        ),
        (
            "- What limits: on one device the networks do. On 64 every film is read once per cell, "
            f"{CELLS * SEEDS} times for a model, unless `--cells-at-once` reads it once: a "
            "shared disk gives out before the devices do."
        ),
        "- The collecting job holds one cell's rows at a time, and films' results on resamples.",
        "- Training comes first and is one job per model; its epochs are not shared between nodes.",
        "",
        *rows_section(rows, views),
    ]
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    plan = "\n".join([BEGIN, "", *lines])
    PAGE.write_text(before + plan + END + rest.split(END)[1], encoding="utf-8")
    print(f"wrote {PAGE}")


def rows_section(result: dict, views: int) -> list[str]:
    """What benchmarks/million_rows.py has measured, and what follows for the whole plan."""
    table, parts = result["table"], result["rows"]
    rows, times = table["rows"], views / table["rows"]
    report = next(part for part in parts if part["part"] == "report")
    loads = [result["load"], *(part["load_before"] for part in parts)]
    busy = (
        f" Others computed on it at the same time (load {min(loads):.1f} to {max(loads):.1f}): the "
        "processor's seconds say what the work costs, the seconds what it took."
        if max(loads) > 0.5
        else ""
    )
    return [
        "## Ten million rows, measured",
        "",
        (
            f"A made-up sweep: {table['networks']} networks, {table['films']:,} films of "
            f"{table['patients']:,} patients, {table['labels']} labels, {table['cells']} cells, "
            f"{rows:,} rows. Made by `python -m benchmarks.million_rows` on {describe(result)}."
            f"{busy}"
        ),
        "",
        "| part | seconds | processor's seconds | peak memory |",
        "|---|---:|---:|---:|",
        *(
            f"| {part['what']} | {part['seconds']:,.0f} | {part['processor_seconds']:,.0f} | "
            f"{part['peak_bytes'] / 1e9:.1f} GB |"
            for part in parts
        ),
        "",
        (
            f"- Cell files {table['bytes_of_cell_files'] / 1e6:.0f} MB, `per_image.parquet` "
            f"{table['bytes_of_table'] / 1e6:.0f} MB ({table['bytes_of_table'] / rows:.1f} bytes a "
            f"row), as CSV {table['bytes_as_csv'] / 1e9:.2f} GB."
        ),
        (
            f"- The report draws {table['resamples']:,} resamples of the patients for every "
            "network, label and cell. About 1 GB of its memory, and of the other parts', are the "
            "libraries; it holds one part of the table, and what is known of every film. With "
            "groups of films it holds all of the table."
        ),
        (
            f"- {views / 1e6:.0f} million rows, calculated and not measured: {times:.1f} times as "
            f"many of the same kind, {times * report['processor_seconds'] / 60:.0f} minutes of a "
            "processor for the report, in as much memory beside the intervals' resamples."
        ),
        "",
    ]


def checkpoint_bytes(network: str) -> int:
    """Bytes of a network's state dict."""
    state = classification_network(network).state_dict()
    return sum(value.numel() * value.element_size() for value in state.values())


def row(name: str, rate: float, views: int) -> str:
    """One device: films per second, and the hours that so many of them take."""
    hours = [views / rate / 3600 / devices for devices in DEVICES]
    return f"| {name} | {rate:,.1f} | " + " | ".join(f"{hour:,.1f}" for hour in hours) + " |"


def describe(result: dict) -> str:
    """The machine of a result, with its versions."""
    machine = result["machine"]
    name = machine.get("gpu") or f"{machine['cpu']}, {machine['cores']} cores"
    return f"{name}, torch {result['versions']['torch']} ({result['date']})"


if __name__ == "__main__":
    main()
