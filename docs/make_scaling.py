"""Write docs/scaling.md's plan from measured throughput: ``python docs/make_scaling.py``."""

from __future__ import annotations

import gzip
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
    bytes_per_row = row_bytes()
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
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
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
            f"- Results: {views / 1e6:.0f} million rows of about {bytes_per_row:.0f} bytes, "
            f"{views * bytes_per_row / 1e9:.0f} GB as CSV, twice that with the averaged weights; "
            f"checkpoints {checkpoints / 1e9:.1f} GB."
        ),
        (
            "- What limits: on one device the networks do. On 64 every film is read once per cell, "
            f"{CELLS * SEEDS} times for a model, unless `--cells-at-once` reads it once: a "
            "shared disk gives out before the devices do."
        ),
        "- The collecting job holds every row of its sweep in memory: one job per pair.",
        "- Training comes first and is one job per model; its epochs are not shared between nodes.",
        "",
    ]
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    plan = "\n".join([BEGIN, "", *lines])
    PAGE.write_text(before + plan + END + rest.split(END)[1], encoding="utf-8")
    print(f"wrote {PAGE}")


def row_bytes() -> float:
    """Bytes of one score in a committed long table, unpacked."""
    path = next((ROOT / "examples" / "results").glob("*/*/per_image.csv.gz"))
    with gzip.open(path) as file:
        lines = file.read().splitlines()
    return sum(len(line) + 1 for line in lines) / len(lines)


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
