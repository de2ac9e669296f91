"""Films under noise as a trained network sees them, and their pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
from matplotlib.figure import Figure
from monai.bundle import ConfigWorkflow
from numpy.typing import NDArray

from cxr_noise_transforms import RadiographicNoise, image_seeds
from cxr_noise_transforms.study.evaluation.sweep import Sweep

# Okabe and Ito's sky blue and orange; the reference is dashed as well
REFERENCE, PREDICTION = "#56B4E9", "#E69F00"
_DPI = 100


@dataclass(frozen=True)
class View:
    """One film in one cell.

    Args:
        image: ``(H, W)`` in [0, 1].
        reference: masks ``(C, H, W)`` of 0 and 1, ``None`` without outlines.
        prediction: likewise.
        heat: an activation map ``(H, W)`` from 0 to 1 to be laid over the film.
    """

    image: NDArray[np.floating]
    reference: NDArray[Any] | None = None
    prediction: NDArray[Any] | None = None
    heat: NDArray[np.floating] | None = None


# task, image, sq, se to what is to be seen
Views: TypeAlias = Callable[[str, str, float, float], View]


def sweep_views(sweeps: Sequence[Sweep], network: str, weights: str = "best") -> Views:
    """The test films of sweeps as a trained network sees them, with the first noise seed's noise.

    Args:
        sweeps: finished, one per task.
        network: whose masks are outlined.
        weights: which checkpoint.
    """
    tasks = {sweep.task: sweep for sweep in sweeps}

    @cache
    def open_task(task: str) -> tuple[ConfigWorkflow, dict[str, int]]:
        # few films are looked at: none is read before
        sweep = replace(tasks[task], loading={**tasks[task].loading, "cache": "none"})
        workflow = sweep.evaluation(network, weights)
        films = workflow.parser.get_parsed_content("split")["test"]
        return workflow, {film["id"]: place for place, film in enumerate(films)}

    def look(task: str, image: str, sq: float, se: float) -> View:
        workflow, places = open_task(task)
        sample = workflow.dataset[places[image]]
        return view(workflow, sample, sq, se, tasks[task].noise_seeds[0])

    return look


def view(
    workflow: ConfigWorkflow, sample: dict[str, Any], sq: float, se: float, noise_seed: int = 0
) -> View:
    """A film of an evaluation's dataset under noise, with the masks of a segmentation.

    Args:
        workflow: an initialised evaluation of a trained network.
        sample: item of its dataset.
        sq: quantum severity.
        se: electronic severity.
        noise_seed: as in the sweep, whose noise this is.
    """
    noise = RadiographicNoise(sq, se, bits=8)
    image = sample["image"][None].to(workflow.device)
    noisy = noise(image, seed=image_seeds(noise_seed, [sample["id"]]))
    grey = noisy[0, 0].cpu().numpy()
    if sample["label"].ndim != 3:
        return View(grey)
    with torch.inference_mode():
        logits = workflow.evaluator.network.eval()(noisy.expand(-1, 3, -1, -1))
    return View(grey, sample["label"].numpy(), (logits[0] > 0).cpu().numpy())


def draw(seen: View, most: int = 512) -> bytes:
    """A view as JPEG, its outlines over it: the reference dashed, the prediction solid.

    A small film's pixels become squares of a picture of at least 256 on the longer side.

    Args:
        seen: what to draw.
        most: pixels on the longer side; a larger film is reduced, which averages its noise.
    """
    height, width = seen.image.shape
    longest = max(height, width)
    scale = most / longest if longest > most else max(1, round(256 / longest))
    figure = Figure(figsize=(width * scale / _DPI, height * scale / _DPI), dpi=_DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(seen.image, cmap="gray", vmin=0, vmax=1, aspect="auto")
    if seen.heat is not None:
        faint = 0.6 * seen.heat
        axis.imshow(seen.heat, cmap="inferno", vmin=0, vmax=1, alpha=faint, aspect="auto")
    axis.axis("off")
    outline(axis, seen, linewidth=longest * scale / 120)
    content = io.BytesIO()
    # full colour resolution, for thin lines
    figure.savefig(content, format="jpg", pil_kwargs={"quality": 85, "subsampling": 0})
    return content.getvalue()


def outline(axis: Any, seen: View, linewidth: float = 1) -> None:
    """Draw both outlines of a view."""
    for masks, colour, style in (
        (seen.reference, REFERENCE, "dashed"),
        (seen.prediction, PREDICTION, "solid"),
    ):
        for mask in () if masks is None else masks:
            # matplotlib warns of a contour that is not there
            if mask.any() and not mask.all():
                axis.contour(
                    mask, levels=[0.5], colors=[colour], linewidths=linewidth, linestyles=style
                )
