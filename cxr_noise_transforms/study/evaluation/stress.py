"""The stress test: any model, any loader, every cell of a severity grid, one long table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.export import ExportedProgram

from cxr_noise_transforms import LADDER, RadiographicNoise
from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.columns import COLUMNS, UNDEGRADED
from cxr_noise_transforms.study.devices import usable_device
from cxr_noise_transforms.study.groups import groupings, more_columns
from cxr_noise_transforms.study.processes import agreed, rank, wait
from cxr_noise_transforms.study.progress import Progress
from cxr_noise_transforms.study.provenance import provenance

from .batches import Scale, films_left_out
from .cells import CellStore
from .degradations import Degradation
from .grid import Cell, Measurement, measurements, named_degradations
from .identity import fingerprint
from .kinds import Kind
from .measures import Measure, measure_of
from .model import Model, at_work
from .reading import Noise, Reader
from .storable import storable

_DEFAULTS: dict[str, Any] = {"weights": "given", "training_seed": 0}


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
    device = usable_device(device)
    measure = measure_of(task, outputs, uncertain)
    labels = None if labels is None else list(labels)
    grouped = groupings(groups)
    order = [*COLUMNS, *more_columns(grouped)]
    kind = task if isinstance(task, str) else "custom"
    about = {"task": kind, "network": _name(model), **storable("about", about or {})}
    noise: dict[str, Any] = {"value_range": list(value_range or (0.0, 1.0)), "bits": bits}
    after: dict[str, Any] = {"channels": channels, "mean": mean, "std": std}
    known_degradations = named_degradations(degradations)
    todo = measurements(cells, noise_seeds, known_degradations, share)
    noises = {one: _noise(one, known_degradations[one.degradation], noise) for one in todo}
    if cells_at_once < 1:
        raise ValueError(f"cells_at_once must be at least 1, got {cells_at_once}")
    stores: dict[str, CellStore] = {}
    unknown: dict[str, str] = {}
    if out is not None:
        given = {"labels": labels, "outputs": outputs or "logits", "uncertain": uncertain} | _given(
            "groups", grouped or None
        )
        roles = {"model": model, "measure": task} | _given("front_end", front_end)
        known, unknown = _identity(roles, about)
        for degradation, worse in known_degradations.items():
            what, why = _identity(_given("degradation", worse), about)
            unknown |= why
            config = storable("setting", {**about, **noise, **after, **given, **known, **what})
            # what differs between processes, as a number of a device, is no difference of the model
            stores[degradation] = CellStore(Path(out), agreed(config), provenance(device))
    tables = {one: stores[one.degradation].read(one) if stores else None for one in todo}
    # another job may finish a cell between two processes' looks
    missing = agreed([one for one, table in tables.items() if table is None])
    finished = [one for one in todo if one not in missing]
    _check_known(unknown, out, reused=bool(finished))
    _check_loader(loader, len(range(0, len(missing), cells_at_once)) + bool(finished))
    films = {stores[one.degradation].images(one) for one in finished}
    scale = Scale(None if value_range is None else tuple(value_range), bits)
    with (
        at_work(model, device) as ready,
        at_work(front_end, device) if front_end is not None else nullcontext() as before,
        Progress(
            _title(about), len(todo), "cell", done=len(finished), hidden=not progress or rank() != 0
        ) as told,
    ):
        seen = NoisyBatch(**after)
        reader = Reader(loader, scale, ready, measure, labels, device, before, seen, grouped)
        if finished:
            films.add(reader.read().films)
            _check_one_set(films, out)
        for start in range(0, len(missing), cells_at_once):
            group = missing[start : start + cells_at_once]
            found = reader.read([noises[one] for one in group])
            films.add(found.films)
            _check_one_set(films, out)
            if start == 0 and found.bounded and outputs is None and isinstance(task, str):
                _warn_of_probabilities(group)
            for one, rows in zip(group, found.tables, strict=True):
                tables[one] = table = rows.assign(**_constant(about, one))[order]
                if stores and rank() == 0:
                    stores[one.degradation].write(one, table, found.films)
                told.step(one.words)
    # a rank that looks for the files finds what the first has written
    wait()
    empty = pd.DataFrame(columns=order)
    return pd.concat(tables.values(), ignore_index=True) if tables else empty


def _constant(about: Mapping[str, Any], one: Measurement) -> dict[str, Any]:
    """The columns that are the same in every row of a cell."""
    constant = {**_DEFAULTS, **about, **one._asdict()}
    return {name: constant[name] for name in COLUMNS if name in constant}


def _noise(
    one: Measurement, worse: Degradation | Kind | None, digitiser: Mapping[str, Any]
) -> Noise:
    """What a measurement does to a film."""
    if isinstance(worse, Kind):
        other = worse.noise(one.sq, one.se, **digitiser)
        return Noise(NoisyBatch(other, seed=one.noise_seed))
    own = RadiographicNoise(one.sq, one.se, **digitiser)
    return Noise(NoisyBatch(own, seed=one.noise_seed), worse)


def _given(role: str, thing: object | None) -> dict[str, Any]:
    return {} if thing is None else {role: thing}


def _identity(
    roles: Mapping[str, Any], about: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Content of what plays a role in the result as far as it is known, and why it is not."""
    known: dict[str, Any] = {}
    unknown = {}
    for role, thing in roles.items():
        if role in about:
            continue
        try:
            known[role] = thing if isinstance(thing, str) else fingerprint(thing)
        except TypeError as error:
            known[role], unknown[role] = None, str(error)
    return known, unknown


def _check_known(unknown: Mapping[str, str], out: str | Path | None, *, reused: bool) -> None:
    """Refuse finished cells of what is not known, and say beforehand that they will be refused."""
    if not unknown:
        return
    why = " and ".join(f"the {role} is not known ({reason})" for role, reason in unknown.items())
    word = ", ".join(f"{role!r}: ..." for role in unknown)
    message = (
        f"finished cells in {out} are not used again, because {why}: name its content from the "
        f"first call on, about={{{word}}}, or choose another folder"
    )
    if reused:
        raise ValueError(message)
    if rank() == 0:
        warnings.warn(message, stacklevel=3)


def _check_loader(loader: Iterable[Any], readings: int) -> None:
    if isinstance(loader, Iterator) and readings > 1:
        raise ValueError(
            f"the loader must be read {readings} times, which {type(loader).__name__} cannot be"
        )
    lost = films_left_out(loader)
    if lost and readings:
        warnings.warn(f"the loader leaves {lost} of its films out (drop_last=True)", stacklevel=3)


def _check_one_set(films: set[str], out: str | Path | None) -> None:
    if len(films) > 1:
        where = "" if out is None else f" in {out}"
        raise ValueError(
            "the films (images, labels, patients, sources, groups) differ between the cells"
            f"{where}: a loader without ids must not shuffle, and other films need another folder"
        )


def _warn_of_probabilities(group: Sequence[Measurement]) -> None:
    if rank() == 0:
        warnings.warn(
            f"all predictions from {group[0].words} on lie in [0, 1] and are taken for logits: "
            "say outputs='probabilities' if that is what they are, outputs='logits' if not",
            stacklevel=3,
        )


def _title(about: Mapping[str, Any]) -> str:
    return " ".join(str(about[key]) for key in ("network", "weights") if key in about)


def _name(model: Model | ExportedProgram) -> str:
    if isinstance(model, nn.Module):
        return type(model).__name__
    return str(getattr(model, "__qualname__", type(model).__name__))
