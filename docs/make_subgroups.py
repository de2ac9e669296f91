"""Write docs/subgroups.md's example: ``python docs/make_subgroups.py [DATA]``.

DATA has the readings of the films behind ``examples/results``, as ``landmark/clinical.csv`` and
``tb/Data_Entry_2017.csv``; from them docs/results/subgroups.json is made, which holds no film's
reading. Without DATA the page is written from that file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import with_groups
from cxr_noise_transforms.study.report import find, markdown
from cxr_noise_transforms.study.report.subgroups import subgroup_words
from cxr_noise_transforms.study.report.words import interval, metric_name, p_value

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "subgroups.md"
RESULT = ROOT / "docs" / "results" / "subgroups.json"
BEGIN, END = "<!-- groups: written by docs/make_subgroups.py -->", "<!-- end of groups -->"
# results, readings, and the columns of these
STUDIES = {
    "landmark/lungs": ("landmark/clinical.csv", ("Sex", "Age=40,60")),
    "tb/No-Finding-Tuberculosis": (
        "tb/Data_Entry_2017.csv",
        ("Patient Gender", "Patient Age=40,60"),
    ),
}
RESAMPLES = 2_000


def measure(data: Path) -> dict[str, Any]:
    """What is found in every study, in words and as the rows of a table."""
    found: dict[str, Any] = {"resamples": RESAMPLES, "words": [], "rows": []}
    for study, (readings, columns) in STUDIES.items():
        table = read_table(ROOT / "examples" / "results" / study / "per_image.csv.gz")
        names = [column.partition("=")[0] for column in columns]
        (one,) = find(
            with_groups(table, data / readings, columns), resamples=RESAMPLES, groups=names
        )
        found["words"] += [f"{one.task}, {line}" for line in subgroup_words([one])]
        metric = one.metrics[0]
        end = one.last(metric, "se")
        for part in one.subgroups:
            by = part.select(metric=metric, sq=0, se=[0, end])
            levels = by.levels().set_index(["group", "se"])
            changes = by.changes().set_index("group")
            more = by.differences_of_changes().set_index("group")
            for group, counts in part.counts.iterrows():
                tested = group in more.index
                found["rows"].append(
                    {
                        "task": one.task,
                        "group": f"{part.column}: {group}",
                        "patients": f"{counts.patients:,}",
                        "metric": metric_name(metric),
                        "clean": interval(levels.loc[(group, 0.0)]),
                        f"change at s_e = {end:g}": interval(changes.loc[group], "+.3f"),
                        "difference from the largest group's": interval(more.loc[group], "+.3f")
                        if tested
                        else "",
                        "p": p_value(more.p[group]) if tested else "",
                    }
                )
    return found


def main() -> None:
    """Measure where there is data, and replace the generated part of the page."""
    if len(sys.argv) > 1:
        with whole_file(RESULT) as beside:
            beside.write_text(json.dumps(measure(Path(sys.argv[1])), indent=1) + "\n")
    found = json.loads(RESULT.read_text())
    lines = [
        (
            "The networks of [the study](study.md) on its test films, by the sex and age that come "
            "with them, with no training or measurement for it. These are "
            f"{len(found['words'])} looks: what stands out is to be asked again of other films."
        ),
        "",
        *(f"- {line}" for line in found["words"]),
        "",
        (
            f"At the end of the electronic axis ({found['resamples']:,} resamples; p of this "
            "comparison alone):"
        ),
        "",
        markdown(pd.DataFrame(found["rows"])),
    ]
    text = PAGE.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    with whole_file(PAGE) as beside:
        beside.write_text(f"{text[:start]}\n\n" + "\n".join(lines) + f"\n{text[end:]}")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
