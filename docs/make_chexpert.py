"""Write docs/study-chexpert.md's results: ``python docs/make_chexpert.py [FINDINGS SIZES]``.

Two finished folders are taken into ``examples/results/chexpert`` first: that of
``examples/chexpert.py`` on phantoms, and that of ``examples/resolution.py`` on real films.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report.document import Section, Table
from cxr_noise_transforms.study.report.document import markdown as document_markdown
from cxr_noise_transforms.study.report.networks import networks_table, plane_table, plot_plane
from cxr_noise_transforms.study.report.words import interval, p_value
from cxr_noise_transforms.study.statistics.comparisons import network_tests
from cxr_noise_transforms.study.statistics.long_table import MEAN
from cxr_noise_transforms.study.statistics.plane import resolution_plane
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results" / "chexpert"
PAGE = ROOT / "docs" / "study-chexpert.md"
BEGIN, END = "<!-- results: written by docs/make_chexpert.py -->", "<!-- end of results -->"
# a loss of AUROC below this is taken for none
NOTHING = 0.02
ALPHA = 0.05


def take_findings(folder: Path) -> None:
    """Keep the clean scores of every network of the study on phantoms, and how it was made."""
    table = read_table(folder / "per_image.parquet")
    keep(table[(table.sq == 0) & (table.se == 0)], "policies")
    first = next(path for path in sorted(folder.glob("flip-*/run.json")))
    shutil.copy(first, RESULTS / "policies.json")


def take_sizes(folder: Path) -> None:
    """Keep the scores of the trainings of which every size is finished, and how they were made."""
    tables, sizes = {}, set()
    for path in folder.glob("*px-seed*/per_image.parquet"):
        size, seed = path.parent.name.split("px-seed")
        tables[int(size), int(seed)] = read_table(path)
        sizes.add(int(size))
    seeds = {seed for _, seed in tables}
    whole = [seed for seed in seeds if all((size, seed) in tables for size in sizes)]
    parts = [
        table.assign(network=f"{size} px")
        for (size, seed), table in sorted(tables.items(), reverse=True)
        if seed in whole
    ]
    keep(pd.concat(parts, ignore_index=True), "sizes")
    shutil.copy(folder / f"{max(sizes)}px-seed0" / "run.json", RESULTS / "sizes.json")


def keep(table: pd.DataFrame, name: str) -> None:
    """A long table's best weights, packed without a time, so that it gives the same file again."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    table = table[table.weights == "best"]
    table.assign(value=table.value.round(6)).to_csv(
        RESULTS / f"{name}.csv.gz", index=False, compression={"method": "gzip", "mtime": 0}
    )


def policies() -> tuple[list[str], Resampled]:
    """Which policy comes closest to the truth of the phantoms."""
    table, run = load("policies")
    settings = run["settings"]
    size = settings["size"]
    table = table[table.network.str.endswith(f"-{size}px-frontal")]
    table = table.assign(network=table.network.str.removesuffix(f"-{size}px-frontal"))
    resampled = bootstrap(table)
    lines = [
        "## Which policy comes closest to the truth",
        "",
        made(run, table),
        (
            "The test films' labels are the truth. Differences are from flip, on the same films; "
            "intervals and p values are over patients, with one training of each policy: they say "
            "what other test patients would change, not what another training would."
        ),
        "",
    ]
    for metric in ("auroc", "brier", "accuracy"):
        lines += block(networks_table(network_tests(resampled, metric, "flip"), metric, "Policies"))
    return lines, resampled


def sizes() -> tuple[list[str], Resampled]:
    """What film size costs on real films, and the plane of size and dose."""
    table, run = load("sizes")
    clean = bootstrap(table[table.sq == 0])
    by_network = {name: int(name.split()[0]) for name in table.network.unique()}
    largest = max(by_network, key=lambda name: by_network[name])
    tests = network_tests(clean, "auroc", largest)
    tests["size"] = tests.network.map(by_network)
    tests = tests.sort_values("size", ascending=False)
    accuracy = network_tests(clean, "accuracy", largest)
    accuracy = accuracy.set_index("network").loc[tests.network].reset_index()
    plane = resolution_plane(table, by_network)
    picture = RESULTS / "plane.png"
    plot_plane(plane, picture, "auroc", f"{run['task']}, Shenzhen")
    lines = [
        "## What size costs on real films",
        "",
        made(run, table),
        (
            f"Trainings of each size: {table.training_seed.nunique()}, each with a split of its "
            f"own, the same for every size. Differences are from {largest}."
        ),
        "",
        *block(networks_table(tests, "auroc", run["task"])),
        *block(networks_table(accuracy, "accuracy", run["task"])),
        (
            "Size and dose are one plane: a column is a network of one size, a row is one air "
            "kerma at the detector, told as counted photons per mm² of a field of 430 mm. A film "
            "at an exposure index of 250 has some 47,000 (31,077 per mm² and µGy of IEC "
            "62220-1:2003, RQA9, with a DQE of 0.6)."
        ),
        "",
        *block(plane_table(plane, "auroc")),
        f"![AUROC by size and dose](../{picture.relative_to(ROOT)})",
        "",
    ]
    return lines, clean


def claims(of_policies: Resampled, of_sizes: Resampled) -> list[str]:
    """What the paper says, and what is seen here."""
    down = difference(of_sizes, "224 px", "197 px")
    further = difference(of_sizes, "197 px", "139 px")
    others = network_tests(of_policies, "auroc", "flip")
    others = others[(others.label == MEAN) & others.p.notna()]
    better = others[(others.p_holm < ALPHA) & (others.difference > 0)]
    worse = others[(others.p_holm < ALPHA) & (others.difference < 0)]
    if len(better):
        flips = "not so on phantoms, in one training of each policy"
    elif len(worse) == len(others):
        flips = "so on phantoms, in one training of each policy"
    else:
        flips = "cannot be told here"
    above = ", ".join(better.network) or "none"
    below = ", ".join(worse.network) or "none"
    rows = [
        ("224 to 197 pixels costs nothing", no_loss(down), words(down)),
        ("197 to 139 pixels costs significantly", loss(further), words(further)),
        (
            "randomised flipping is better than ignore, zeros, ones and self-trained",
            flips,
            f"above flip beyond the chance of patients: {above}; below: {below}",
        ),
        (
            "Cardiomegaly, Consolidation and Edema come out 3 % above CheXpert's networks",
            "cannot be told here, nor from 200 studies",
            "no CheXpert films here; an interval on 200 studies is wider than 3 %, see above",
        ),
        (
            "an ensemble over frontal and lateral views; class activation maps",
            "run on folders in CheXpert's layout; not measured",
            "phantoms are frontal, and no lateral films are at hand",
        ),
    ]
    return [
        "## The paper's claims",
        "",
        "| claim | verdict | seen here |",
        "|---|---|---|",
        *(f"| {claim} | {verdict} | {seen} |" for claim, verdict, seen in rows),
        "",
        f"A loss counts as none where the whole interval lies within ±{NOTHING} AUROC.",
        "",
    ]


def difference(resampled: Resampled, reference: str, network: str) -> pd.Series:
    """The change of AUROC from one size to another, as a row with an interval."""
    tests = network_tests(resampled.select(network=[reference, network]), "auroc", reference)
    row = tests[tests.network == network].iloc[0]
    return row.rename({"value": "level", "lower": "low", "upper": "high"}).rename(
        {"difference": "value", "difference_lower": "lower", "difference_upper": "upper"}
    )


def no_loss(change: pd.Series) -> str:
    """Whether nothing was lost."""
    if change.lower > -NOTHING and change.upper < NOTHING:
        return "confirmed"
    return "refuted" if change.p < ALPHA and change.value < 0 else "cannot be told here"


def loss(change: pd.Series) -> str:
    """Whether something was lost."""
    if change.p < ALPHA:
        return "confirmed" if change.value < 0 else "refuted"
    within = change.lower > -NOTHING and change.upper < NOTHING
    return "refuted" if within else "cannot be told here"


def words(change: pd.Series) -> str:
    """The change with its interval and p value."""
    return f"AUROC changes by {interval(change, '+.3f')}, p = {p_value(change.p)}"


def load(name: str) -> tuple[pd.DataFrame, dict]:
    """A committed long table and its record."""
    record = json.loads((RESULTS / f"{name}.json").read_text())
    return read_table(RESULTS / f"{name}.csv.gz"), record


def made(run: dict, table: pd.DataFrame) -> str:
    """What was run on what."""
    settings = run["settings"]
    [(arch, _)] = run["networks"].items()
    films = "phantoms" if settings["dataset_dir"] == "phantom" else settings["dataset_dir"]
    weights = Path(settings["pretrained"]).stem
    return (
        f"{arch}, weights {weights}, {settings['epochs']} epochs at {settings['learning_rate']:g}, "
        f"batches of {settings['batch_size']}; films: {films}, of which "
        f"{table.image.nunique()} to test. {run['machine']}, torch {run['torch']}, revision "
        f"{run['revision']}."
    )


def block(table: Table) -> list[str]:
    """A table in Markdown."""
    text = document_markdown("", [Section("", [table])], "")
    return [*text.splitlines()[2:], ""]


def main() -> None:
    """Replace the generated part of docs/study-chexpert.md."""
    if len(sys.argv) == 3:
        take_findings(Path(sys.argv[1]))
        take_sizes(Path(sys.argv[2]))
    of_policies, policy_draws = policies()
    of_sizes, size_draws = sizes()
    lines = [*of_policies, *of_sizes, *claims(policy_draws, size_draws)]
    before, rest = PAGE.read_text().split(BEGIN)
    with whole_file(PAGE) as beside:
        beside.write_text(before + "\n".join([BEGIN, "", *lines]) + END + rest.split(END)[1])
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
