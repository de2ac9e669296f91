"""Write the report of long tables: those of stress tests and sweeps, in one file or in several.

cxr-noise report runs/mine/per_image.csv --title "My model under noise" --out runs/report
cxr-noise report a/per_image.csv.gz b/per_image.csv.gz --validation a/validation.csv.gz
cxr-noise report runs/mine/per_image.csv --readings clinical.csv --groups Sex Age=40,60
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .ladders import add_dose, dose_words, normal_dose
from .terminal import say_written

if TYPE_CHECKING:
    import pandas as pd


def main(arguments: Sequence[str]) -> int:
    """Write the report, and say where it is."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.readings and not chosen.groups:
        parser.error("--readings needs --groups: which of its columns are compared")
    start = time.monotonic()
    from cxr_noise_transforms.study.films import with_groups
    from cxr_noise_transforms.study.report import find, headline, write_report_of_findings
    from cxr_noise_transforms.study.report.subgroups import subgroup_words
    from cxr_noise_transforms.study.statistics import validation_thresholds

    table, groups = _joined(chosen.tables), chosen.groups
    if chosen.readings:
        lacking = {name: one for one in groups if (name := _column(one)) not in table}
        table = with_groups(table, chosen.readings, lacking.values())
        # what is from the readings is cut already
        groups = [name if (name := _column(one)) in lacking else one for one in groups]
    thresholds = validation_thresholds(_joined(chosen.validation)) if chosen.validation else None
    networks = ", ".join(table.network.unique())
    print(
        f"{len(table):,} rows: {', '.join(table.task.unique())}; {networks}; "
        f"{table.image.nunique():,} films"
    )
    title = chosen.title or f"{networks} under noise"
    about = {"Tables": ", ".join(map(str, chosen.tables))}
    dose = normal_dose(chosen) if chosen.pixel_pitch else math.nan
    if chosen.pixel_pitch:
        about["Dose"] = dose_words(chosen)
    findings = find(table, thresholds, normal_dose=dose, groups=groups)
    written = write_report_of_findings(chosen.out, findings, title, about)
    print(*headline(findings), *subgroup_words(findings), sep="\n")
    say_written(written, start)
    return 0


def _column(group: str) -> str:
    return group.partition("=")[0].strip()


def _joined(files: Sequence[Path]) -> pd.DataFrame:
    """The rows of all files.

    Raises:
        ValueError: a file is no long table, or one row is there twice.
    """
    import pandas as pd

    whole = pd.concat(map(_read, files), ignore_index=True)
    twice = whole[whole.duplicated(whole.columns.difference(["value", "target"]))]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"the tables must hold each row once, but hold {len(twice):,} twice, the first of "
            f"network {row.network}, film {row.image}"
        )
    return whole


def _read(file: Path) -> pd.DataFrame:
    from cxr_noise_transforms.study import read_table

    try:
        return read_table(file)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file} must be a long table as CSV: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cxr-noise report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("tables", nargs="+", type=Path, metavar="TABLE", help="CSV, packed or not")
    add_dose(parser, "without it severities have no dose")
    add("--validation", nargs="+", type=Path, metavar="TABLE",
        help="clean validation films, for the threshold of F1")  # fmt: skip
    add("--groups", nargs="+", metavar="NAME",
        help="columns whose groups are compared, as sex or age=40,60; default: all that "
        "not every table has")  # fmt: skip
    add("--readings", type=Path, metavar="CSV",
        help="the groups' table, a row per film, where the tables lack them")  # fmt: skip
    add("--title", help="default: the networks' names")
    add("--out", type=Path, default=Path("runs") / "report", help="folder of the report")
    return parser
