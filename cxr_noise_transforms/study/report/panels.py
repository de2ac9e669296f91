"""Severity curves as small figures, for a page that is light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import pandas as pd
from markupsafe import escape
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision; markers and dashes differ as well
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "osD^vP"
_DASHES = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 2, 1, 2)), (0, (2, 2)))
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
    networks: Sequence[str],
    labels: tuple[str, str],
    top: tuple[str, Callable[[float], str]],
    chance: float | None = None,
) -> Figure:
    """One metric over one severity: each network with a band, their mean with bars.

    Args:
        points: ``network``, ``severity``, ``value``, ``lower``, ``upper``; the network "mean" is
            the mean.
        networks: in the order of their colours.
        labels: of both axes.
        top: label of the severities in other units, and how one is written there.
        chance: a line for the value without knowledge.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.7), layout="constrained", facecolor="none")
        axis = figure.subplots()
        axis.set_facecolor("none")
        for place, network in enumerate(networks):
            rows = points[points.network == network].sort_values("severity")
            look: dict[str, Any] = {
                "color": COLOURS[place % 6],
                "marker": _MARKERS[place % 6],
                "ms": 4,
            }
            axis.fill_between(
                rows.severity, rows.lower, rows.upper, color=look["color"], alpha=0.2, lw=0.8
            )
            axis.plot(
                rows.severity, rows.value, ls=_DASHES[place % 6], lw=1.4, label=network, **look
            )
        rows = points[points.network == "mean"].sort_values("severity")
        if len(rows):
            # a mean of percentile intervals need not be inside of them
            ends = [(rows.value - rows.lower).clip(0), (rows.upper - rows.value).clip(0)]
            axis.errorbar(
                rows.severity, rows.value, ends, color=_INK, lw=2.2, capsize=3, elinewidth=1.2,
                label="mean", zorder=3,
            )  # fmt: skip
        if chance is not None:
            axis.axhline(chance, color=_INK, lw=1, ls=":", label="chance")
        steps = sorted(points.severity.unique())
        axis.set(xlabel=labels[0], ylabel=labels[1], xticks=_apart(steps))
        if points.lower.min() >= 0 and points.upper.max() <= 1:
            axis.set_ylim(0, 1)
        axis.grid(color=_INK, alpha=0.18, lw=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=4)
        other = axis.secondary_xaxis("top")
        other.set_xticks(_apart(steps), [top[1](step) for step in _apart(steps)])
        other.set_xlabel(top[0])
        other.spines["top"].set_visible(False)
        return figure


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
    return pixels.getvalue(), text.replace(_INK, "currentColor")


def _apart(severities: Sequence[float]) -> list[float]:
    """Severities without those whose labels would touch the one before."""
    shown = [severities[0]]
    for severity in severities[1:]:
        if severity - shown[-1] >= 0.08 * (severities[-1] - severities[0]):
            shown.append(severity)
    return shown
