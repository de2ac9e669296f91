"""The noise that films carry, as one picture: variance against signal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from cxr_noise_transforms import N0, electronic_sigma
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import Carried

from .panels import COLOURS

# curves of a folder that are drawn
_MOST = 100


def plot_carried(films: Sequence[Carried], path: Path) -> Path:
    """Each film's curve, those that are calibrated in blue, and the median line of these."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.subplots()
    drawn = [film for film in films if film.points][:: max(1, len(films) // _MOST)]
    for film in drawn:
        signal, variance = zip(*film.points, strict=True)
        colour, alpha = ("0.5", 0.25) if film.why else (COLOURS[0], 0.4)
        axis.plot(signal, variance, "o-", color=colour, alpha=alpha, ms=2.5, lw=0.8)
    told = [(film.sq, film.se) for film in films if not film.why]
    if told:
        sq, se = np.median(told, axis=0)
        ends = np.array([0.0, 1.0])
        line = ends * sq**2 / N0 + electronic_sigma(se) ** 2
        label = f"median: $s_q$ = {sq:.3g}, $s_e$ = {se:.3g}"
        axis.plot(ends, line, color=COLOURS[1], lw=2, label=label)
        axis.legend(frameon=False)
    axis.set(xlabel="signal (full scale 1)", ylabel="variance of the noise", xlim=(0, 1))
    axis.set_title(f"{len(told)} of {len(films)} films can be calibrated (blue)")
    axis.grid(alpha=0.3)
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=130)
    return path
