"""What is measured on each image: overlap of masks, or scores of classes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from monai.metrics import compute_average_surface_distance, compute_dice, compute_iou
from torch import Tensor
from torch.nn.functional import one_hot


class Measured(NamedTuple):
    """One metric of a batch.

    Attributes:
        values: ``(B, L)``, one per image and label; NaN where the metric is not defined.
        targets: ``(B, L)`` of 0 and 1 for scores, ``None`` for metrics.
    """

    values: Tensor
    targets: Tensor | None = None


# prediction and label of a batch to its metrics by name
Measure = Callable[[Tensor, Tensor], Mapping[str, Measured]]


def segmentation(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    """Dice and IoU of thresholded logits, per image and channel (MONAI's).

    Where the reference is empty neither is defined: NaN.

    Args:
        prediction: logits ``(B, C, H, W)``. Thresholded at 0; with one label channel and several
            logit channels the largest logit decides, and channel 0 is background.
        label: ``(B, C, H, W)`` of 0 and 1, or class numbers ``(B, H, W)`` or ``(B, 1, H, W)``.

    Raises:
        ValueError: shapes that do not belong together, or labels of other values.
    """
    return _overlap(*_masks(prediction, label))


def segmentation_with_distance(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    """:func:`segmentation` and the average symmetric surface distance in pixels (MONAI's).

    An empty prediction of a reference that is not empty counts as the image's diagonal. Where the
    reference is empty the distance is not defined: NaN. It is computed on the CPU, and slow.
    """
    mask, reference = _masks(prediction, label)
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


def _masks(prediction: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and reference masks ``(B, C, H, W)`` of 0 and 1."""
    if prediction.ndim != 4:
        raise ValueError(f"prediction must be (B, C, H, W), got {tuple(prediction.shape)}")
    label = label[:, None] if label.ndim == 3 else label
    classes = prediction.shape[1]
    if classes > 1 and label.ndim == 4 and label.shape[1] == 1:
        mask = one_hot(prediction.argmax(1), classes).movedim(-1, 1)[:, 1:]
        label = one_hot(_class_numbers(label[:, 0], classes), classes).movedim(-1, 1)[:, 1:]
    else:
        _check_binary(label)
        mask = prediction > 0
    _check_shapes(mask, label)
    return mask.float(), label.float()


def binary(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    """The sigmoid of one logit per image, ``(B,)`` or ``(B, 1)``; labels 0 and 1 likewise."""
    if prediction.ndim == 2 and prediction.shape[1] != 1:
        raise ValueError(f"prediction must be (B,) or (B, 1), got {tuple(prediction.shape)}")
    return multilabel(prediction.reshape(-1, 1), label.reshape(-1, 1))


def multilabel(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    """The sigmoids of logits ``(B, L)``; labels 0 and 1 of the same shape."""
    _check_shapes(prediction, label)
    _check_binary(label)
    return {"score": Measured(prediction.float().sigmoid(), label)}


def multiclass(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    """The softmax of logits ``(B, L)``, one class against the rest; labels are numbers."""
    classes = prediction.shape[-1]
    target = one_hot(_class_numbers(label.reshape(-1), classes), classes)
    _check_shapes(prediction, target)
    return {"score": Measured(prediction.float().softmax(-1), target)}


MEASURES: dict[str, Measure] = {
    "segmentation": segmentation,
    "segmentation-distance": segmentation_with_distance,
    "binary": binary,
    "multilabel": multilabel,
    "multiclass": multiclass,
}


def _class_numbers(label: Tensor, classes: int) -> Tensor:
    numbers = label.long()
    wrong = (numbers != label) | (numbers < 0) | (numbers >= classes)
    if wrong.any():
        raise ValueError(
            f"label must be a class from 0 to {classes - 1}, got {label[wrong][0].item()}"
        )
    return numbers


def _check_binary(label: Tensor) -> None:
    wrong = (label != 0) & (label != 1)
    if wrong.any():
        raise ValueError(f"label must be 0 or 1, got {label[wrong][0].item()}")


def _check_shapes(prediction: Tensor, label: Tensor) -> None:
    if prediction.shape != label.shape:
        raise ValueError(
            f"prediction and label must have one shape, got {tuple(prediction.shape)} and "
            f"{tuple(label.shape)}"
        )
