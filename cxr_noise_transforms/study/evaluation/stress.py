"""The stress test: any model, any loader, every cell of a severity grid, one long table."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor, nn

from cxr_noise_transforms import LADDER, RadiographicNoise
from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.predictions import refuse_nan
from cxr_noise_transforms.study.processes import agreed, rank, wait, world
from cxr_noise_transforms.study.progress import Progress
from cxr_noise_transforms.study.provenance import provenance

from .cells import CellStore
from .measures import MEASURES, Measure, Measured

Cell = tuple[float, float]

# strengths of common corruption sets in this package's units: sq = sqrt(N0 / photons) for their
# shot noise, se = sigma / SIGMA0 for their Gaussian noise; Hendrycks and Dietterich 2019
# (arXiv:1903.12261) and Di Salvo et al. 2024 (arXiv:2406.17536, chest)
IMAGENET_C: tuple[Cell, ...] = (
    (0.0, 0.0),
    *((float((1000 / photons) ** 0.5), 0.0) for photons in (60, 25, 12, 5, 3)),
    *((0.0, sigma) for sigma in (0.8, 1.2, 1.8, 2.6, 3.8)),
)
MEDMNIST_C_CHEST: tuple[Cell, ...] = (
    (0.0, 0.0),
    *((float((1000 / photons) ** 0.5), 0.0) for photons in (60, 25, 18, 10, 5)),
    *((0.0, sigma) for sigma in (0.4, 0.8, 1.2, 1.8, 2.6)),
)
COLUMNS = (
    "task", "network", "weights", "training_seed", "sq", "se", "noise_seed",
    "image", "patient", "source", "label", "metric", "value", "target",
)  # fmt: skip
_DEFAULTS: dict[str, Any] = {"weights": "given", "training_seed": 0}


def stress_test(  # noqa: PLR0913 (each is a choice of the experiment)
    model: Callable[[Tensor], Tensor],
    loader: Iterable[Any],
    task: str | Measure = "segmentation",
    *,
    labels: Sequence[str] | None = None,
    cells: Sequence[Cell] = LADDER,
    noise_seeds: Sequence[int] = (0,),
    value_range: tuple[float, float] = (0.0, 1.0),
    bits: int | None = 8,
    channels: int | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    device: str | torch.device | None = None,
    out: str | Path | None = None,
    about: Mapping[str, Any] | None = None,
    cells_at_once: int = 1,
    share: tuple[int, int] = (0, 1),
) -> pd.DataFrame:
    """Measure a model at every severity and noise seed.

    Noise is drawn on the device, from one seed per image and noise seed: a result depends
    neither on batch size, order nor workers, and every cell sees the same noise at another
    strength. It is added to the grey image before the model's own normalisation.

    In a distributed run every rank measures its own share of the images (give each rank's loader
    a ``DistributedSampler(even_divisible=False)``); all ranks return the whole table.

    Args:
        model: images ``(B, C, H, W)`` to logits. A module is put on the device, in evaluation
            mode.
        loader: batches of images ``(B, 1, H, W)`` with labels: ``(image, label)``,
            ``(image, label, id)``, or a mapping with ``image``, ``label`` and, optionally, ``id``,
            ``patient`` and ``source``. Without an id an image is known by its place, and the
            loader must not shuffle. Read once for every ``cells_at_once`` cells, so let it cache.
        task: ``"segmentation"`` (with surface distances: ``"segmentation-distance"``),
            ``"binary"``, ``"multilabel"``, ``"multiclass"``, or a function of prediction and label
            (see :mod:`~cxr_noise_transforms.study.evaluation.measures`).
        labels: names of the mask channels or classes; default: their numbers.
        cells: severities ``(sq, se)``; one that is named twice is measured once.
        noise_seeds: repetitions of the noise.
        value_range: of the images.
        bits: digitise the noisy image, as a stored film is; ``None`` leaves it.
        channels: expand the grey image to this many channels after the noise.
        mean: subtracted after the noise, one number or one per channel.
        std: divided by after the noise, likewise.
        device: default: CUDA where there is one.
        out: folder; a finished cell is a file there and is not measured again.
        about: constant columns: ``task``, ``network`` (default: the model's name), ``weights``,
            ``training_seed``, and other settings by which a cell in ``out`` is known.
        cells_at_once: cells measured in one reading of the loader.
        share: ``(i, n)``: only the i-th of n shares of the cells, from 0, for jobs that run apart.

    Returns:
        The long table: one row per cell, noise seed, image, label and metric, with the columns
        :data:`COLUMNS`. A classifier's metric is ``score``, its ``target`` 0 or 1.

    Raises:
        TypeError: a batch of another form, or a prediction that is no tensor.
        ValueError: an empty loader, images that the model refuses, a prediction of another shape
            or with NaN, an image twice, other images or labels than in the cells before, or a file
            in ``out`` of another model or other settings.

    Example:
        >>> loader = [(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))]
        >>> model = lambda films: films.mean((1, 2, 3))
        >>> table = stress_test(model, loader, "binary", cells=[(0, 0), (10, 0)], device="cpu")
        >>> table[["sq", "image", "target"]].values.tolist()
        [[0.0, '0', 0.0], [0.0, '1', 1.0], [10.0, '0', 0.0], [10.0, '1', 1.0]]
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    model = model.to(device).eval() if isinstance(model, nn.Module) else model
    if not 0 <= share[0] < share[1]:
        raise ValueError(f"share must be (i, n) with i from 0 to n - 1, got {share}")
    if cells_at_once < 1:
        raise ValueError(f"cells_at_once must be at least 1, got {cells_at_once}")
    measure = _measure_of(task)
    name = type(model).__name__ if isinstance(model, nn.Module) else _name(model)
    kind = task if isinstance(task, str) else "custom"
    about = {"task": kind, "network": name, **(about or {})}
    noise: dict[str, Any] = {"value_range": list(value_range), "bits": bits}
    after: dict[str, Any] = {"channels": channels, "mean": mean, "std": std}
    store = None
    if out is not None:
        config = {**about, **noise, **after, **_identity(model, measure, labels)}
        store = CellStore(Path(out), config, provenance(device))
    every = [((sq, se), seed) for seed in noise_seeds for sq, se in cells]
    todo = dict.fromkeys(every[share[0] :: share[1]])
    if not every:
        raise ValueError("cells and noise_seeds must hold at least one each")
    tables = {one: store.read(*one) for one in todo} if store else todo
    # another job may finish a cell between two processes' looks
    missing = agreed([one for one, table in tables.items() if table is None])
    films = {store.images(*one) for one in tables if one not in missing} if store else set()
    _check_one_set(films, out)
    name = " ".join(str(about[key]) for key in ("network", "weights") if key in about)
    before = len(todo) - len(missing)
    with Progress(name, len(todo), "cell", done=before, hidden=rank() != 0) as progress:
        for start in range(0, len(missing), cells_at_once):
            group = missing[start : start + cells_at_once]
            prepares = [
                NoisyBatch(RadiographicNoise(sq, se, **noise), seed=seed, **after)
                for (sq, se), seed in group
            ]
            measured, digest = _measure(model, loader, measure, prepares, labels, device)
            films.add(digest)
            _check_one_set(films, out)
            for ((sq, se), seed), rows in zip(group, measured, strict=True):
                constant = {**_DEFAULTS, **about, "sq": float(sq), "se": float(se)}
                constant["noise_seed"] = seed
                columns = {name: constant[name] for name in COLUMNS if name in constant}
                tables[(sq, se), seed] = table = rows.assign(**columns)[list(COLUMNS)]
                if store is not None and rank() == 0:
                    store.write((sq, se), seed, table, digest)
                progress.step(f"sq={sq:g}, se={se:g}, noise seed {seed}")
    # a rank that looks for the files finds what the first has written
    wait()
    empty = pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(tables.values(), ignore_index=True) if tables else empty


def _check_one_set(films: set[str], out: str | Path | None) -> None:
    if len(films) > 1:
        raise ValueError(
            "the images or labels are not the same in all cells"
            f"{'' if out is None else f' in {out}'}: a loader without ids must not shuffle, and "
            "what has changed needs another folder"
        )


def _measure_of(task: str | Measure) -> Measure:
    if not isinstance(task, str):
        return task
    if task not in MEASURES:
        raise ValueError(f"task must be {', '.join(MEASURES)} or a function, got {task!r}")
    return MEASURES[task]


@torch.inference_mode()
def _measure(
    model: Callable[[Tensor], Tensor],
    loader: Iterable[Any],
    measure: Measure,
    prepares: Sequence[NoisyBatch],
    labels: Sequence[str] | None,
    device: torch.device,
) -> tuple[list[pd.DataFrame], str]:
    """Rows of every prepared noise, and the hash of the images, from one reading of the loader."""
    rows: list[list[pd.DataFrame]] = [[] for _ in prepares]
    checksums: dict[str, int] = {}
    for batch in _batches(loader):
        for film, *pair in zip(batch["id"], batch["image"], batch["label"], strict=True):
            if film in checksums:
                raise ValueError(f"the loader yields image {film} twice: ids must be unique")
            checksums[film] = zlib.crc32(b"".join(_bytes(one) for one in pair))
        for prepare, parts in zip(prepares, rows, strict=True):
            image, label = prepare(batch, device)
            try:
                prediction = model(image)
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                raise ValueError(
                    f"the model refuses images {tuple(image.shape)} ({reason}); channels, mean and "
                    "std say what it takes"
                ) from error
            if not isinstance(prediction, Tensor):
                raise TypeError(
                    f"the model must give a tensor of logits, got {type(prediction).__name__}"
                )
            refuse_nan(prediction, batch["id"])
            parts.append(_rows(measure(prediction, cast("Tensor", label)), batch, labels))
    if not checksums and rank() == 0 and world() == 1:
        raise ValueError("the loader yields no images")
    tables = [pd.concat(parts, ignore_index=True) if parts else pd.DataFrame() for parts in rows]
    tables, checksums = _gather(tables, checksums)
    ordered = [table.sort_values("image", kind="stable", ignore_index=True) for table in tables]
    digest = hashlib.sha256(repr(sorted(checksums.items())).encode()).hexdigest()
    return ordered, digest


def _batches(loader: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Every batch as a mapping with image, label, and one id, patient and source per image."""
    place = 0
    for batch in loader:
        if isinstance(batch, Mapping):
            named = dict(batch)
        elif isinstance(batch, tuple | list) and 2 <= len(batch) <= 3:
            named = dict(zip(("image", "label", "id"), batch, strict=False))
        else:
            raise TypeError(
                "a batch must be (image, label), (image, label, id) or a mapping with image and "
                f"label, got {type(batch).__name__}"
            )
        if not all(isinstance(named.get(name), Tensor) for name in ("image", "label")):
            raise TypeError(
                f"a batch must hold the tensors image and label, got {sorted(map(str, named))}"
            )
        count = len(named["image"])
        if len(named["label"]) != count:
            raise ValueError(f"{count} images with {len(named['label'])} labels in one batch")
        named.setdefault("id", range(place, place + count))
        named.setdefault("patient", named["id"])
        named.setdefault("source", [""] * count)
        for name in ("id", "patient", "source"):
            each = named[name].tolist() if isinstance(named[name], Tensor) else named[name]
            if isinstance(each, str) or len(each) != count:
                raise ValueError(f"a batch of {count} images must hold {count} {name}s, got {each}")
            named[name] = [str(one) for one in each]
        place += count
        yield named


def _rows(
    measured: Mapping[str, Measured], batch: Mapping[str, Any], labels: Sequence[str] | None
) -> pd.DataFrame:
    tables = []
    for metric, (values, targets) in measured.items():
        if values.ndim != 2 or len(values) != len(batch["id"]):
            raise ValueError(
                f"{metric} must be (B, labels) for {len(batch['id'])} images, "
                f"got {tuple(values.shape)}"
            )
        count = values.shape[1]
        names = list(labels) if labels is not None else [str(number) for number in range(count)]
        if len(names) != count:
            raise ValueError(f"{len(names)} labels ({', '.join(names)}) for {count} outputs")
        flat = values.double().cpu().numpy().ravel()
        target = np.nan if targets is None else targets.double().cpu().numpy().ravel()
        films = {name: np.repeat(batch[name], count) for name in ("patient", "source")}
        tables.append(
            pd.DataFrame(
                {"image": np.repeat(batch["id"], count), **films, "metric": metric, "value": flat}
            ).assign(label=names * len(batch["id"]), target=target)
        )
    return pd.concat(tables, ignore_index=True)


def _gather(
    tables: list[pd.DataFrame], checksums: dict[str, int]
) -> tuple[list[pd.DataFrame], dict[str, int]]:
    """All ranks' tables and checksums; an image that a sampler gave to two ranks counts once."""
    if world() == 1:
        return tables, checksums
    shares: list[Any] = [None] * world()
    dist.all_gather_object(shares, (tables, checksums))
    seen: dict[str, int] = {}
    fresh = []
    for parts, sums in shares:
        other = [film for film in sums.keys() & seen.keys() if sums[film] != seen[film]]
        if other:
            raise ValueError(
                f"two processes have different images {min(other)}: in a distributed run the "
                "loader must give ids"
            )
        fresh.append(
            [part[~part["image"].isin(seen.keys())] if len(part) else part for part in parts]
        )
        seen |= sums
    if not seen:
        raise ValueError("the loader yields no images")
    whole = [pd.concat(cell, ignore_index=True) for cell in zip(*fresh, strict=True)]
    return whole, seen


def _identity(
    model: Callable[[Tensor], Tensor], measure: Measure, labels: Sequence[str] | None
) -> dict[str, Any]:
    """By what a finished cell knows that it was measured in the same way."""
    return {
        "measure": _name(measure),
        "labels": None if labels is None else list(labels),
        "model": _model_hash(model),
    }


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def _model_hash(model: Callable[[Tensor], Tensor]) -> str | None:
    """SHA-256 of a module's state; other callables are known by ``about`` alone."""
    if not isinstance(model, nn.Module):
        return None
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(_bytes(value))
    return digest.hexdigest()


def _bytes(value: Tensor) -> bytes:
    # as bytes, because NumPy has no bfloat16
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
