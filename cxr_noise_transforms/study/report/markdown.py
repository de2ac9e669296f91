"""Tables of numbers in words: metrics by their names, as Markdown and CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.statistics.performance import METRICS

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


def metric_name(metric: str) -> str:
    """A metric in words."""
    return METRICS.get(metric, metric)


def _title(name: str) -> str:
    for ending, words in (
        ("_diff", "diff"),
        ("_sq", "lost at highest s_q"),
        ("_se", "lost at highest s_e"),
    ):
        if name.endswith(ending):
            return f"{_title(name.removesuffix(ending))} {words}"
    return {**METRICS, **_HEADER}.get(name, name)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if name.endswith("_diff"):
        return f"{value:+.3f}"
    # + 0.0: no minus before a zero
    return f"{value:.4g}" if name in _HEADER else f"{round(value, 3) + 0.0:.3f}"
