"""What is measured on each image: overlap of masks, or scores of classes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from monai.metrics import compute_average_surface_distance, compute_dice, compute_iou
from torch import Tensor
from torch.nn.functional import one_hot


class Measured(NamedTuple):
    """One metric of a batch.

    Attributes:
        values: ``(B, L)``, one per image and label; NaN where the metric is not defined.
        targets: ``(B, L)`` of 0 and 1 for scores, NaN where the label is missing; ``None`` for
            metrics.
    """

    values: Tensor
    targets: Tensor | None = None


# prediction and label of a batch to its metrics by name
Measure = Callable[[Tensor, Tensor], Mapping[str, Measured]]


def measure_of(task: str | Measure, outputs: str | None, uncertain: str | None) -> Measure:
    """The measure of a task by its name, or a function as it is.

    Args:
        task: one of :data:`MEASURES`, or a function of prediction and label.
        outputs: what the model gives, ``"logits"`` or ``"probabilities"``; default: logits.
        uncertain: ``"ignore"`` if -1 is an uncertain label of a class.

    Raises:
        ValueError: an unknown name, or one that this task does not know.
    """
    if outputs not in (None, "logits", "probabilities"):
        raise ValueError(f"outputs must be 'logits' or 'probabilities', got {outputs!r}")
    if uncertain not in (None, "ignore"):
        raise ValueError(f"uncertain must be None or 'ignore', got {uncertain!r}")
    if not isinstance(task, str):
        if outputs or uncertain:
            raise ValueError(
                "outputs and uncertain are of the named tasks: a function as task takes what the "
                "model and the loader give"
            )
        return task
    if task not in MEASURES:
        raise ValueError(f"task must be {', '.join(MEASURES)} or a function, got {task!r}")
    options = {"outputs": outputs or "logits"}
    if uncertain:
        if task.startswith("segmentation"):
            raise ValueError(f"uncertain is of the labels of classes, not of {task}")
        options["uncertain"] = uncertain
    return partial(MEASURES[task], **options)


def segmentation(
    prediction: Tensor, label: Tensor, *, outputs: str = "logits"
) -> dict[str, Measured]:
    """Dice and IoU of thresholded predictions, per image and channel (MONAI's).

    Where the reference is empty neither is defined: NaN.

    Args:
        prediction: ``(B, C, H, W)``. Logits are thresholded at 0, probabilities at 0.5; with one
            label channel and several predicted ones the largest decides, and channel 0 is
            background.
        label: ``(B, C, H, W)`` of 0 and 1, or class numbers ``(B, H, W)`` or ``(B, 1, H, W)``.
        outputs: ``"logits"`` or ``"probabilities"``.

    Raises:
        ValueError: shapes that do not belong together, or labels or probabilities of other values.
    """
    return _overlap(*_masks(prediction, label, outputs))


def segmentation_with_distance(
    prediction: Tensor, label: Tensor, *, outputs: str = "logits"
) -> dict[str, Measured]:
    """:func:`segmentation` and the average symmetric surface distance in pixels (MONAI's).

    An empty prediction of a reference that is not empty counts as the image's diagonal. Where the
    reference is empty the distance is not defined: NaN. It is computed on the CPU, and slow.
    """
    mask, reference = _masks(prediction, label, outputs)
    with warnings.catch_warnings():
        # of empty masks, which are dealt with below, and of MONAI's former arguments
        warnings.simplefilter("ignore")
        distance = compute_average_surface_distance(
            mask.cpu(), reference.cpu(), include_background=True, symmetric=True
        )
    there = reference.cpu().flatten(2).any(dim=2)
    diagonal = math.hypot(*mask.shape[2:])
    distance = torch.where(distance.isfinite(), distance, diagonal).where(there, torch.nan)
    return {**_overlap(mask, reference), "surface_distance": Measured(distance)}


def _overlap(mask: Tensor, reference: Tensor) -> dict[str, Measured]:
    return {
        "dice": Measured(compute_dice(mask, reference)),
        "iou": Measured(compute_iou(mask, reference)),
    }


def _masks(prediction: Tensor, label: Tensor, outputs: str) -> tuple[Tensor, Tensor]:
    """Predicted and reference masks ``(B, C, H, W)`` of 0 and 1."""
    if prediction.ndim != 4:
        raise ValueError(f"prediction must be (B, C, H, W), got {tuple(prediction.shape)}")
    cut = 0.0 if outputs == "logits" else 0.5
    if outputs == "probabilities":
        _check_probabilities(prediction)
    label = label[:, None] if label.ndim == 3 else label
    classes = prediction.shape[1]
    if classes > 1 and label.ndim == 4 and label.shape[1] == 1:
        mask = one_hot(prediction.argmax(1), classes).movedim(-1, 1)[:, 1:]
        label = one_hot(_class_numbers(label[:, 0], classes), classes).movedim(-1, 1)[:, 1:]
    else:
        _check_labels(label, (label == 0) | (label == 1), "0 or 1")
        mask = prediction > cut
    _check_shapes(mask, label)
    return mask.float(), label.float()


def binary(
    prediction: Tensor, label: Tensor, *, outputs: str = "logits", uncertain: str | None = None
) -> dict[str, Measured]:
    """:func:`multilabel` of one prediction per image, ``(B,)`` or ``(B, 1)``; labels likewise."""
    if prediction.ndim == 2 and prediction.shape[1] != 1:
        raise ValueError(f"prediction must be (B,) or (B, 1), got {tuple(prediction.shape)}")
    pair = prediction.reshape(-1, 1), label.reshape(-1, 1)
    return multilabel(*pair, outputs=outputs, uncertain=uncertain)


def multilabel(
    prediction: Tensor, label: Tensor, *, outputs: str = "logits", uncertain: str | None = None
) -> dict[str, Measured]:
    """The probabilities of labels, the sigmoids of logits ``(B, L)``.

    Args:
        prediction: ``(B, L)``.
        label: ``(B, L)`` of 0 and 1; NaN where it is missing, which is the target then.
        outputs: ``"logits"`` or ``"probabilities"``.
        uncertain: ``"ignore"`` if -1 is an uncertain label, which counts as missing.

    Raises:
        ValueError: two shapes, or labels or probabilities of other values.
    """
    _check_shapes(prediction, label)
    missing = _missing(label, uncertain)
    _check_labels(label, (label == 0) | (label == 1) | missing, "0 or 1")
    return {
        "score": Measured(_scores(prediction, outputs, torch.sigmoid), _left_out(label, missing))
    }


def multiclass(
    prediction: Tensor, label: Tensor, *, outputs: str = "logits", uncertain: str | None = None
) -> dict[str, Measured]:
    """The probabilities of classes, the softmax of logits ``(B, L)``, each against the rest.

    Labels are numbers of classes, otherwise as in :func:`multilabel`.
    """
    label, classes = label.reshape(-1), prediction.shape[-1]
    missing = _missing(label, uncertain)
    target = one_hot(_class_numbers(label.masked_fill(missing, 0), classes), classes)
    _check_shapes(prediction, target)
    scores = _scores(prediction, outputs, partial(torch.softmax, dim=-1))
    return {"score": Measured(scores, _left_out(target, missing[:, None]))}


#: by the names of the tasks, prediction and label to values
MEASURES: dict[str, Callable[..., dict[str, Measured]]] = {
    "segmentation": segmentation,
    "segmentation-distance": segmentation_with_distance,
    "binary": binary,
    "multilabel": multilabel,
    "multiclass": multiclass,
}


def _missing(label: Tensor, uncertain: str | None) -> Tensor:
    unsure = label == -1
    if uncertain != "ignore" and unsure.any():
        raise ValueError(
            "label must not be negative, got -1: uncertain='ignore' leaves uncertain labels out"
        )
    return label.isnan() | unsure


def _left_out(target: Tensor, missing: Tensor) -> Tensor:
    return target.float().masked_fill(missing, torch.nan) if missing.any() else target


def _scores(prediction: Tensor, outputs: str, link: Callable[[Tensor], Tensor]) -> Tensor:
    if outputs == "logits":
        return link(prediction.float())
    _check_probabilities(prediction)
    return prediction.float()


def _class_numbers(label: Tensor, classes: int) -> Tensor:
    numbers = label.long()
    allowed = (numbers == label) & (numbers >= 0) & (numbers < classes)
    _check_labels(label, allowed, f"a class from 0 to {classes - 1}")
    return numbers


def _check_labels(label: Tensor, allowed: Tensor, must: str) -> None:
    if not allowed.all():
        raise ValueError(f"label must be {must}, got {label[~allowed][0].item()}")


def _check_probabilities(prediction: Tensor) -> None:
    wrong = (prediction < 0) | (prediction > 1)
    if wrong.any():
        raise ValueError(
            f"prediction must lie in [0, 1] with outputs='probabilities', "
            f"got {prediction[wrong][0].item():.4g}"
        )


def _check_shapes(prediction: Tensor, label: Tensor) -> None:
    if prediction.shape != label.shape:
        raise ValueError(
            f"prediction and label must have one shape, got {tuple(prediction.shape)} and "
            f"{tuple(label.shape)}"
        )
