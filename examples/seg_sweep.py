"""Train UNet, DeepLabV3 and FPN on clean films and measure them under the severity ladder.

Without arguments: an embedded chest phantom, a small encoder, a few minutes on a CPU. With
``--data DIR``: the Landmark dataset's films. A second call resumes.
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
from cxr_noise_transforms.study.films import ORGANS
from cxr_noise_transforms.study.report.answers import headline
from cxr_noise_transforms.study.report.figures import plot_curves
from cxr_noise_transforms.study.report.markdown import markdown, write_table
from cxr_noise_transforms.study.report.page import find_in_sweeps, write_report
from cxr_noise_transforms.study.statistics.summaries import checkpoint_table, severity_table
from cxr_noise_transforms.study.table import long_tables

BUNDLE = Path(__file__).parent / "bundles" / "segmentation"
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "size": 96,
        "encoder": "resnet18",
        "encoder_weights": "none",
        "epochs": 12,
        "swa_start": 9,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "noise_seeds": 1,
        "phantoms": 100,
    },
    # the paper's recipe: arXiv:2509.25265, sections 4.1 and 4.4; its averaging has no start
    "paper": {
        "size": 512,
        "encoder": "resnet34",
        "encoder_weights": "imagenet",
        "epochs": 200,
        "swa_start": 20,
        "learning_rate": 1e-4,
        "batch_size": 8,
        "noise_seeds": 3,
        "phantoms": 1000,
    },
}


def main() -> None:
    """Run the sweep, print its table, and say what was written where."""
    networks = ["Unet", "DeepLabV3", "FPN"]
    parser = sweep_parser(__doc__, PROFILES, networks, "the Landmark dataset")
    parser.add_argument("--organs", choices=ORGANS, default="lungs")
    parser.add_argument("--source", help="films of one source alone, e.g. Shenzhen")
    parser.add_argument("--leave-out", metavar="SOURCE", help="keep one source for testing alone")
    parser.add_argument("--encoder", help="encoder of smp")
    parser.add_argument("--encoder-weights", metavar="imagenet|none|FILE")
    # the networks halve their films five times
    chosen = parse(parser, PROFILES, multiple=32)
    start = time.monotonic()
    without = chosen.leave_out and f"without-{chosen.leave_out}"
    task = "-".join(filter(None, [chosen.organs, chosen.source, without])).lower()
    films = films_of(chosen)
    out = chosen.out or Path("runs") / "-".join(
        ["seg", task, chosen.profile, *(["data"] if chosen.data else [])]
    )
    settings = sweep_settings(chosen)
    settings["options"] |= {
        "organs": chosen.organs,
        "source": chosen.source,
        "leave_out": chosen.leave_out,
        "encoder": chosen.encoder,
    }
    settings["training"]["encoder_weights"] = chosen.encoder_weights
    sweep = Sweep(
        bundle=BUNDLE,
        out=out,
        task=task,
        measure="segmentation",
        labels=ORGANS[chosen.organs],
        **settings,
    )
    print(f"{task}, {films}, {chosen.size} x {chosen.size}, {chosen.encoder}")
    print(dose_words(chosen))
    table = carry_out(sweep, chosen)
    if table is None:
        return
    summary = severity_table(table)
    count = len(table.distinct("image"))
    print(f"\nMean over {', '.join(chosen.arch)}; {count} test films; diff from clean\n")
    print(markdown(summary))
    dose = normal_dose(chosen)
    findings = find_in_sweeps([sweep], chosen.arch, table, dose)
    print(*headline(findings), sep="\n")
    written = [
        *long_tables(out, csv=chosen.csv),
        *write_table(summary, out / "summary"),
        plot_curves(table, out / "curves.png", f"{task}, {films}", normal_dose=dose),
    ]
    if len(checkpoints := checkpoint_table(table)):
        written += write_table(checkpoints, out / "checkpoints")
        print("\nLowest validation loss and averaged weights\n")
        print(markdown(checkpoints))
    title, repeat = f"{task} under noise: {films}", shlex.join(["python", *sys.argv])
    written += write_report([sweep], findings, out, title, repeat)
    if not chosen.data:
        print("Phantoms demonstrate the pipeline; they say nothing about patients.")
    say_written(written, start)


if __name__ == "__main__":
    run(main)
