"""The figures of docs/performance.md, in Okabe and Ito's colours."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .grid import COPY, MIDDLE, NOISES, show_size
from .ours import DEFAULT, NAMES
from .records import Result

_BLUE, _SKY, _ORANGE, _GREY = "#0072B2", "#56B4E9", "#E69F00", "#999999"
_SAMPLERS = ("#0072B2", "#56B4E9", "#E69F00", "#D55E00")
# p-values below are drawn here
_LEAST_P = 1e-12


def performance(results: list[Result]) -> Figure:
    """Bars of all contenders at base size, float32 and middle severity; a row per result."""
    panels = [[_bars(result, noise) for noise in NOISES] for result in results]
    heights = [max(2.0, 0.5 + 0.3 * max(map(len, row))) for row in panels]
    figure = Figure(figsize=(15, sum(heights) + 0.4), layout="constrained")
    axes = figure.subplots(len(results), len(NOISES), squeeze=False, height_ratios=heights)
    for result, row, places in zip(results, panels, axes, strict=True):
        for noise, rows, axis in zip(NOISES, row, places, strict=True):
            _draw_bars(axis, rows)
            size = show_size(result["settings"]["base"])
            machine = result["machine"].get("gpu") or result["machine"]["cpu"]
            axis.set_title(f"{machine}\n{noise}, float32, {size}, s = {MIDDLE:g}", fontsize=9)
    return figure


def exactness(results: list[Result]) -> Figure:
    """All p-values against those of a right sampler, and two consecutive calls."""
    figure = Figure(figsize=(13, 4.8 * len(results)), layout="constrained")
    axes = figure.subplots(len(results), 2, squeeze=False)
    for result, (left, right) in zip(results, axes, strict=True):
        pairs = zip(result["reports"], cycle(_SAMPLERS), strict=False)
        for place, (report, colour) in enumerate(pairs):
            p_values = np.sort([row["p"] for row in report["rows"]]).clip(_LEAST_P)
            due = (np.arange(p_values.size) + 0.5) / p_values.size
            left.loglog(due, p_values, ".", color=colour, label=report["sampler"])
            _draw_correlations(right, report, colour, place)
        left.plot([1e-3, 1], [1e-3, 1], color="black", lw=0.8)
        left.set_xlabel("p-value's place among all tests of the sampler")
        left.set_ylabel(f"p-value (at least {_LEAST_P:g})")
        left.set_title(f"{result['device']}: a right sampler stays at the line", fontsize=9)
        left.legend(frameon=False, fontsize=8, loc="center left")
        right.axhline(0, color="black", lw=0.8)
        right.set_xlabel("rate, photons per pixel")
        right.set_ylabel("correlation of two consecutive calls")
        right.set_title(f"{result['device']}: bars are one standard error", fontsize=9)
    return figure


def _bars(result: Result, noise: str) -> list[dict[str, Any]]:
    base = result["settings"]["base"]
    rows = [
        row
        for row in result["rows"]
        if (row["noise"] in (noise, COPY) and row["dtype"] == "float32" and row["size"] == base)
        and row["severity"] == MIDDLE
        and "ns_per_pixel" in row
    ]
    return sorted(rows, key=lambda row: -row["ns_per_pixel"])


def _draw_bars(axis: Axes, rows: list[dict[str, Any]]) -> None:
    colours = {DEFAULT: _BLUE, COPY: _GREY, **dict.fromkeys(NAMES[1:], _SKY)}
    medians = np.array([row["ns_per_pixel"] for row in rows])
    spread = np.array([[row["q1"], row["q3"]] for row in rows]).reshape(-1, 2).T
    bars = axis.barh(
        [row["contender"] for row in rows],
        medians,
        xerr=np.abs(spread - medians),
        color=[colours.get(row["contender"], _ORANGE) for row in rows],
        error_kw={"lw": 0.8},
    )
    axis.bar_label(bars, labels=[f"{median:.3g}" for median in medians], padding=4, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.margins(x=0.12)
    axis.set_xlabel("ns per pixel, median and quartiles", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _draw_correlations(axis: Axes, report: dict[str, Any], colour: str, place: int) -> None:
    rows = [row for row in report["rows"] if row["what"] == "correlation" and "pixels" in row]
    axis.errorbar(
        np.arange(len(rows)) + 0.15 * (place - 1.5),
        [row["correlation"] for row in rows],
        yerr=[row["pixels"] ** -0.5 for row in rows],
        fmt="o",
        ms=4,
        color=colour,
    )
    axis.set_xticks(range(len(rows)), [f"{row['rate']:g}" for row in rows])
