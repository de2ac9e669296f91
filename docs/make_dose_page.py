"""Make docs/dose-experiment.md's figure and tables: ``python docs/make_dose_page.py``.

Of docs/results/dose_experiment.json, which ``python docs/make_dose_experiment.py`` measures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report.words import interval

DOCS = Path(__file__).parent
RESULTS = DOCS / "results" / "dose_experiment.json"
FIGURE = DOCS / "figures" / "dose_experiment.png"
PAGE = DOCS / "dose-experiment.md"
BEGIN, END = "<!-- written by docs/make_dose_page.py -->", "<!-- end -->"
ORGANS = ("lungs", "heart")
COLOURS = ("black", "#D55E00", "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#CC79A7")
_ACQUIRED = "acquired"


def draw(found: Mapping[str, Any]) -> None:
    """Dice against dose, one panel per organ, one curve per way."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    table = pd.DataFrame(found["dice"]).query("dose > 0")
    for axis, organ in zip(figure.subplots(1, 2), ORGANS, strict=True):
        for (way, words), colour in zip(found["ways"].items(), COLOURS, strict=True):
            curve = table[(table.way == way) & (table.organ == organ)].sort_values("dose")
            axis.plot(curve.dose, curve.value, "o-", color=colour, ms=4, label=words)
            axis.fill_between(curve.dose, curve.lower, curve.upper, color=colour, alpha=0.12, lw=0)
        axis.set_xscale("log", base=2)
        axis.invert_xaxis()
        axis.set(title=organ, xlabel="dose (1 = 1,000 photons in the lungs)", ylabel="Dice")
        axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)
    with whole_file(FIGURE) as beside:
        figure.savefig(beside, dpi=100)


def section(found: Mapping[str, Any]) -> str:
    """The figure, a table per organ, and how far each way is off."""
    levels, off = pd.DataFrame(found["dice"]), pd.DataFrame(found["difference"])
    grain = pd.DataFrame(found["grain"])
    others = [way for way in found["ways"] if way != _ACQUIRED]
    lines = [*(told(found, organ) for organ in ORGANS), ""]
    lines += ["![Dice against dose](figures/dose_experiment.png)", ""]
    for organ in ORGANS:
        lines += [
            f"{organ.capitalize()}: Dice [95 %], and each model's difference from it [95 %]",
            "",
            f"| dose | {' | '.join(found['ways'].values())} |",
            "|" + " ---: |" * (1 + len(found["ways"])),
        ]
        for dose in found["doses"]:
            cells = [interval(_one(levels, _ACQUIRED, organ, dose))]
            for way in others:
                row = _one(off, way, organ, dose)
                cells.append("" if row is None else interval(row, "+.3f"))
            lines.append(f"| 1/{1 / dose:g} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        (
            "Grain: standard deviation of the change in grey levels at 1/8 of the dose, and the "
            "mean absolute difference in Dice over the doses below 1/4"
        ),
        "",
        "| model | grain in the lungs | behind the heart | off in the lungs | off in the heart |",
        "|---|---:|---:|---:|---:|",
    ]
    for way, words in found["ways"].items():
        of_way = grain[(grain.way == way) & (grain.dose == 1 / 8)].set_index("organ").sd
        spread = [of_way[organ] for organ in ORGANS]
        missed = [_off(off[off.dose < found["start"] * 0.99], way, organ) for organ in ORGANS]
        lines.append(f"| {words} | {spread[0]:.1f} | {spread[1]:.1f} | {missed[0]} | {missed[1]} |")
    no_grain = [_one(levels, _ACQUIRED, organ, 0.0)["value"] for organ in ORGANS]
    lines += [
        "",
        (
            f"{found['films']} persons; Dice without grain: lungs {no_grain[0]:.3f}, heart "
            f"{no_grain[1]:.3f}. Machine: {found['machine']}; torch {found['torch']}, "
            f"cxr_noise_transforms {found['cxr_noise_transforms']}, revision {found['revision']}."
        ),
    ]
    return "\n".join(lines)


def told(found: Mapping[str, Any], organ: str) -> str:
    """What the lowest dose truly costs, and what each model of the clean film says, as an item."""
    levels, lowest = pd.DataFrame(found["dice"]), min(found["doses"])
    lost = {
        way: _one(levels, way, organ, 0.0).value - _one(levels, way, organ, lowest).value
        for way in (_ACQUIRED, "display", "log-1", "log-2", "curve")
    }
    said = ", ".join(f"{found['ways'][way]} {lost[way]:.3f}" for way in list(lost)[1:])
    return (
        f"- {organ.capitalize()}: at 1/{1 / lowest:g} of the dose the network truly loses "
        f"{lost[_ACQUIRED]:.3f} of its Dice; predicted are: {said}."
    )


def _one(table: pd.DataFrame, way: str, organ: str, dose: float) -> Any:
    found = table[(table.way == way) & (table.organ == organ) & np.isclose(table.dose, dose)]
    return None if found.empty else found.iloc[0]


def _off(off: pd.DataFrame, way: str, organ: str) -> str:
    of_way = off[(off.way == way) & (off.organ == organ) & (off.dose > 0)]
    return "" if of_way.empty else f"{of_way.value.abs().mean():.3f}"


def main() -> None:
    """Draw the figure and write the page between its marks."""
    found = json.loads(RESULTS.read_text())
    draw(found)
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    with whole_file(PAGE) as beside:
        beside.write_text(f"{before}{BEGIN}\n{section(found)}\n{END}{after}", encoding="utf-8")
    print(f"wrote {FIGURE}, {PAGE}")


if __name__ == "__main__":
    main()
