"""Networks beside each other: levels, differences, and the plane of resolution and dose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.statistics.long_table import MEAN
from cxr_noise_transforms.study.statistics.metrics import BY_SHARE

from .document import Table
from .tables import CONSTANT
from .words import interval, metric_name, number, p_value


def networks_table(tests: pd.DataFrame, metric: str, caption: str) -> Table:
    """Every network's level for every label, and its difference from the reference.

    Where a constant answer gets what depends on the share of positives, it has a row too.

    Args:
        tests: from :func:`~cxr_noise_transforms.study.statistics.comparisons.network_tests`.
        metric: of the tests.
        caption: of the table.
    """
    labels = [label for label in tests.label.unique() if label != MEAN]
    last = MEAN if MEAN in set(tests.label) else labels[-1]
    shown = [*labels, MEAN] if last == MEAN else labels
    rows = []
    if metric in BY_SHARE:
        chance = tests.groupby("label").chance.first()
        rows.append([CONSTANT, *(number(chance[label]) for label in shown), "", ""])
    for network in tests.network.unique():
        of_network = tests[tests.network == network].set_index("label")
        cells = [interval(of_network.loc[label]) for label in shown]
        end = of_network.loc[last]
        difference = pd.Series(
            {"value": end.difference, "lower": end.difference_lower, "upper": end.difference_upper}
        )
        rows.append([network, *cells, interval(difference, "+.3f"), p_value(end.p_holm)])
    header = ["network", *labels, *(["mean"] if last == MEAN else [])]
    header += [f"difference of {'the mean' if last == MEAN else last}", "p (Holm)"]
    return Table(f"{caption}: {metric_name(metric)}", header, rows)


def plane_table(plane: pd.DataFrame, metric: str) -> Table:
    """The plane of resolution and dose in numbers: a row per dose, a column per size."""
    sizes = sorted(plane["size"].unique(), reverse=True)
    by_place = plane.set_index(["photons", "size"])
    rows = []
    for dose in sorted(plane.photons.unique(), reverse=True):
        there = [(dose, size) in by_place.index for size in sizes]
        cells = [
            interval(by_place.loc[(dose, size)]) if one else "–"
            for size, one in zip(sizes, there, strict=True)
        ]
        rows.append([dose_words(dose), *cells])
    return Table(
        f"{metric_name(metric)} by photons per mm² and size",
        ["photons per mm²", *(f"{size} px" for size in sizes)],
        rows,
    )


def plot_plane(plane: pd.DataFrame, path: Path, metric: str, title: str) -> Path:
    """The plane of resolution and dose as a picture; from a constant answer's value up to 1."""
    grid = plane.pivot_table(index="photons", columns="size", values="value", dropna=False)
    grid = grid.sort_index(ascending=False)[sorted(grid.columns, reverse=True)]
    figure = Figure(
        figsize=(1.3 * grid.shape[1] + 2.6, 0.5 * grid.shape[0] + 1.4), layout="constrained"
    )
    axis = figure.subplots()
    chance = float(plane.chance.min())
    picture = axis.imshow(grid.to_numpy(), cmap="cividis", vmin=chance, vmax=1, aspect="auto")
    for row, column in np.ndindex(grid.shape):
        value = grid.iloc[row, column]
        ink = "black" if value > (1 + chance) / 2 else "white"
        axis.text(column, row, number(value, ".2f"), ha="center", va="center", color=ink)
    axis.set_xticks(range(grid.shape[1]), [str(size) for size in grid.columns])
    axis.set_yticks(range(grid.shape[0]), [dose_words(dose) for dose in grid.index])
    axis.set(xlabel="side of the film in pixels", ylabel="photons per mm²", title=title)
    figure.colorbar(picture, label=metric_name(metric))
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=130)
    return path


def dose_words(photons: float) -> str:
    """Photons per mm², or that there is no noise."""
    return "no noise" if np.isinf(photons) else f"{photons:.3g}"
