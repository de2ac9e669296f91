"""Write docs/study.md's tables from the committed results: ``python docs/make_study.py [DIR ...]``.

A folder that ``examples/seg_sweep.py`` wrote is taken into ``examples/results`` first: ``run.json``
and, packed, ``per_image.csv``. The paper's Table 1 stands beside.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report import plot_curves, summarise

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
PUBLISHED = ROOT / "cxr_noise_transforms" / "study" / "published" / "table1.csv"
PAGE = ROOT / "docs" / "study.md"
BEGIN, END = "<!-- results: written by docs/make_study.py -->", "<!-- end of results -->"


def section(folder: Path) -> str:
    """One task: what was run, and its table beside the paper's."""
    table = pd.read_csv(folder / "per_image.csv.gz")
    run = json.loads((folder / "run.json").read_text())
    task = table.task.iloc[0]
    published = pd.read_csv(PUBLISHED).query("task == @task").set_index(["sq", "se"])
    plot_curves(table, folder / "curves.png", f"{task}, real films")
    films = table.groupby("source").image.nunique()
    epochs = ", ".join(f"{name} {record['epochs']}" for name, record in run["networks"].items())
    lines = [
        f"### {task.capitalize()}",
        "",
        (
            f"{', '.join(table.network.unique())} with {table.encoder.iloc[0]}, weights "
            f"{run['settings']['encoder_weights']}, {run['settings']['size']} x "
            f"{run['settings']['size']}; epochs run: {epochs}. Test films: "
            f"{', '.join(f'{source} {count}' for source, count in films.items())}; noise seeds: "
            f"{table.noise_seed.nunique()}. Machine: {run['machine']}; torch {run['torch']}, "
            f"cxr_noise_transforms {run['package']}. Spread: standard deviation of the mean over "
            "noise seeds."
        ),
        "",
        (
            "| s_q | s_e | Dice | diff | spread | paper Dice | paper diff | IoU | diff | paper IoU "
            "| paper diff |"
        ),
        "|" + " ---: |" * 11,
    ]
    seeds = table[table.metric == "dice"].groupby(["sq", "se", "noise_seed"]).value.mean()
    spread = seeds.groupby(["sq", "se"]).std()
    for cell in summarise(table).itertuples():
        paper = published.loc[(cell.sq, cell.se)]
        lines.append(
            f"| {cell.sq:g} | {cell.se:g} | {cell.dice:.3f} | {cell.dice_diff:+.3f} "
            f"| {spread[(cell.sq, cell.se)]:.4f} "
            f"| {paper.dice:.2f} | {paper.dice_diff:+.2f} | {cell.iou:.3f} | {cell.iou_diff:+.3f} "
            f"| {paper.iou:.2f} | {paper.iou_diff:+.2f} |"
        )
    curves = (folder / "curves.png").relative_to(PAGE.parent.parent)
    return "\n".join([*lines, "", f"![severity curves, {task}](../{curves})", ""])


def contradictions() -> str:
    """Rows of the paper's Table 1 that contradict themselves, found by arithmetic."""
    table = pd.read_csv(PUBLISHED)
    clean = table[(table.sq == 0) & (table.se == 0)].set_index("task")
    lines = ["| task | s_q | s_e | what is printed | what follows |", "|---|---:|---:|---|---|"]
    for row in table.itertuples():
        for metric in ("dice", "iou"):
            value, difference = getattr(row, metric), getattr(row, f"{metric}_diff")
            follows = value - clean.loc[row.task, metric]
            # three numbers rounded to two places differ by at most 0.015
            if abs(follows - difference) > 0.0151:
                lines.append(
                    f"| {row.task} | {row.sq} | {row.se} | {metric} {value:.2f}, difference "
                    f"{difference:+.2f} | difference {follows:+.2f} |"
                )
        if row.iou > row.dice:
            lines.append(
                f"| {row.task} | {row.sq} | {row.se} | IoU {row.iou:.2f} above Dice "
                f"{row.dice:.2f} | impossible: IoU <= Dice |"
            )
    return "\n".join(lines) + "\n"


def take(sweep: Path) -> None:
    """Copy a sweep's results to ``examples/results/<task>``."""
    table = pd.read_csv(sweep / "per_image.csv")
    folder = RESULTS / table.task.iloc[0]
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(sweep / "run.json", folder)
    # without a time of packing, so that the same table gives the same file
    table.to_csv(
        folder / "per_image.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
    )


def main() -> None:
    """Replace the generated part of docs/study.md."""
    for sweep in sys.argv[1:]:
        take(Path(sweep))
    sections = [section(folder) for folder in sorted(RESULTS.iterdir()) if folder.is_dir()]
    generated = "\n".join(
        [BEGIN, "", *sections, "### Table 1 against itself", "", contradictions()]
    )
    before, rest = PAGE.read_text().split(BEGIN)
    with whole_file(PAGE) as beside:
        beside.write_text(before + generated + END + rest.split(END)[1])
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
