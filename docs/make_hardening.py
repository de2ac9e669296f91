"""Write docs/hardening.md's and README's results of hardening: ``python docs/make_hardening.py``.

Folders of finished ``examples/harden.py`` that are named are taken into ``examples/results``
first: the first metric alone, values to five decimals.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report.hardened import (
    Hardened,
    arm_table,
    curve_points,
    find_hardened,
    square,
    verdicts,
)
from cxr_noise_transforms.study.report.markdown import markdown
from cxr_noise_transforms.study.report.panels import COLOURS
from cxr_noise_transforms.study.report.words import interval, metric_name, number

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results" / "hardening"
PAGE = ROOT / "docs" / "hardening.md"
README = ROOT / "README.md"
FIGURE = ROOT / "docs" / "figures" / "hardening.png"
BEGIN, END = "<!-- results: written by docs/make_hardening.py -->", "<!-- end of results -->"
SHOWN = ("clean", "clean, 8 films", "clean, all films", "clean, denoised", "ladder")
NAMES = {
    "clean": "clean films, as the paper has it",
    "clean, 8 films": "the same, batch norm from 8 noisy films",
    "clean, all films": "the same, batch norm from all noisy validation films",
    "clean, denoised": "the same behind a denoiser",
    "ladder": "trained with noise over the ladder",
}
RESAMPLES = 2000


def take(folder: Path) -> None:
    """Copy a task's results to ``examples/results/hardening``."""
    run = json.loads((folder / "run.json").read_text())
    settings = run["settings"]
    weights = settings.get("encoder_weights", settings.get("pretrained"))
    task = "-".join(run["task"].replace("/", " ").split())
    target = RESULTS / (task if weights == "none" else f"{task}-pretrained")
    target.mkdir(parents=True, exist_ok=True)
    table = read_table(folder / "per_image.parquet")
    table = table[table.metric.isin(("dice", "score"))].assign(value=table.value.round(5))
    # without a time of packing, so that the same table gives the same file
    table.to_csv(
        target / "per_image.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
    )
    (target / "run.json").write_text(json.dumps(run, indent=1) + "\n")


def section(one: Hardened, run: dict[str, Any]) -> str:
    """One task: what was run, the table, the square and the answers."""
    header, rows = arm_table(one)
    corner_header, corners = square(one)
    settings = run["settings"]
    weights = settings.get("encoder_weights", settings.get("pretrained"))
    films = one.table.drop_duplicates("image")
    sources = ", ".join(f"{name} {many}" for name, many in films.source.value_counts().items())
    lines = [
        f"### {title(run)}",
        "",
        (
            f"{', '.join(run['networks'])}"
            f"{', encoder ' + settings['encoder'] if 'encoder' in settings else ''}, weights "
            f"{weights}, {settings['size']} x {settings['size']}, {settings['epochs']} epochs, "
            f"{one.trainings} trainings of each; test films: {sources} of "
            f"{films.patient.nunique()} patients; noise seeds: {one.table.noise_seed.nunique()}. "
            f"Machine: {run['machine']}; torch {run['torch']}, revision {run['revision']}."
        ),
        "",
        markdown(pd.DataFrame(rows, columns=header)),
        *(["Training by re-estimation:", ""] if corners else []),
        markdown(pd.DataFrame(corners, columns=corner_header)) if corners else "",
        *(f"- **{lead}.** {sentence}" for lead, sentence in verdicts(one)),
        "",
    ]
    return "\n".join(lines)


def title(run: dict[str, Any]) -> str:
    """A task by its name and what its network knew before."""
    weights = run["settings"].get("encoder_weights", run["settings"].get("pretrained"))
    start = "from scratch" if weights == "none" else "from ImageNet weights"
    return f"{run['task'].capitalize()}, {start}"


def answer(found: list[tuple[Hardened, dict[str, Any]]]) -> str:
    """The question, answered over all tasks at the end of the electronic axis."""
    header = ["task", "metric", *SHOWN]
    rows = []
    for one, run in found:
        cell = one.ends["se"]
        values = [
            interval(one.level(arm, cell), ".2f") if arm in one.arms else "–" for arm in SHOWN
        ]
        rows.append([title(run), metric_name(one.metric), *values])
    return markdown(pd.DataFrame(rows, columns=header))


def short(found: list[tuple[Hardened, dict[str, Any]]]) -> str:
    """The answer in a sentence per task, for the README."""
    sentences = []
    for one, run in found:
        if "ImageNet" in title(run):
            continue
        cell, eight = one.ends["se"], "clean, 8 films"
        values = [interval(one.level(arm, cell), ".2f") for arm in ("clean", eight, "ladder")]
        clean = [number(one.level(arm).value, ".2f") for arm in ("clean", eight, "ladder")]
        sentences.append(
            f"{run['task']}, {metric_name(one.metric)} at s_e = {cell[1]:g}: {values[0]} for "
            f"networks trained on clean films, {values[1]} for the same networks once their batch "
            f"normalisation has seen eight unlabelled noisy films, {values[2]} for networks "
            f"trained with noise (on clean films {', '.join(clean)})"
        )
    return "; ".join(sentences) + "."


def plot(found: list[tuple[Hardened, dict[str, Any]]]) -> None:
    """Severity curves of the arms, a row per task."""
    figure = Figure(figsize=(9, 2.6 * len(found) + 0.9), layout="constrained")
    axes = figure.subplots(len(found), 2, sharex="col", sharey="row", squeeze=False)
    for row, (one, run) in zip(axes, found, strict=True):
        for panel, axis in zip(row, ("sq", "se"), strict=True):
            for arm, colour in zip(SHOWN, COLOURS, strict=False):
                points = curve_points(one, [arm], axis).sort_values("severity")
                if len(points):
                    panel.plot(
                        points.severity, points.value, "o-", ms=3, lw=1.4, color=colour,
                        label=NAMES[arm],
                    )  # fmt: skip
                    panel.fill_between(
                        points.severity, points.lower, points.upper, color=colour, alpha=0.15, lw=0
                    )
            panel.set(ylim=(0, 1), title=title(run))
            panel.grid(alpha=0.3)
        row[0].set_ylabel(metric_name(one.metric))
    axes[-1][0].set_xlabel("quantum severity $s_q$")
    axes[-1][1].set_xlabel("electronic severity $s_e$")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    with whole_file(FIGURE) as beside:
        figure.savefig(beside, dpi=120)


def main() -> None:
    """Replace the generated part of docs/hardening.md."""
    for folder in sys.argv[1:]:
        take(Path(folder))
    found = []
    for path in sorted(RESULTS.glob("*/run.json")):
        table = read_table(path.parent / "per_image.csv.gz")
        found.append((find_hardened(table, RESAMPLES), json.loads(path.read_text())))
    plot(found)
    parts = [
        "Performance at s_e = 10, mean over networks and trainings, 95 % intervals over patients:",
        "",
        answer(found),
        "![severity curves of the arms](figures/hardening.png)",
        "",
        *(section(one, run) for one, run in found),
    ]
    fill(PAGE, "\n".join(parts))
    fill(README, short(found))
    written = ", ".join(str(path.relative_to(ROOT)) for path in (PAGE, README, FIGURE))
    print(f"wrote {written}")


def fill(page: Path, content: str) -> None:
    """Put content between the marks of a page."""
    text = page.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END, text.index(BEGIN))
    with whole_file(page) as beside:
        beside.write_text(f"{text[:start]}\n\n{content}\n\n{text[end:]}")


if __name__ == "__main__":
    main()
