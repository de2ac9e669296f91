"""A folder of films with masks, or with a table of labels, for the stress test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Transform
from torch import Tensor
from torch.utils.data import Dataset

from .reader import fitted, open_film, read_grey

_NO_LABEL = ("image", "patient", "source")


class MaskedFolder(Dataset):
    """Films and their masks, files of the same name in parallel folders.

    Args:
        films: folder of images, also in folders below.
        masks: name of each label and the folder of its masks, PNG, 0 where the label is not.
        size: side of the square in pixels that films and masks are resized to.
        patients: CSV with the columns ``image`` and ``patient``; without it every film counts as
            a patient of its own.

    Raises:
        FileNotFoundError: a folder has no films, or a film has no mask.
        ValueError: the table lacks a column or a film.
    """

    def __init__(
        self,
        films: str | Path,
        masks: Mapping[str, str | Path],
        size: int,
        patients: str | Path | None = None,
    ) -> None:
        self.films = folder_films(films)
        self.masks = {label: Path(folder) for label, folder in masks.items()}
        self.labels = list(masks)
        self.size = size
        self.patients = {film["id"]: film["id"] for film in self.films}
        if patients is not None:
            self.patients = _patients(patients, list(self.patients))
        for label, folder in self.masks.items():
            missing = [f["id"] for f in self.films if not (folder / f"{f['id']}.png").is_file()]
            if missing:
                raise FileNotFoundError(
                    f"{len(missing)} of {len(self.films)} films have no mask of {label} in "
                    f"{folder}, the first is {missing[0]}.png"
                )

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
            "image": _signal(film["image"], self.size),
            "label": torch.from_numpy(np.stack(masks).astype(np.float32)),
        }


class LabelledFolder(Dataset):
    """Films and a CSV of their labels.

    Args:
        films: folder of images, also in folders below.
        table: CSV with the column ``image``, the file's path below ``films`` with or without
            ending; optional ``patient`` and ``source``; every other column is a label of 0 and 1,
            or the one column is a class number.
        size: side of the square in pixels.
        classes: whether the one label column holds class numbers.

    Raises:
        FileNotFoundError: a film of the table is not in the folder.
        ValueError: the table cannot be read, lacks columns, or a label is no number.
    """

    def __init__(
        self, films: str | Path, table: str | Path, size: int, *, classes: bool = False
    ) -> None:
        self.size = size
        try:
            rows = pd.read_csv(table, dtype=dict.fromkeys(_NO_LABEL, str))
        except (OSError, ValueError) as error:
            raise ValueError(f"cannot read {table}: {error}") from error
        self.labels = [name for name in rows if name not in _NO_LABEL]
        if "image" not in rows or not self.labels:
            raise ValueError(
                f"{table} must have the column image and one column per label, "
                f"has {', '.join(rows)}"
            )
        for label in self.labels:
            allowed = rows[label] >= 0 if classes else rows[label].isin((0, 1))
            if not pd.api.types.is_numeric_dtype(rows[label]) or not allowed.all():
                raise ValueError(
                    f"column {label} of {table} must be "
                    f"{'a class number' if classes else '0 or 1'} in every row"
                )
        if "patient" in rows and rows.patient.isna().any():
            raise ValueError(
                f"{table} must have a patient in every row or no such column, "
                f"image {rows.image[rows.patient.isna()].iloc[0]} has none"
            )
        found = {film["id"]: film["image"] for film in folder_films(films)}
        names = [str(Path(image).with_suffix("")) for image in rows.image]
        missing = [name for name in names if name not in found]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(names)} films of {table} are not in {films}, "
                f"the first is {missing[0]}"
            )
        self.rows = rows
        self.films = [{"id": name, "image": found[name]} for name in names]

    def __len__(self) -> int:
        """Number of films."""
        return len(self.films)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Image ``(1, size, size)`` in [0, 1], label ``(labels,)``, id, patient and source."""
        film, row = self.films[index], self.rows.iloc[index]
        label = torch.tensor([float(row[label]) for label in self.labels])
        return {
            "id": film["id"],
            "patient": str(row.get("patient", film["id"])),
            "source": str(row.get("source", "")),
            "image": _signal(film["image"], self.size),
            "label": label,
        }


def _patients(table: str | Path, films: list[str]) -> dict[str, str]:
    try:
        rows = pd.read_csv(table, dtype=str)
        named = dict(zip(rows["image"], rows["patient"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{table} must be a CSV with image and patient: {error!r}") from error
    found = {str(Path(str(image)).with_suffix("")): patient for image, patient in named.items()}
    missing = [film for film in films if not isinstance(found.get(film), str)]
    if missing:
        raise ValueError(f"{table} names no patient for {len(missing)} films, as {missing[0]}")
    return {film: found[film] for film in films}


def _mask(path: Path, size: int) -> np.ndarray:
    # any value but 0 is the label: masks are stored as 0 and 1 or as 0 and 255
    return fitted(open_film(path).convert("L").point(lambda value: 255 * (value > 0)), size) >= 128


def _signal(path: str, size: int) -> Tensor:
    return torch.from_numpy(read_grey(Path(path), size, pad=True))[None].float() / 255


_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def folder_films(folder: str | Path) -> list[dict[str, str]]:
    """The image files of a folder and of the folders in it, by name.

    Raises:
        FileNotFoundError: no such folder, or no image file in it.
        ValueError: two files in one folder differ in their ending alone.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f"folder of films {root} does not exist")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in _ENDINGS)
    if not files:
        raise FileNotFoundError(f"folder {root} holds no film ({', '.join(_ENDINGS)})")
    named: dict[str, Path] = {}
    for path in files:
        name = str(path.relative_to(root).with_suffix(""))
        if name in named:
            raise ValueError(
                f"films in {root} must differ in more than their ending, "
                f"got {named[name].name} and {path.name}"
            )
        named[name] = path
    return [{"id": name, "image": str(path)} for name, path in named.items()]


class LoadFolderFilm(Transform):
    """Read one film, padded to a square and resized.

    Args:
        size: side of the square in pixels.

    Returns:
        The film's ``id`` and file, and an ``image`` ``(1, size, size)``, uint8.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image as a tensor."""
        image = read_grey(Path(film["image"]), self.size, pad=True)
        return {"id": film["id"], "file": film["image"], "image": torch.from_numpy(image)[None]}
