"""Tables of numbers in words: metrics by their names, as Markdown and CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms.study.files import whole_file

from .words import metric_name, number

_HEADER = {
    "sq": "s_q",
    "se": "s_e",
    "photons": "photons/pixel",
    "sigma": "sigma",
    "networks": "networks",
}


def markdown(table: pd.DataFrame) -> str:
    """A table of this module in Markdown."""
    lines = ["| " + " | ".join(_title(name) for name in table) + " |"]
    numbers = [pd.api.types.is_numeric_dtype(table[name]) for name in table]
    lines.append("|" + "".join(" ---: |" if number else " --- |" for number in numbers))
    lines += [
        "| " + " | ".join(_cell(name, value) for name, value in row.items()) + " |"
        for row in table.to_dict("records")
    ]
    return "\n".join(lines) + "\n"


def write_table(table: pd.DataFrame, stem: Path) -> list[Path]:
    """The table as ``<stem>.csv`` and ``<stem>.md``."""
    paths = [stem.with_suffix(".csv"), stem.with_suffix(".md")]
    with whole_file(paths[0]) as beside:
        table.to_csv(beside, index=False)
    with whole_file(paths[1]) as beside:
        beside.write_text(markdown(table))
    return paths


def _title(name: str) -> str:
    for ending, words in (
        ("_constant", "of a constant answer"),
        ("_diff", "diff"),
        ("_sq", "lost at highest s_q"),
        ("_se", "lost at highest s_e"),
    ):
        if name.endswith(ending):
            return f"{_title(name.removesuffix(ending))} {words}"
    return _HEADER.get(name, metric_name(name))


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name in _HEADER:
        return f"{value:.4g}"
    return number(value, "+.3f" if name.endswith("_diff") else ".3f")
