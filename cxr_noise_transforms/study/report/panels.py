"""Severity curves as small figures, for a page that is light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import pandas as pd
from markupsafe import escape
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; markers and dashes differ as well
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)), (0, (2, 2)))
_LOOKS = tuple(zip(COLOURS, "osD^vP", _DASHES, strict=True))
# letters of a name in the legend, and of its whole line
_LONGEST, _LEGEND = 40, 78
# text, axes and the mean; an SVG has the page's colour instead
_INK = "#2b2f33"
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color"), _INK),
    "ytick.color": _INK,
}


def curve_panel(
    points: pd.DataFrame,
    names: Sequence[str],
    labels: tuple[str, str],
    top: tuple[str, Callable[[float], str]],
    mean: pd.DataFrame | None = None,
    constant: float | None = None,
    half: float | None = None,
) -> Figure:
    """One metric over one severity: each curve with a band, their mean with bars.

    Args:
        points: ``name``, ``severity``, ``value``, ``lower``, ``upper``.
        names: of the curves, in the order of their colours.
        labels: of both axes.
        top: label of the severities in other units, and how one is written there.
        mean: the columns of points but the name.
        constant: a line for what a constant answer gets.
        half: a line for the severity at which half is lost.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained", facecolor="none")
        axis = figure.subplots()
        axis.set_facecolor("none")
        for name, (colour, marker, dashes) in zip(names, cycle(_LOOKS), strict=False):
            rows = points[points["name"] == name].sort_values("severity")
            axis.fill_between(rows.severity, rows.lower, rows.upper, color=colour, alpha=0.16, lw=0)
            axis.plot(
                rows.severity, rows.value, color=colour, marker=marker, ms=3.5, ls=dashes, lw=1.4,
                label=_shortened(name),
            )  # fmt: skip
        if mean is not None:
            rows = mean.sort_values("severity")
            # a mean of percentile intervals need not be inside of them
            ends = [(rows.value - rows.lower).clip(0), (rows.upper - rows.value).clip(0)]
            axis.errorbar(
                rows.severity, rows.value, ends, color=_INK, lw=2.2, capsize=2.5, elinewidth=1.1,
                label="mean", zorder=3,
            )  # fmt: skip
        if constant is not None:
            axis.axhline(constant, color=_INK, lw=1, ls=":", label="constant answer")
        _frame(axis, points, labels)
        steps = apart(sorted(points.severity.unique()))
        axis.set_xticks(steps, [f"{step:.2g}" if step < 1 else f"{step:g}" for step in steps])
        if half is not None:
            _mark(axis, half, late=half > 0.75 * steps[-1])
        longest = max(len(_shortened(name)) for name in names)
        figure.legend(
            frameon=False, fontsize=8, loc="outside lower center", columnspacing=1.4,
            ncols=min(4, max(1, _LEGEND // (longest + 7))),
        )  # fmt: skip
        other = axis.secondary_xaxis("top")
        other.set_xticks(steps, [top[1](step) for step in steps])
        other.tick_params(length=0, labelsize=8)
        other.set_xlabel(top[0], fontsize=8)
        other.spines["top"].set_visible(False)
        return figure


def _frame(axis: Any, points: pd.DataFrame, labels: tuple[str, str]) -> None:
    axis.set(xlabel=labels[0], ylabel=labels[1])
    ends = points[["value", "lower", "upper"]]
    if ends.min(axis=None) >= 0 and ends.max(axis=None) <= 1:
        axis.set_ylim(0, 1.02)
    axis.grid(axis="y", color=_INK, alpha=0.16, lw=0.6)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _mark(axis: Any, severity: float, *, late: bool) -> None:
    axis.axvline(severity, color=_INK, lw=0.9, ls=(0, (1, 2)))
    # where a curve that has lost half is not: above it behind the line, below it before the line
    place, offset, side = ((severity, 0.05), -4, "right") if late else ((severity, 0.9), 4, "left")
    axis.annotate(
        "half lost", place, (offset, 0), ("data", "axes fraction"), "offset points", ha=side,
        fontsize=8,
    )  # fmt: skip


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def drawn(figure: Figure, name: str, alt: str) -> tuple[bytes, str]:
    """The figure as PNG on white, and as an element of an HTML page in the page's own ink.

    Args:
        figure: from :func:`curve_panel`.
        name: unique on the page.
        alt: what is to be seen.
    """
    vectors, pixels = io.StringIO(), io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": name, **_STYLE}):
        figure.savefig(vectors, format="svg", metadata={"Date": None})
        # the layout is made once
        figure.set_layout_engine("none")
        figure.savefig(pixels, format="png", dpi=130, facecolor="white")
    text = vectors.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    box = re.search(r'viewBox="[^"]*"', text)
    head = f'<svg {box and box[0]} role="img" aria-label="{escape(alt)}">'
    text = re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    # the first colour is dark: the page may have a brighter one
    text = text.replace(COLOURS[0].lower(), f"var(--blue, {COLOURS[0]})")
    return pixels.getvalue(), text.replace(_INK, "currentColor")


def apart(severities: Sequence[float]) -> list[float]:
    """Severities without those whose labels would touch the one before."""
    shown = [severities[0]]
    for severity in severities[1:]:
        if severity - shown[-1] >= 0.08 * (severities[-1] - severities[0]):
            shown.append(severity)
    return shown
