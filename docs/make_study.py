"""Write docs/study.md's results from the committed ones: ``python docs/make_study.py [DIR ...]``.

A sweep's folder (one task: ``per_image.parquet`` and ``run.json``) is taken into
``examples/results`` first. The paper's Table 1 and Table 2 stand beside.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report import paper
from cxr_noise_transforms.study.report.figures import plot_curves, plot_tasks
from cxr_noise_transforms.study.report.markdown import markdown
from cxr_noise_transforms.study.report.words import interval, number
from cxr_noise_transforms.study.statistics.comparisons import monotonicity, recovery
from cxr_noise_transforms.study.statistics.films import label_counts
from cxr_noise_transforms.study.statistics.long_table import CLEAN
from cxr_noise_transforms.study.statistics.performance import (
    performance,
    seed_spread,
    validation_thresholds,
)
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap
from cxr_noise_transforms.study.statistics.summaries import checkpoint_table, task_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results"
PAGE = ROOT / "docs" / "study.md"
BEGIN, END = "<!-- results: written by docs/make_study.py -->", "<!-- end of results -->"
RESAMPLES = 2000
QUANTUM, ELECTRONIC = (10.0, 0.0), (0.0, 10.0)
DATASETS = {"landmark": "JSRT and Shenzhen", "tb": "Shenzhen", "nih64": "ChestX-ray14, 64 x 64"}


def load(folder: Path) -> tuple[pd.DataFrame, dict[str, Any], dict[tuple, float] | None]:
    """A task's long table, its record, and a classifier's validation thresholds."""
    table = read_table(folder / "per_image.csv.gz")
    validation = folder / "validation.csv.gz"
    thresholds = None
    if validation.is_file():
        thresholds = validation_thresholds(read_table(validation))
    return table, json.loads((folder / "run.json").read_text()), thresholds


def resampled(table: pd.DataFrame, thresholds: dict[tuple, float] | None) -> Resampled:
    """The best checkpoints on resampled patients, mean over labels."""
    best = table[table.weights == "best"]
    return bootstrap(best, thresholds, RESAMPLES).mean_over("label")


def section(folder: Path) -> str:
    """One segmentation task: what was run, and its table beside the paper's."""
    table, run, _ = load(folder)
    task = run["task"]
    published = paper.segmentation_results().query("task == @task").set_index(["sq", "se"])
    plot_curves(table, folder / "curves.png", f"{task}, real films")
    draws = resampled(table, None)
    mean = draws.mean_over("network")
    columns = ["sq", "se", "metric"]
    levels = mean.intervals().set_index(columns)
    changes = mean.against(sq=0, se=0).intervals().set_index(columns)
    spread = seed_spread(performance(table[table.weights == "best"]))
    noise = spread[spread.metric == "dice"].groupby(["sq", "se"]).noise_sd.mean()
    lines = [
        f"### {task.capitalize()}",
        "",
        about(table, run),
        "",
        (
            "| s_q | s_e | Dice [95 %] | diff [95 %] | noise sd | paper Dice | paper diff | IoU "
            "| diff | paper IoU | paper diff |"
        ),
        "|" + " ---: |" * 11,
    ]
    for sq, se in table[["sq", "se"]].drop_duplicates().itertuples(index=False):
        printed = published.loc[(sq, se)]
        dice, iou = levels.loc[(sq, se, "dice")], levels.loc[(sq, se, "iou")]
        clean = (sq, se) == CLEAN
        lost = "" if clean else interval(changes.loc[(sq, se, "dice")], "+.3f")
        lost_iou = "" if clean else f"{changes.loc[(sq, se, 'iou')].value:+.3f}"
        lines.append(
            f"| {sq:g} | {se:g} | {interval(dice)} | {lost} | {noise[(sq, se)]:.4f} "
            f"| {printed.dice:.2f} | {printed.dice_diff:+.2f} | {iou.value:.3f} | {lost_iou} "
            f"| {printed.iou:.2f} | {printed.iou_diff:+.2f} |"
        )
    risen = recovery(draws, "dice").set_index("network").loc["mean"]
    steps = monotonicity(draws.select(metric="dice")).set_index("network")
    worst = steps.loc[steps.p_holm.idxmin()]
    lines += [
        "",
        f"From s_e = 6 to s_e = 8 the mean Dice changes by {interval(risen, '+.3f')}: "
        + ("a recovery" if risen.p_holm < 0.05 else "no recovery")
        + f" (one-sided p = {risen.p_holm:.2g}). The most significant rise between any two "
        f"neighbouring severities of any network is {worst.value:+.3f} ({worst.name}, "
        f"{'s_q' if worst.axis == 'sq' else 's_e'} from {worst.milder:g} to {worst.harder:g}, "
        f"p = {worst.p_holm:.2g} after Holm over all steps and networks).",
        "",
        f"![severity curves, {task}](../{(folder / 'curves.png').relative_to(ROOT)})",
        "",
    ]
    return "\n".join(lines)


def about(table: pd.DataFrame, run: dict[str, Any]) -> str:
    """What was run, on what, where."""
    films = table.groupby("source", observed=True).image.nunique()
    settings = run["settings"]
    epochs = ", ".join(
        f"{name} {record['epochs']} (best {record['best_epoch']}, averaged "
        f"{record['averaged_epochs']})"
        for name, record in run["networks"].items()
    )
    weights = settings.get("encoder_weights", settings.get("pretrained"))
    encoder = f" with {settings['encoder']}" if "encoder" in settings else ""
    return (
        f"{', '.join(run['networks'])}{encoder}, weights {weights}, {settings['size']} x "
        f"{settings['size']}, at most {settings['epochs']} epochs at "
        f"{settings['learning_rate']:g}; epochs run: {epochs}. Test films: "
        f"{', '.join(f'{source} {count}' for source, count in films.items())} of "
        f"{table.patient.nunique()} patients; noise seeds: {table.noise_seed.nunique()}. "
        f"Machine: {run['machine']}; torch {run['torch']}, cxr_noise_transforms "
        f"{run['cxr_noise_transforms']}, revision {run['revision']}."
    )


def classification(folders: list[Path]) -> str:
    """All classification tasks: clean metrics and drops, beside the paper's Table 2."""
    published = paper.classification_results().set_index("pair")
    quoted = paper.quoted_drops().set_index(["task", "metric", "sq", "se"])["drop"]
    lines = [
        (
            "| films | pair | test films (positive) | metric | constant answer | clean [95 %] "
            "| lost at s_q = 10 [95 %] | lost at s_e = 10 [95 %] | paper clean "
            "| paper lost at s_q, s_e = 10 |"
        ),
        "|---|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    notes, tables = [], []
    for folder in folders:
        table, run, thresholds = load(folder)
        tables.append(table)
        task = run["task"]
        mean = resampled(table, thresholds).mean_over("network")
        columns = ["sq", "se", "metric"]
        levels = mean.intervals().set_index(columns)
        changes = mean.against(sq=0, se=0).intervals().set_index(columns)
        (label, counts), *_ = label_counts(table).iterrows()
        for metric, name in (
            ("auroc", "AUROC"),
            ("auprc", "AUPRC"),
            ("f1", "F1 at 0.5"),
            ("f1_val", "F1 at the validation threshold"),
        ):
            clean = levels.loc[(*CLEAN, metric)]
            lost = [_loss(changes.loc[(*cell, metric)]) for cell in (QUANTUM, ELECTRONIC)]
            printed = published[metric].get(task, np.nan) if metric in published else np.nan
            said = [
                number(quoted.get((task, metric, *map(int, cell)), np.nan))
                for cell in (QUANTUM, ELECTRONIC)
            ]
            lines.append(
                f"| {DATASETS.get(folder.parent.name, folder.parent.name)} | {task} "
                f"| {counts.films} ({counts.positive} {label}) | {name} | {number(clean.chance)} "
                f"| {interval(clean)} | {lost[0]} | {lost[1]} "
                f"| {number(printed)} | {', '.join(said)} |"
            )
        notes.append(f"- {task}: {about(table, run)}")
    whole = pd.concat(tables, ignore_index=True)
    picture = RESULTS / "classification.png"
    plot_tasks(whole, picture, "mean of the networks, real films")
    return "\n".join(
        [
            "### Classification",
            "",
            (
                "Intervals: 2,000 resamples of patients, mean over networks and noise seeds; the "
                "networks and the noise are fixed. AUPRC and F1 count the finding that the third "
                "column names as positive. A constant answer knows nothing: it gets p, the share "
                "of positives, as AUPRC, and 2 p / (1 + p), by calling every film positive, as F1."
            ),
            "",
            *lines,
            "",
            *notes,
            "",
            f"![severity curves of the classification tasks](../{picture.relative_to(ROOT)})",
            "",
        ]
    )


def _loss(row: Any) -> str:
    return interval(pd.Series({"value": -row.value, "lower": -row.upper, "upper": -row.lower}))


def averaging(folders: list[Path]) -> str:
    """The best and the averaged checkpoints of every task."""
    parts = []
    for folder in folders:
        table, run, _ = load(folder)
        both = checkpoint_table(table)
        metric = "dice" if "dice" in both else "auroc"
        if len(both):
            kept = both[["weights", "networks", metric, f"{metric}_sq", f"{metric}_se"]]
            kept.columns = ["weights", "networks", "clean", "lost at s_q = 10", "lost at s_e = 10"]
            kept.insert(0, "metric", "Dice" if metric == "dice" else "AUROC")
            kept.insert(0, "task", run["task"])
            parts.append(kept)
    if not parts:
        return ""
    table = pd.concat(parts, ignore_index=True)
    return f"### Lowest validation loss against averaged weights\n\n{markdown(table)}"


def answers(folders: list[Path]) -> str:
    """The paper's three claims about segmentation against the measured numbers."""
    lines = ["### The paper's claims", ""]
    for folder in folders:
        table, run, _ = load(folder)
        row = task_table(table).iloc[0]
        draws = resampled(table, None)
        rise = recovery(draws, "dice").set_index("network").loc["mean"]
        lines.append(
            f"- {run['task']}: Dice {row.dice:.3f} clean, {row.dice - row.dice_sq:.3f} at "
            f"s_q = 10, {row.dice - row.dice_se:.3f} at s_e = 10; change from s_e = 6 to 8 "
            f"{interval(rise, '+.3f')}."
        )
    return "\n".join([*lines, ""])


def contradictions() -> str:
    """Rows of the paper's Table 1 that contradict themselves, found by arithmetic."""
    lines = ["| task | s_q | s_e | what is printed | what follows |", "|---|---:|---:|---|---|"]
    lines += [
        f"| {row.task} | {row.sq} | {row.se} | {row.printed} | {row.follows} |"
        for row in paper.contradictions().itertuples()
    ]
    return "\n".join(lines) + "\n"


def take(sweep: Path) -> None:
    """Copy a task's results to ``examples/results/<dataset>/<task>``."""
    run = json.loads((sweep / "run.json").read_text())
    task = "-".join(run["task"].replace("/", " ").split())
    folder = RESULTS / run["settings"]["dataset_dir"] / task
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(sweep / "run.json", folder)
    for name in ("per_image", "validation"):
        if (sweep / f"{name}.parquet").is_file():
            # text is right for git; without a time of packing the same table gives the same file
            read_table(sweep / f"{name}.parquet").to_csv(
                folder / f"{name}.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
            )


def main() -> None:
    """Replace the generated part of docs/study.md."""
    for sweep in sys.argv[1:]:
        take(Path(sweep))
    folders = sorted(path.parent for path in RESULTS.glob("*/*/run.json"))
    classified = [folder for folder in folders if (folder / "validation.csv.gz").is_file()]
    segmented = [folder for folder in folders if folder not in classified]
    parts = [answers(segmented), *map(section, segmented)]
    if classified:
        parts.append(classification(classified))
    parts += [averaging(folders), "### Table 1 against itself\n", contradictions()]
    before, rest = PAGE.read_text().split(BEGIN)
    with whole_file(PAGE) as beside:
        beside.write_text(before + "\n".join([BEGIN, "", *parts]) + END + rest.split(END)[1])
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
