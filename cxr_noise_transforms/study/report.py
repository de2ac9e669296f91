"""Tables and figures of a sweep, made from its long table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from monai.bundle import ConfigWorkflow

from cxr_noise_transforms import (
    LADDER,
    RadiographicNoise,
    electronic_sigma,
    image_seeds,
    photons_per_pixel,
)

from .files import whole_file

# Okabe and Ito's colours, told apart with any colour vision
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_REFERENCE, _PREDICTION = "#56B4E9", "#E69F00"


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of every metric in every cell over networks, and the difference from the clean cell.

    Films, organs and noise seeds are averaged within a network first, so that every network
    counts the same.

    Args:
        table: the long table of :class:`~cxr_noise_transforms.study.sweep.Sweep`.

    Returns:
        One row per cell in the order of the ladder: ``sq``, ``se``, photons per pixel, sigma, and
        for every metric its mean and ``<metric>_diff``.
    """
    per_network = table.groupby(["sq", "se", "metric", "network"], as_index=False).value.mean()
    means = per_network.pivot_table(index=["sq", "se"], columns="metric", values="value")
    rank = {cell: place for place, cell in enumerate(LADDER)}
    means = means.loc[sorted(means.index, key=lambda cell: (rank.get(cell, len(rank)), cell))]
    summary = means.reset_index().rename_axis(columns=None)
    summary.insert(2, "photons", [photons_per_pixel(float(sq)) for sq in summary.sq])
    summary.insert(3, "sigma", [electronic_sigma(float(se)) for se in summary.se])
    for metric in means.columns:
        clean = means.loc[(0.0, 0.0), metric]
        summary.insert(
            summary.columns.get_loc(metric) + 1, f"{metric}_diff", summary[metric] - clean
        )
    return summary


def markdown(summary: pd.DataFrame) -> str:
    """The summary as a Markdown table."""
    header = {"sq": "s_q", "se": "s_e", "photons": "photons/pixel", "sigma": "sigma"}
    lines = ["| " + " | ".join(_title(header, name) for name in summary) + " |"]
    lines.append("|" + " ---: |" * len(summary.columns))
    lines += [
        "| " + " | ".join(_cell(name, value) for name, value in row.items()) + " |"
        for row in summary.to_dict("records")
    ]
    return "\n".join(lines) + "\n"


def write_summary(summary: pd.DataFrame, folder: Path) -> list[Path]:
    """``summary.csv`` and ``summary.md`` in ``folder``."""
    with whole_file(folder / "summary.csv") as beside:
        summary.to_csv(beside, index=False)
    with whole_file(folder / "summary.md") as beside:
        beside.write_text(markdown(summary))
    return [folder / "summary.csv", folder / "summary.md"]


def plot_curves(table: pd.DataFrame, path: Path, title: str) -> Path:
    """Severity curves: quantum and electronic noise side by side, Dice above IoU."""
    metrics = sorted(table.metric.unique())
    networks = list(table.network.unique())
    figure = Figure(figsize=(9, 3.2 * len(metrics) + 0.6), layout="constrained")
    axes = figure.subplots(len(metrics), 2, sharex="col", sharey="row", squeeze=False)
    figure.suptitle(title)
    for row, metric in zip(axes, metrics, strict=True):
        for axis, severity, other in zip(row, ("sq", "se"), ("se", "sq"), strict=True):
            rows = table[(table.metric == metric) & (table[other] == 0)]
            means = rows.pivot_table(index=severity, columns="network", values="value")
            for network, colour in zip(networks, _COLOURS * len(networks), strict=False):
                axis.plot(means.index, means[network], "o-", color=colour, lw=1.2, ms=3.5)
                axis.lines[-1].set_label(network)
            axis.plot(means.index, means.mean(axis=1), "k--", lw=2, label="mean")
            axis.set(ylim=(0, 1))
            axis.grid(alpha=0.3)
        row[0].set_ylabel({"dice": "Dice", "iou": "IoU"}.get(metric, metric))
    axes[-1][0].set_xlabel("quantum severity $s_q$")
    axes[-1][1].set_xlabel("electronic severity $s_e$")
    axes[0][0].legend(loc="lower left", frameon=False)
    return _save(figure, path)


def plot_ladder(workflow: ConfigWorkflow, film: str, path: Path, title: str) -> Path:
    """One film at every step of both ladders, with reference and predicted outlines.

    Args:
        workflow: an initialised evaluation of a trained network.
        film: id of a test film.
        path: PNG to write.
        title: of the figure.
    """
    steps = sorted({sq for sq, _ in LADDER})
    sample = next(one for one in workflow.dataset if one["id"] == film)
    figure = Figure(figsize=(1.9 * len(steps), 4.9), layout="constrained")
    axes = figure.subplots(2, len(steps))
    for row, name in zip(axes, ("s_q", "s_e"), strict=True):
        for axis, step in zip(row, steps, strict=True):
            sq, se = (step, 0.0) if name == "s_q" else (0.0, step)
            noisy, predicted = _predict(workflow, sample, sq, se)
            axis.imshow(noisy, cmap="gray", vmin=0, vmax=1)
            for reference, mask in zip(sample["label"].numpy(), predicted, strict=True):
                _outline(axis, reference, _REFERENCE)
                _outline(axis, mask, _PREDICTION)
            axis.set_title(f"${name}$ = {step:g}", fontsize=9)
            axis.set(xticks=[], yticks=[])
    handles = [mpl.lines.Line2D([], [], color=c) for c in (_REFERENCE, _PREDICTION)]
    figure.legend(handles, ["reference", "prediction"], loc="outside lower center", ncols=2)
    figure.suptitle(title)
    return _save(figure, path)


def typical_film(table: pd.DataFrame, network: str) -> str:
    """The film whose clean Dice is the median of the network's test films."""
    clean = table[
        (table.network == network) & (table.metric == "dice") & (table.sq == 0) & (table.se == 0)
    ]
    means = clean.groupby("image").value.mean().sort_values()
    return str(means.index[len(means) // 2])


def _predict(
    workflow: ConfigWorkflow, sample: dict[str, Any], sq: float, se: float
) -> tuple[np.ndarray, np.ndarray]:
    device = workflow.device
    noise = RadiographicNoise(sq, se, bits=8)
    noisy = noise(sample["image"][None].to(device), seed=image_seeds(0, [sample["id"]]))
    network = workflow.evaluator.network.eval()
    with torch.no_grad():
        logits = network(noisy.expand(-1, 3, -1, -1))
    return noisy[0, 0].cpu().numpy(), (logits[0] > 0).cpu().numpy()


def _outline(axis: Any, mask: np.ndarray, colour: str) -> None:
    # matplotlib warns of a contour that is not there
    if mask.any() and not mask.all():
        axis.contour(mask, levels=[0.5], colors=[colour], linewidths=1)


def _title(header: dict[str, str], name: str) -> str:
    if name in header:
        return header[name]
    metric = {"dice": "Dice", "iou": "IoU"}.get(name.removesuffix("_diff"), name)
    return f"{metric} diff" if name.endswith("_diff") else metric


def _cell(name: str, value: float) -> str:
    if name.endswith("_diff"):
        return f"{value:+.3f}"
    return f"{value:.4g}" if name in ("sq", "se", "photons", "sigma") else f"{value:.3f}"


def _save(figure: Figure, path: Path) -> Path:
    with whole_file(path) as beside:
        figure.savefig(beside, dpi=130)
    return path
