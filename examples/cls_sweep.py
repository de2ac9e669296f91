"""Train ResNet34, DenseNet121 and EfficientNet-B0 on pairs of findings; measure them under noise.

Without arguments: the paper's six pairs on an embedded chest phantom, a few minutes on a CPU. With
``--data DIR``: ChestX-ray14, or a folder laid out like it. A second call resumes.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

from cxr_noise_transforms.study.command.ladders import dose_words, normal_dose
from cxr_noise_transforms.study.command.options import (
    carry_out,
    films_of,
    parse,
    run,
    sweep_parser,
    sweep_settings,
)
from cxr_noise_transforms.study.command.terminal import say_written
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.films import PAIRS
from cxr_noise_transforms.study.report.answers import headline
from cxr_noise_transforms.study.report.figures import plot_tasks
from cxr_noise_transforms.study.report.markdown import markdown, write_table
from cxr_noise_transforms.study.report.page import find_in_sweeps, write_report
from cxr_noise_transforms.study.statistics.summaries import checkpoint_table, task_table
from cxr_noise_transforms.study.table import LongTable, write_long_table

BUNDLE = Path(__file__).parent / "bundles" / "classification"
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "size": 64,
        "pretrained": "none",
        "epochs": 10,
        "swa_start": 8,
        "learning_rate": 1e-3,
        "batch_size": 16,
        "noise_seeds": 1,
        "phantoms": 160,
    },
    # the paper's recipe: arXiv:2509.25265, sections 4.1 and 4.4; its averaging has no start
    "paper": {
        "size": 512,
        "pretrained": "imagenet",
        "epochs": 200,
        "swa_start": 20,
        "learning_rate": 1e-4,
        "batch_size": 16,
        "noise_seeds": 3,
        "phantoms": 1000,
    },
}

# clean, of a constant answer, lost at the highest quantum and at the highest electronic severity
_ENDS = ("", "_constant", "_sq", "_se")
_COLUMNS = [f"{metric}{end}" for metric in ("auprc", "auroc", "f1") for end in _ENDS]
_COLUMNS.remove("auroc_constant")


def main() -> None:
    """Run one sweep per pair, print their table, and say what was written where."""
    networks = ["resnet34", "densenet121", "efficientnet_b0"]
    parser = sweep_parser(__doc__, PROFILES, networks, "ChestX-ray14 or one laid out like it")
    parser.add_argument(
        "--pairs",
        nargs="+",
        default=list(PAIRS),
        metavar="'A / B'",
        help="findings, or No Finding; the second is the positive one",
    )
    parser.add_argument(
        "--with-others", action="store_true", help="films may show other findings than the pair's"
    )
    parser.add_argument("--pretrained", metavar="imagenet|none|FILE")
    parser.add_argument("--test-list", type=Path, metavar="FILE", help="names of the test films")
    chosen = parse(parser, PROFILES)
    start = time.monotonic()
    folder = "-".join(["cls", chosen.profile, *(["data"] if chosen.data else [])])
    out = chosen.out or Path("runs") / folder
    settings = sweep_settings(chosen)
    settings["options"]["test_list"] = str(chosen.test_list) if chosen.test_list else None
    settings["options"]["with_others"] = chosen.with_others
    settings["training"]["pretrained"] = chosen.pretrained
    sweeps, tables = [], []
    for number, pair in enumerate(chosen.pairs, start=1):
        print(f"({number}/{len(chosen.pairs)}) {pair}, {films_of(chosen)}, size {chosen.size}")
        sweep = Sweep(
            bundle=BUNDLE,
            out=out / "-".join(pair.replace("/", " ").split()),
            task=pair,
            measure="binary",
            labels=[pair.split("/")[-1].strip()],
            **{**settings, "options": {**settings["options"], "pair": pair}},
        )
        sweeps.append(sweep)
        tables.append(carry_out(sweep, chosen))
    if any(table is None for table in tables):
        return
    table = LongTable.joined(tables)
    written = write_long_table(out, table, csv=chosen.csv)
    summary = task_table(table)[["task", *_COLUMNS]]
    print(f"\nMean over {', '.join(chosen.arch)}; F1 at probability 0.5\n")
    print(markdown(summary))
    print(dose_words(chosen))
    dose = normal_dose(chosen)
    findings = find_in_sweeps(sweeps, chosen.arch, table, dose)
    print(*headline(findings), sep="\n")
    written += [
        *write_table(summary, out / "summary"),
        plot_tasks(
            table, out / "curves.png", f"mean of {', '.join(chosen.arch)}", normal_dose=dose
        ),
    ]
    if len(checkpoints := checkpoint_table(table)):
        kept = checkpoints[["weights", "networks", *_COLUMNS]]
        written += write_table(kept, out / "checkpoints")
        print("\nLowest validation loss and averaged weights, mean over pairs\n")
        print(markdown(kept))
    title, repeat = f"Findings under noise: {films_of(chosen)}", shlex.join(["python", *sys.argv])
    written += write_report(sweeps, findings, out, title, repeat)
    if not chosen.data:
        print("Phantoms demonstrate the pipeline; they say nothing about patients.")
    say_written(written, start)


if __name__ == "__main__":
    run(main)
