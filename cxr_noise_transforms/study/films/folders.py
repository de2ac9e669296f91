"""A folder of films with masks, or with a table of labels, for the stress test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Transform
from torch import Tensor
from torch.utils.data import Dataset

from cxr_noise_transforms.study.groups import groupings

from .names import ENDINGS, called, is_film
from .reader import fitted, open_film, read_grey, stored_size
from .readings import read_groups

_NO_LABEL = ("image", "patient", "source")


class MaskedFolder(Dataset):
    """Films and their masks, files of the same name in parallel folders.

    Args:
        films: folder of images, also in folders below.
        masks: name of each label and the folder of its masks, PNG, 0 where the label is not; a
            mask may be smaller or larger than its film, in the same proportion.
        size: side of the square in pixels that films and masks are resized to.
        patients: CSV with the columns ``image`` and ``patient``; without it every film counts as
            a patient of its own.
        levels: see :func:`read_grey`.
        groups: of the films, columns of the readings, see :func:`.readings.with_groups`.
        readings: CSV; default: that of the patients.

    Raises:
        FileNotFoundError: a folder has no films, or a film has no mask.
        ValueError: a film and its mask differ in shape, a table lacks a column or a film, or there
            are groups without a table.
    """

    def __init__(
        self,
        films: str | Path,
        masks: Mapping[str, str | Path],
        size: int,
        patients: str | Path | None = None,
        *,
        levels: int | None = None,
        groups: Iterable[str] = (),
        readings: str | Path | None = None,
    ) -> None:
        self.films = folder_films(films)
        self.masks = {label: Path(folder) for label, folder in masks.items()}
        self.labels = list(masks)
        self.size = size
        self.levels = levels
        self.patients = {film["id"]: film["id"] for film in self.films}
        if patients is not None:
            self.patients = _patients(patients, self.films)
        self.groups = read_groups(readings or patients, list(self.patients), groups)
        for label, folder in self.masks.items():
            missing = [f["id"] for f in self.films if not (folder / f"{f['id']}.png").is_file()]
            if missing:
                raise FileNotFoundError(
                    f"{len(missing)} of {len(self.films)} films have no mask of {label} in "
                    f"{folder}, the first is {missing[0]}.png"
                )
        for film in self.films:
            for folder in self.masks.values():
                _refuse_other_shape(Path(film["image"]), folder / f"{film['id']}.png")

    def __len__(self) -> int:
        """Number of films."""
        return len(self.films)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Image ``(1, size, size)`` in [0, 1], label ``(labels, size, size)``, id and patient."""
        film = self.films[index]
        masks = [_mask(folder / f"{film['id']}.png", self.size) for folder in self.masks.values()]
        return {
            "id": film["id"],
            "patient": self.patients[film["id"]],
            **self.groups[film["id"]],
            "image": _signal(film["image"], self.size, self.levels),
            "label": torch.from_numpy(np.stack(masks).astype(np.float32)),
        }


class LabelledFolder(Dataset):
    """Films and a CSV of their labels.

    Args:
        films: folder of images, also in folders below.
        table: CSV with the column ``image``, the file's path below ``films`` with or without
            ending; optional ``patient`` and ``source``; every other column that is no group is a
            label of 0 and 1, or the one column is a class number. A label may be -1, uncertain, or
            empty, missing, which is NaN.
        size: side of the square in pixels.
        classes: whether the one label column holds class numbers.
        levels: see :func:`read_grey`.
        groups: of the films, columns of the readings, see :func:`.readings.with_groups`.
        readings: CSV; default: that of the labels.

    Raises:
        FileNotFoundError: a film of the table is not in the folder.
        ValueError: the table cannot be read, lacks columns or names a film twice, or a label is no
            such number, or there is a class that no film has.
    """

    def __init__(
        self,
        films: str | Path,
        table: str | Path,
        size: int,
        *,
        classes: bool = False,
        levels: int | None = None,
        groups: Iterable[str] = (),
        readings: str | Path | None = None,
    ) -> None:
        self.size = size
        self.levels = levels
        self.rows = _read_table(table)
        groups = list(groups)
        own = {one.name for one in groupings(groups)} if readings is None else set()
        no_label = own.union(_NO_LABEL)
        self.labels = [name for name in self.rows if name not in no_label]
        if not self.labels:
            raise ValueError(
                f"{table} must have one column per label, has {', '.join(self.rows)} alone"
            )
        found = folder_films(films)
        names = called(found)
        missing = [name for name in self.rows.image if name not in names]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(self.rows)} films of {table} are not in {films}, "
                f"the first is {missing[0]}"
            )
        ids = [names[name] for name in self.rows.image]
        _refuse_repeated(ids, table)
        by_id = {film["id"]: film for film in found}
        self.films = [by_id[film] for film in ids]
        self.groups = read_groups(readings or table, ids, groups)
        for label in self.labels:
            _check_label(self.rows[label], f"column {label} of {table}", classes=classes)

    def __len__(self) -> int:
        """Number of films."""
        return len(self.films)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Image ``(1, size, size)`` in [0, 1], label ``(labels,)``, id, patient and source."""
        film, row = self.films[index], self.rows.iloc[index]
        label = torch.tensor([float(row[label]) for label in self.labels])
        return {
            "id": film["id"],
            "patient": row.get("patient", film["id"]),
            "source": str(row.get("source", "")),
            **self.groups[film["id"]],
            "image": _signal(film["image"], self.size, self.levels),
            "label": label,
        }


def folder_films(folder: str | Path) -> list[dict[str, str]]:
    """The image files of a folder and of the folders in it, by name; hidden ones are passed by.

    Raises:
        FileNotFoundError: no such folder, or no image file in it.
        ValueError: two files in one folder differ in their ending alone.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"folder of films {root} does not exist")
    inside = [path.relative_to(root) for path in sorted(root.rglob("*")) if is_film(path)]
    files = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
    if not files:
        raise FileNotFoundError(f"folder {root} holds no film ({', '.join(ENDINGS)})")
    named: dict[str, Path] = {}
    for path in files:
        name = path.with_suffix("").as_posix()
        if name in named:
            raise ValueError(
                f"films in {root} must differ in more than their ending, "
                f"got {named[name].name} and {path.name}"
            )
        named[name] = path
    return [{"id": name, "image": str(root / path)} for name, path in named.items()]


class LoadFolderFilm(Transform):
    """Read one film, padded to a square and resized.

    Args:
        size: side of the square in pixels.
        levels: see :func:`read_grey`.

    Returns:
        The film's ``id`` and file, and an ``image`` ``(1, size, size)``, uint8.
    """

    def __init__(self, size: int, levels: int | None = None) -> None:
        self.size = size
        self.levels = levels

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image as a tensor."""
        image = read_grey(Path(film["image"]), self.size, pad=True, levels=self.levels)
        return {"id": film["id"], "file": film["image"], "image": torch.from_numpy(image)[None]}


def _read_table(table: str | Path, *more: str) -> pd.DataFrame:
    """A CSV with a film in every row, and the patient too where there is that column."""
    try:
        rows = pd.read_csv(table, dtype=dict.fromkeys(_NO_LABEL, str))
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {table}: {error}") from error
    needed = ("image", *more)
    if not set(needed) <= set(rows):
        raise ValueError(
            f"{table} must have the columns {' and '.join(needed)}, has {', '.join(rows)}"
        )
    if rows.empty:
        raise ValueError(f"{table} must name films, has no row")
    for name in {*needed, "patient"} & set(rows):
        rows[name] = rows[name].str.strip()
        empty = (rows[name].isna() | (rows[name] == "")).to_numpy()
        if empty.any():
            row = empty.argmax() + 1
            raise ValueError(f"{table} must have {name} in every row, row {row} has none")
    return rows.assign(image=[PurePath(name).as_posix() for name in rows["image"]])


def _check_label(values: pd.Series, where: str, *, classes: bool) -> None:
    numbers = pd.api.types.is_numeric_dtype(values)
    known = values[values.notna() & (values != -1)]
    if not numbers or not known.isin(range(len(values)) if classes else (0, 1)).all():
        kind = f"a class number below {len(values)}" if classes else "0 or 1"
        raise ValueError(
            f"{where} must be {kind} in every row, or -1 or empty where unknown; or name it with "
            "--groups, if it is no label"
        )
    present = set(known)
    for number in range(int(max({*present, 1})) + 1):
        if number not in present:
            raise ValueError(f"{where} must have films of every class, none has {number}")


def _refuse_repeated(films: Iterable[str], table: str | Path) -> None:
    film, rows = Counter(films).most_common(1)[0]
    if rows > 1:
        raise ValueError(f"{table} must have one row per film, has {rows} of {film}")


def _patients(table: str | Path, films: list[dict[str, str]]) -> dict[str, str]:
    rows = _read_table(table, "patient")
    names = called(films)
    known = [
        (names[image], patient)
        for image, patient in zip(rows.image, rows.patient, strict=True)
        if image in names
    ]
    _refuse_repeated((film for film, _ in known), table)
    patients = dict(known)
    missing = [film["id"] for film in films if film["id"] not in patients]
    if missing:
        raise ValueError(f"{table} names no patient for {len(missing)} films, as {missing[0]}")
    return patients


def _refuse_other_shape(film: Path, mask: Path) -> None:
    """Each is padded to a square by itself, so that they only fit where they are alike.

    Raises:
        ValueError: no mask of the film's proportion, but for rounding to whole pixels.
    """
    (width, height), (across, down) = stored_size(film), stored_size(mask)
    if abs(across * height - down * width) > max(width, height, across, down):
        raise ValueError(
            f"a film and its mask must have the same shape, got {width} x {height} for {film} and "
            f"{across} x {down} for {mask}"
        )


def _mask(path: Path, size: int) -> np.ndarray:
    # any value but 0 is the label: masks are stored as 0 and 1 or as 0 and 255
    return fitted(open_film(path).convert("L").point(lambda value: 255 * (value > 0)), size) >= 128


def _signal(path: str, size: int, levels: int | None) -> Tensor:
    return (
        torch.from_numpy(read_grey(Path(path), size, pad=True, levels=levels))[None].float() / 255
    )
