"""The figures of docs/performance.md, in Okabe and Ito's colours."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .cases import MIDDLE
from .contenders import COPY, NOISES, OURS, OWN
from .tables import Row, at_base, distinct, read_calls, show_place

_BLUE, _SKY, _ORANGE, _GREY = "#0072B2", "#56B4E9", "#E69F00", "#999999"
_COLOURS = {OURS: _BLUE, COPY: _GREY, **dict.fromkeys(OWN[1:], _SKY)}
_SAMPLERS = (_BLUE, _SKY, _ORANGE, "#D55E00", "#CC79A7")
# p-values below are drawn here
_LEAST_P = 1e-12


def performance(results: list[Row]) -> Figure:
    """Bars of all contenders at the base size, float32 and middle severity; a row per result."""
    figure = Figure(figsize=(15, 4.4 * len(results)), layout="constrained")
    axes = figure.subplots(len(results), len(NOISES), squeeze=False)
    for result, places in zip(results, axes, strict=True):
        calls = at_base(read_calls(result))
        machine = result["machine"].get("gpu") or result["machine"]["cpu"]
        date = result["date"]
        threads = max(row["threads"] for row in calls)
        rows = [r for r in calls if (r["severity"], r["threads"]) == (MIDDLE, threads)]
        for noise, axis in zip(NOISES, places, strict=True):
            tasks = (f"{noise} float32", f"{COPY} float32")
            _draw_bars(axis, [row for row in rows if row["task"] in tasks])
            axis.set_title(
                f"{machine}, {date}\n{noise}, float32, {show_place(rows[0])}", fontsize=9
            )
    return figure


def exactness(results: list[Row]) -> Figure:
    """All p-values of every sampler against those of a right one; a panel per result."""
    figure = Figure(figsize=(6.5 * len(results), 4.8), layout="constrained")
    axes = figure.subplots(1, len(results), squeeze=False)[0]
    for result, axis in zip(results, axes, strict=True):
        for place, sampler in enumerate(distinct(row["sampler"] for row in result["rows"])):
            p_values = [row["p"] for row in result["rows"] if row["sampler"] == sampler]
            due = (np.arange(len(p_values)) + 0.5) / len(p_values)
            drawn = np.sort(p_values).clip(_LEAST_P)
            axis.loglog(due, drawn, ".", color=_SAMPLERS[place], label=sampler)
        axis.plot([1e-3, 1], [1e-3, 1], color="black", lw=0.8)
        axis.set_xlabel("p-value's place among all tests of the sampler")
        axis.set_ylabel(f"p-value (at least {_LEAST_P:g})")
        axis.set_title(f"{result['device']}: a right sampler stays at the line", fontsize=9)
        axis.legend(frameon=False, fontsize=8, loc="center left")
    return figure


def _draw_bars(axis: Axes, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: -row["median"])
    names = [row["contender"] for row in rows]
    medians, q1, q3 = (np.array([row[name] for row in rows]) for name in ("median", "q1", "q3"))
    colours = [_COLOURS.get(name, _ORANGE) for name in names]
    bars = axis.barh(names, medians, xerr=(medians - q1, q3 - medians), color=colours)
    axis.bar_label(bars, labels=[f"{median:.3g}" for median in medians], padding=4, fontsize=8)
    axis.tick_params(labelsize=8)
    axis.margins(x=0.12)
    axis.set_xlabel("ns per pixel, median and quartiles", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
