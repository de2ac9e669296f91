"""The stress test, cell by cell: what is finished is taken from its file, the rest is measured."""

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
from cxr_noise_transforms.study.groups import groupings
from cxr_noise_transforms.study.processes import agreed, rank, wait
from cxr_noise_transforms.study.progress import Progress
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.table import LongTable

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


def stress_cells(  # noqa: PLR0913 (each is a choice of the experiment)
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
) -> LongTable:
    """As :func:`.stress.stress_test`; with ``out`` the cells stay in their files."""
    device = usable_device(device)
    measure = measure_of(task, outputs, uncertain)
    labels = None if labels is None else list(labels)
    grouped = groupings(groups)
    named = {"task": task if isinstance(task, str) else "custom", "network": _name(model)}
    about = {**named, **storable("about", about or {})}
    noise: dict[str, Any] = {"value_range": list(value_range or (0.0, 1.0)), "bits": bits}
    after: dict[str, Any] = {"channels": channels, "mean": mean, "std": std}
    known_degradations = named_degradations(degradations)
    todo = measurements(cells, noise_seeds, known_degradations, share)
    noises = {one: _noise(one, known_degradations[one.degradation], noise) for one in todo}
    if cells_at_once < 1:
        raise ValueError(f"cells_at_once must be at least 1, got {cells_at_once}")
    stores, unknown = dict[str, CellStore](), dict[str, str]()
    if out is not None:
        settings = {**about, **noise, **after, "labels": labels, "uncertain": uncertain}
        settings |= {"outputs": outputs or "logits", **_given("groups", grouped or None)}
        roles = {"model": model, "measure": task, **_given("front_end", front_end)}
        known, unknown = _identity(roles, about)
        for degradation, worse in known_degradations.items():
            what, why = _identity(_given("degradation", worse), about)
            unknown |= why
            config = storable("setting", {**settings, **known, **what})
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
        reader = Reader(
            loader, scale, ready, measure, labels, device, before, NoisyBatch(**after), grouped
        )
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
                table = _long(rows, {**_DEFAULTS, **about, **one._asdict()})
                if stores and rank() == 0:
                    stores[one.degradation].write(one, table, found.films)
                    tables[one] = stores[one.degradation].read(one)
                else:
                    tables[one] = LongTable.of(table)
                told.step(one.words)
    # a rank that looks for the files finds what the first has written
    wait()
    return LongTable.joined(table for table in tables.values() if table is not None)


def _long(rows: pd.DataFrame, constant: Mapping[str, Any]) -> pd.DataFrame:
    """The long table of one measurement: what is constant, the rows, and what else they have."""
    columns = {name: constant[name] for name in COLUMNS if name in constant}
    more = [name for name in rows if name not in COLUMNS]
    return rows.assign(**columns)[[*COLUMNS, *more]]


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
        warnings.warn(message, stacklevel=4)


def _check_loader(loader: Iterable[Any], readings: int) -> None:
    if isinstance(loader, Iterator) and readings > 1:
        raise ValueError(
            f"the loader must be read {readings} times, which {type(loader).__name__} cannot be"
        )
    lost = films_left_out(loader)
    if lost and readings:
        warnings.warn(f"the loader leaves {lost} of its films out (drop_last=True)", stacklevel=4)


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
            stacklevel=4,
        )


def _title(about: Mapping[str, Any]) -> str:
    return " ".join(str(about[key]) for key in ("network", "weights") if key in about)


def _name(model: Model | ExportedProgram) -> str:
    if isinstance(model, nn.Module):
        return type(model).__name__
    return str(getattr(model, "__qualname__", type(model).__name__))
