"""Write docs/explaining.md's results from the committed ones: ``python docs/make_explaining.py``.

Folders of finished ``examples/explain.py`` that are named are taken into ``examples/results``
first: the first metric alone, values to five decimals.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from cxr_noise_transforms import ElectronicNoise, image_seeds
from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.evaluation.explaining import CLEAN
from cxr_noise_transforms.study.evaluation.kinds import MatchedQuantumNoise, band_density
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import chest_phantom
from cxr_noise_transforms.study.report.explained import (
    BAND_NAMES,
    PAIRS,
    Explained,
    band_words,
    find_explained,
    rms_words,
)
from cxr_noise_transforms.study.report.explained_tables import band_table, equal_table
from cxr_noise_transforms.study.report.explaining import STARS, answers, panels
from cxr_noise_transforms.study.report.looked import (
    Looked,
    attention_table,
    shift_table,
)
from cxr_noise_transforms.study.report.markdown import markdown
from cxr_noise_transforms.study.report.variants import (
    TOLD,
    network_table,
    variant_table,
    variants,
)
from cxr_noise_transforms.study.report.words import interval, number
from cxr_noise_transforms.study.statistics.long_table import MEAN

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "examples" / "results" / "explaining"
PAGE = ROOT / "docs" / "explaining.md"
FIGURES = ROOT / "docs" / "figures"
BEGIN, END = "<!-- results: written by docs/make_explaining.py -->", "<!-- end of results -->"
RESAMPLES = 2000


def take(folder: Path) -> None:
    """Copy a task's results to ``examples/results/explaining``."""
    run = json.loads((folder / "run.json").read_text())
    target = RESULTS / "-".join(run["task"].replace("/", " ").split())
    target.mkdir(parents=True, exist_ok=True)
    table = read_table(folder / "per_image.parquet")
    table = table[table.metric.isin(("dice", "score"))].assign(value=table.value.round(5))
    tables = {
        "per_image": table,
        "attention": read_table(folder / "attention.csv"),
        "shifts": pd.read_csv(folder / "shifts.csv"),
    }
    for name, one in tables.items():
        # without a time of packing, so that the same table gives the same file
        how = {"method": "gzip", "mtime": 0}
        one.to_csv(target / f"{name}.csv.gz", index=False, compression=how)
    (target / "run.json").write_text(json.dumps(run, indent=1) + "\n")


def section(one: Explained, looked: Looked, run: dict[str, Any]) -> str:
    """One task: what was run, the answers, figures and tables."""
    settings = run["settings"]
    films = one.table.drop_duplicates("image")
    sources = ", ".join(f"{name} {many}" for name, many in films.source.value_counts().items())
    trainings = one.table.drop_duplicates(["weights", "training_seed"]).weights.value_counts()
    counted = "; ".join(f"{many} {arm}" for arm, many in trainings.items())
    images = []
    for picture in panels(one):
        name = figure_name(run["task"], picture.file)
        with whole_file(FIGURES / name) as beside:
            beside.write_bytes(picture.content)
        images.append(f"![{picture.alt}](figures/{name})\n")
    equal, bands, networks, made, seen, moved = (
        markdown(pd.DataFrame(rows, columns=header)) if rows else "None.\n"
        for header, rows in (
            equal_table(one), band_table(one), network_table(one), variant_table(one),
            attention_table(looked), shift_table(looked),
        )
    )  # fmt: skip
    lines = [
        f"### {run['task'].capitalize()}",
        "",
        (
            f"{', '.join(run['networks'])}, {settings['size']} x {settings['size']}, trainings of "
            f"each: {counted}; test films: {sources} of {films.patient.nunique()} patients; noise "
            f"seeds: {one.table.noise_seed.nunique()}. Machine: {run['machine']}; torch "
            f"{run['torch']}, revision {run['revision']}."
        ),
        "",
        *(f"- **{lead}.** {words}" for lead, words in answers(one, looked)),
        "",
        *images,
        f"{STARS}.",
        "",
        equal,
        f"Change by noise of one band, {rms_words(one.telling)}:",
        "",
        bands,
        "Networks trained on clean films, under electronic noise; * as above:",
        "",
        networks,
        (
            "The same networks made otherwise, beside the plain ones, under electronic noise; * "
            "marks p < 0.05 after Holm over a row:"
        ),
        "",
        made,
        f"Attention and confidence of {', '.join(looked.maps.network.unique())}:",
        "",
        seen,
        "Batch normalisation of the same, mean over the layers of each third of the network:",
        "",
        moved,
    ]
    return "\n".join(lines)


def figure_name(task: str, panel: str) -> str:
    """File of a task's panel."""
    return f"explaining-{'-'.join(task.replace('/', ' ').lower().split())}-{panel}"


def claims(found: Mapping[str, tuple[Explained, Looked]]) -> str:
    """What each of the paper's claims comes to in every task, with intervals and figures."""
    rows = []
    for task, (one, looked) in found.items():
        mean, unclipped = (one.difference.loc[(CLEAN, pair[1])] for pair in PAIRS)
        changes = one.changes.loc[(CLEAN, MEAN)]
        bands = {band: changes.loc[(band, one.telling)] for band in BAND_NAMES}
        high = [bands[band].value for band in BAND_NAMES[len(BAND_NAMES) // 2 :]]
        low = max(bands, key=lambda band: abs(bands[band].value))
        end = looked.maps.se.max()
        inside = [looked.level((CLEAN, UNDEGRADED, se), "inside") for se in (0.0, end)]
        agreement = looked.level((CLEAN, UNDEGRADED, end), "agreement")
        twins = [each for each in variants(one) if each.arm == f"{CLEAN}, group norm"]
        equal, banded, made = (
            f"[figure](figures/{figure_name(task, panel)})"
            for panel in ("equal.png", "bands-0.png", "variants.png")
        )
        rows.append(
            {
                "task": task,
                "quantum less electronic noise at one RMS": (
                    f"{interval(mean, '+.3f')}; unclipped {interval(unclipped, '+.3f')} {equal}"
                ),
                "most costly band": (
                    f"{band_words(low)} at {rms_words(one.telling)}: "
                    f"{interval(bands[low], '+.3f')}; above 0.25 at most "
                    f"{number(min(high), '+.3f')} {banded}"
                ),
                f"map at {rms_words(end)}": (
                    f"inside {' to '.join(interval(each, '.2f') for each in inside)}; rank "
                    f"correlation with the clean one {interval(agreement, '.2f')}"
                ),
                f"spared by group normalisation at {rms_words(TOLD)}": (
                    f"{interval(twins[0].extra.loc[TOLD], '+.3f')} {made}" if twins else "–"
                ),
            }
        )
    return markdown(pd.DataFrame(rows))


def spectra() -> str:
    """Energy per frequency of both noises on a film, beside what white noise has."""
    film = torch.as_tensor(chest_phantom(0, 64).image / 255).float().expand(1000, 1, -1, -1)
    seeds = image_seeds(0, range(1000))
    rows = []
    for name, noise in (
        ("electronic", ElectronicNoise(1.0)),
        ("quantum", MatchedQuantumNoise(1.0)),
    ):
        found = band_density(noise(film, seed=seeds) - film)[:, 0]
        error = 2 * found.std(0) / len(found) ** 0.5
        rows.append(
            [name, *(f"{m:.3f} ± {e:.3f}" for m, e in zip(found.mean(0), error, strict=True))]
        )
    return markdown(pd.DataFrame(rows, columns=["noise", *map(band_words, BAND_NAMES)]))


def main() -> None:
    """Replace the generated part of docs/explaining.md."""
    for folder in sys.argv[1:]:
        take(Path(folder))
    parts = [
        (
            "Both noises on a phantom, energy per frequency over that of white noise (1,000 draws, "
            "two standard errors), by cycles per pixel:"
        ),
        "",
        spectra(),
    ]
    found, sections = {}, []
    for path in sorted(RESULTS.glob("*/run.json")):
        run = json.loads(path.read_text())
        one = find_explained(read_table(path.parent / "per_image.csv.gz"), RESAMPLES)
        maps = read_table(path.parent / "attention.csv.gz")
        looked = Looked(maps, pd.read_csv(path.parent / "shifts.csv.gz"), RESAMPLES)
        found[run["task"]] = one, looked
        sections.append(section(one, looked, run))
    parts += ["Networks trained on clean films, mean over them:", "", claims(found), *sections]
    text = PAGE.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    with whole_file(PAGE) as beside:
        beside.write_text(f"{text[:start]}\n\n" + "\n".join(parts) + f"\n{text[end:]}")
    print(f"wrote {PAGE.relative_to(ROOT)} and the figures")


if __name__ == "__main__":
    main()
