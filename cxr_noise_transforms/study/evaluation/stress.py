"""The stress test: any model, any loader, every cell of a severity grid, one long table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.export import ExportedProgram

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.columns import UNDEGRADED

from .degradations import Degradation
from .grid import Cell
from .kinds import Kind
from .measures import Measure
from .model import Model
from .stressing import stress_cells


def stress_test(  # noqa: PLR0913 (each is a choice of the experiment)
    model: Model | ExportedProgram,
    loader: Iterable[Any],
    task: str | Measure = "segmentation",
    *,
    labels: Iterable[str] | None = None,
    cells: Iterable[Cell] = LADDER,
    noise_seeds: Iterable[int] = (0,),
    degradations: Iterable[str] | Mapping[str, Degradation | Kind | None] = (UNDEGRADED,),
    front_end: Model | None = None,
    outputs: str | None = None,
    uncertain: str | None = None,
    groups: Iterable[str] = (),
    value_range: Sequence[float] | None = None,
    bits: int | None = 8,
    channels: int | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    device: str | torch.device | None = None,
    out: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    cells_at_once: int = 1,
    share: tuple[int, int] = (0, 1),
    progress: bool = True,
) -> pd.DataFrame:
    """Measure a model at every severity and noise seed.

    Noise is drawn on the device, from one seed per image and noise seed: a result depends
    neither on batch size, order nor workers, and every cell sees the same noise at another
    strength. It is added to the grey image before the model's own normalisation.

    In a distributed run every rank measures its own share of the images (give each rank's loader
    a ``DistributedSampler(even_divisible=False)``); all ranks return the whole table.

    Cells that are finished in ``out`` are used only for what they were measured on. The model and
    the measure are known by their content (:func:`.identity.fingerprint`), the films by their
    pixels, labels, patients, sources and groups: where any cell is finished the films are read once
    more, without the model, before the others are measured. What cannot be known by content is not
    used again, unless ``about`` names it.

    Args:
        model: images ``(B, C, H, W)`` to a tensor, or to a mapping with one tensor or with
            ``out``; a program of ``torch.export`` too. A module is put on the device, in
            evaluation mode, for as long as it is measured.
        loader: batches of images ``(B, 1, H, W)`` with labels: ``(image, label)``,
            ``(image, label, id)``, or a mapping with ``image``, ``label`` and, optionally, ``id``,
            ``patient``, ``source`` and groups. Images of several equal channels count as grey.
            Without an id an image is known by its place, and the loader must not shuffle. Read once
            for every ``cells_at_once`` cells, so let it cache.
        task: ``"segmentation"`` (with surface distances: ``"segmentation-distance"``),
            ``"binary"``, ``"multilabel"``, ``"multiclass"``, or a function of prediction and label
            (see :mod:`~cxr_noise_transforms.study.evaluation.measures`).
        labels: names of the mask channels or classes; default: their numbers.
        cells: severities ``(sq, se)``; one that is named twice is measured once.
        noise_seeds: repetitions of the noise.
        degradations: what else is wrong with the film, before the noise, in every cell: names such
            as ``"contrast=0.5"``, ``"resolution=2"`` and ``"none"`` (see :func:`degradation_of`),
            or a mapping from names of your own to callables. Other kinds of noise take the place
            of the cell's own: ``"quantum"`` and ``"band=3"`` in cells ``(0, se)``, whose RMS they
            have (see :mod:`.kinds`).
        front_end: any callable, such as a denoiser: noisy images ``(B, 1, H, W)`` to what the model
            sees in their place, before ``channels``, ``mean`` and ``std``. A module is put on the
            device and in evaluation mode.
        outputs: what the model gives to a named task, ``"logits"`` or ``"probabilities"``;
            default: logits, and a warning where nothing speaks for them.
        uncertain: ``"ignore"`` leaves labels of -1 out, as missing ones (NaN) are.
        groups: entries of a mapping batch, one text or number per image, that become columns of
            the table: ``"sex"``, ``"view"``, or ``"age=40,60"`` for numbers cut at 40 and 60 into
            "under 40", "40 to 59" and "60 and over". What is empty, ``None`` or NaN is "unknown".
        value_range: of the images; default: (0, 1), and the full scale of uint8 and uint16.
        bits: digitise the noisy image, as a stored film is; ``None`` leaves it.
        channels: expand the grey image to this many channels after the noise.
        mean: subtracted after the noise, one number or one per channel.
        std: divided by after the noise, likewise.
        device: default: CUDA where there is one.
        out: folder; a finished cell is a file there and is not measured again.
        about: constant columns: ``task``, ``network`` (default: the model's name), ``weights``,
            ``training_seed``, and other settings by which a cell in ``out`` is known. ``model``
            and ``measure`` are your word for their content.
        cells_at_once: cells measured in one reading of the loader.
        share: ``(i, n)``: only the i-th of n shares of the cells, from 0, for jobs that run apart.
        progress: say how far it is.

    Returns:
        The long table: one row per cell, noise seed, image, label and metric, with the columns
        :data:`COLUMNS` and the groups. A classifier's metric is ``score``, its ``target`` 0 or 1,
        or NaN where the label is missing.

    Raises:
        TypeError: a batch of another form, a prediction that is no tensor, a group that is no text
            and no number, or a setting that cannot be stored.
        ValueError: an empty loader; images outside of their value range, of channels that differ,
            or that the model refuses; a prediction of another shape or with NaN; an image twice;
            other films than in the cells before; a batch without a group; a file in ``out`` of
            another model or other settings, or of one that is not known; or a device that cannot be
            used.

    Example:
        >>> loader = [(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))]
        >>> model = lambda films: -films.mean((1, 2, 3))
        >>> table = stress_test(model, loader, "binary", cells=[(0, 0), (10, 0)], device="cpu")
        >>> table[["sq", "image", "target"]].values.tolist()
        [[0.0, '0', 0.0], [0.0, '1', 1.0], [10.0, '0', 0.0], [10.0, '1', 1.0]]
    """
    return stress_cells(**locals()).frame()
