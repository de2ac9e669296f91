"""Train classifiers of five findings on small films with uncertain labels, by policy and by size.

Without arguments: phantoms that show five findings, whose labels become uncertain by a known rule,
so that it can be told which policy comes closest to the truth; some minutes on two cores. With
``--data DIR``: CheXpert's films, frontal and lateral. A second call resumes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms import quantum_severity
from cxr_noise_transforms.study.columns import UNDEGRADED
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
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import FIVE, POLICIES
from cxr_noise_transforms.study.films.labels import write_teacher
from cxr_noise_transforms.study.report.document import Block, Section, Text
from cxr_noise_transforms.study.report.document import markdown as document_markdown
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.report.maps import finding_maps, map_words
from cxr_noise_transforms.study.report.networks import networks_table, plane_table, plot_plane
from cxr_noise_transforms.study.report.page import write_report_of_findings
from cxr_noise_transforms.study.statistics.comparisons import network_tests
from cxr_noise_transforms.study.statistics.plane import resolution_plane
from cxr_noise_transforms.study.statistics.resampling import bootstrap
from cxr_noise_transforms.study.statistics.studies import COMBINE, by_study, ensemble
from cxr_noise_transforms.study.table import LongTable, write_long_table

BUNDLE = Path(__file__).parent / "bundles" / "classification"
METRICS = ("auroc", "accuracy", "brier")
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "size": [48, 32],
        "pretrained": "none",
        "epochs": 8,
        "swa_start": None,
        "learning_rate": 1e-3,
        "batch_size": 16,
        "noise_seeds": 1,
        "phantoms": 800,
        "photons": [1000.0, 100.0, 10.0],
    },
    # sizes of arXiv:2504.09033 after the 320 of CheXpert's authors, whose batch size and learning
    # rate these are (arXiv:1901.07031); what else the paper chose is not public
    "paper": {
        "size": [320, 224, 197, 139],
        "pretrained": "imagenet",
        "epochs": 10,
        "swa_start": None,
        "learning_rate": 1e-4,
        "batch_size": 16,
        "noise_seeds": 3,
        "phantoms": 4000,
        "photons": [10000.0, 1000.0, 100.0, 10.0],
    },
}


@dataclass(frozen=True)
class Training:
    """One network of the study."""

    policy: str
    size: int
    view: str = "frontal"

    @property
    def folder(self) -> str:
        """Where it lies."""
        return f"{self.policy}-{self.size}px-{self.view}"


def main() -> None:
    """Train and measure every network, print the tables, and say what was written where."""
    chosen = command_line()
    start = time.monotonic()
    out = chosen.out or Path("runs") / "-".join(
        ["chexpert", chosen.profile, *(["data"] if chosen.data else [])]
    )
    print(f"{films_of(chosen)}; findings: {', '.join(chosen.findings)}; blank labels count as 0")
    sizes, policies = chosen.size, chosen.policies
    wanted = [Training(policy, sizes[0]) for policy in policies]
    wanted += [Training(policies[0], size) for size in sizes[1:]]
    if "lateral" in chosen.views:
        wanted.append(Training(policies[0], sizes[0], "lateral"))
    tables = {}
    for number, training in enumerate(wanted, start=1):
        print(f"({number}/{len(wanted)}) {training.policy}, {training.size} px, {training.view}")
        table = carry_out(sweep_of(training, chosen, out), chosen)
        if table is not None:
            tables[training] = table.frame()
    if len(tables) < len(wanted):
        return
    named = [LongTable.of(table.assign(network=one.folder)) for one, table in tables.items()]
    written = write_long_table(out, LongTable.joined(named), csv=chosen.csv)
    written += report(chosen, tables, out)
    if not chosen.data:
        print("Phantoms demonstrate the pipeline; they say nothing about patients.")
    say_written(written, start)


def command_line() -> argparse.Namespace:
    """The options, checked."""
    parser = sweep_parser(__doc__, PROFILES, ["densenet121"], "CheXpert", several_sizes=True)
    add = parser.add_argument
    add("--findings", nargs="+", default=list(FIVE), metavar="NAME", help="default: the five")
    add("--policies", nargs="+", choices=POLICIES, metavar="NAME",
        default=["flip", "ignore", "zeros", "ones", "self-trained", "multi-class"],
        help=f"the others are compared with the first: {', '.join(POLICIES)}")  # fmt: skip
    add("--flip-probability", type=_probability, default=0.5, metavar="P|prevalence",
        help="that a flipped label is 1; prevalence: that of the certain labels")  # fmt: skip
    add("--views", nargs="+", choices=("frontal", "lateral"), default=["frontal"],
        help="a network for each, and their ensemble; phantoms are frontal")  # fmt: skip
    add("--combine", choices=COMBINE, default="mean", help="the scores of a study's films")
    add("--pretrained", metavar="imagenet|none|FILE")
    add("--photons", nargs="+", type=float,
        help="per pixel of the first size; other sizes get as many per film")  # fmt: skip
    chosen = parse(parser, PROFILES)
    if len(chosen.arch) > 1:
        parser.error(f"--arch must be one network, got {' '.join(chosen.arch)}")
    if len(set(chosen.policies)) < len(chosen.policies):
        parser.error("--policies must name each policy once")
    if "frontal" not in chosen.views:
        parser.error("--views must hold frontal")
    if "lateral" in chosen.views and not chosen.data:
        parser.error("--views lateral needs --data: phantoms are frontal")
    if min(chosen.photons) <= 0:
        parser.error("--photons must be positive")
    return chosen


def sweep_of(training: Training, chosen: argparse.Namespace, out: Path) -> Sweep:
    """The sweep of one network; a self-trained one has its teacher trained first."""
    settings = sweep_settings(chosen)
    settings["options"] |= {
        "size": training.size,
        "findings": chosen.findings,
        "view": training.view,
        "policy": training.policy,
    }
    settings["training"] |= {
        "pretrained": chosen.pretrained,
        "flip_probability": chosen.flip_probability,
    }
    if training.policy == "self-trained":
        settings["training"]["teacher"] = str(teacher_of(training, chosen, out))
    side = training.size / chosen.size[0]
    doses = [(float(quantum_severity(photons / side**2)), 0.0) for photons in chosen.photons]
    return Sweep(
        bundle=BUNDLE,
        out=out / training.folder,
        task="findings",
        measure="multilabel",
        labels=chosen.findings,
        cells=[(0.0, 0.0), *doses],
        variant="findings",
        **settings,
    )


def teacher_of(training: Training, chosen: argparse.Namespace, out: Path) -> Path:
    """The probabilities that a network which ignores uncertain labels gives to the films."""
    sweep = sweep_of(Training("ignore", training.size, training.view), chosen, out)
    [arch] = chosen.arch
    path = sweep.out / "teacher.csv"
    if not path.is_file():
        sweep.train([arch])
        with whole_file(path) as beside:
            write_teacher(beside, sweep.clean_scores(arch, "train"))
    return path


def report(
    chosen: argparse.Namespace, tables: dict[Training, pd.DataFrame], out: Path
) -> list[Path]:
    """The tables, the plane and the report; prints the tables."""
    sizes, policies = chosen.size, chosen.policies
    best = {one: table[table.weights == "best"] for one, table in tables.items()}
    of_studies = {one: by_study(table, chosen.combine) for one, table in best.items()}
    first = Training(policies[0], sizes[0])

    by_policy = joined({policy: of_studies[Training(policy, sizes[0])] for policy in policies})
    by_size = joined({f"{size} px": of_studies[Training(policies[0], size)] for size in sizes})
    axes = {f"Policies at {sizes[0]} px": by_policy, f"Sizes, policy {policies[0]}": by_size}
    if len(sizes) > 1:
        once = reduced(sweep_of(first, chosen, out), chosen.arch[0], sizes)
        axes[f"Films reduced and brought back to {sizes[0]} px"] = by_study(once, chosen.combine)
    lateral = Training(policies[0], sizes[0], "lateral")
    if lateral in best:
        both = ensemble([best[first], best[lateral]], "both views", chosen.combine)
        views = {"frontal": of_studies[first], "lateral": of_studies[lateral]}
        axes["Views"] = pd.concat([joined(views), both], ignore_index=True)
    sections = [Section(name, compared(table, name)) for name, table in axes.items()]
    print(document_markdown(f"{films_of(chosen)}, {chosen.arch[0]}", sections, "report"))

    plane = resolution_plane(by_size, {f"{size} px": size for size in sizes})
    picture = plot_plane(plane, out / "plane.png", "auroc", "mean AUROC by resolution and dose")
    noisy = (float(quantum_severity(chosen.photons[-1])), 0.0)
    maps = finding_maps(sweep_of(first, chosen, out), chosen.arch[0], best[first], noisy)
    sections += [
        Section("Resolution and dose", [plane_table(plane, "auroc")]),
        Section("Where the network looks", [Text(map_words(chosen.findings)), *maps]),
    ]
    about = {
        "films": films_of(chosen),
        "network": chosen.arch[0],
        "unit": f"the study: {chosen.combine} of the scores of its films",
        "blank labels": "count as 0, a choice",
        "flip probability": str(chosen.flip_probability),
    }
    title = f"Five findings, uncertain labels, small films: {films_of(chosen)}"
    return [picture, *write_report_of_findings(out, find(by_policy), title, about, more=sections)]


def reduced(sweep: Sweep, arch: str, sizes: Sequence[int]) -> pd.DataFrame:
    """The first network on films that have lost resolution: the same size, fewer true pixels."""
    names = {f"resolution={sizes[0] / size:.6g}": f"by way of {size} px" for size in sizes[1:]}
    content = sweep.evaluation(arch).parser.get_parsed_content
    out = sweep.out / arch / "reduced"
    how = {"cells": [(0.0, 0.0)], "degradations": [UNDEGRADED, *names]}
    table = sweep.stress(arch, content("network"), content, out, **how).frame()
    network = table.degradation.map({UNDEGRADED: f"{sizes[0]} px", **names})
    return table.assign(network=network, degradation=UNDEGRADED)


def compared(table: pd.DataFrame, name: str) -> list[Block]:
    """Levels and paired differences from the first network, by metric."""
    resampled, reference = bootstrap(table), table.network.iloc[0]
    blocks: list[Block] = [
        Text(f"Differences are from {reference}, on the same studies; p after Holm's correction.")
    ]
    for metric in METRICS:
        tests = network_tests(resampled, metric, reference)
        # in the order of the command line
        tests = tests.set_index("network").loc[list(table.network.unique())].reset_index()
        blocks.append(networks_table(tests, metric, name))
    return blocks


def joined(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Long tables of several networks as one, by their names in this comparison."""
    named = [table.assign(network=name) for name, table in tables.items()]
    return pd.concat(named, ignore_index=True)


def _probability(text: str) -> float | str:
    if text == "prevalence":
        return text
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1 or prevalence, got {text}")
    return float(text)


if __name__ == "__main__":
    run(main)
