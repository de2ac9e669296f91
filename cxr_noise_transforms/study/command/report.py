"""Write the report of long tables: those of stress tests and sweeps, in one file or in several.

cxr-noise report runs/mine/per_image.parquet --title "My model under noise" --out runs/report
cxr-noise report a/per_image.parquet b/per_image.csv.gz --validation a/validation.parquet
cxr-noise report runs/mine/per_image.parquet --readings clinical.csv --groups Sex Age=40,60

Parquet is read a cell at a time, CSV and readings into memory. Where groups are compared, all of
the table is held in memory.
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
    from cxr_noise_transforms.study.table import LongTable


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
    from cxr_noise_transforms.study.table import LongTable, open_table

    table, groups = open_table(chosen.tables), chosen.groups
    _refuse_twice(table)
    if chosen.readings:
        lacking = {name: one for one in groups if (name := _column(one)) not in table.columns}
        table = LongTable.of(with_groups(table.frame(), chosen.readings, lacking.values()))
        # what is from the readings is cut already
        groups = [name if (name := _column(one)) in lacking else one for one in groups]
    thresholds = None
    if chosen.validation:
        thresholds = validation_thresholds(open_table(chosen.validation))
    networks = ", ".join(table.cells.network.unique())
    print(
        f"{len(table):,} rows: {', '.join(table.cells.task.unique())}; {networks}; "
        f"{len(table.distinct('image')):,} films"
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


def _refuse_twice(table: LongTable) -> None:
    """Raise ``ValueError`` where files hold the same rows."""
    names = [name for name in table.columns if name not in ("value", "target")]
    count, first = 0, None
    for rows in table.chunks(*names):
        twice = rows[rows.duplicated()]
        count += len(twice)
        first = twice.iloc[0] if first is None and len(twice) else first
    if first is not None:
        raise ValueError(
            f"the tables must hold each row once, but hold {count:,} twice, the first of "
            f"network {first.network}, film {first.image}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cxr-noise report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("tables", nargs="+", type=Path, metavar="TABLE", help="Parquet, or CSV, packed or not")
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
