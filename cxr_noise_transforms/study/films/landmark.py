"""Films with organ masks: the Landmark dataset in its own layout, and phantoms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Transform
from PIL import Image, ImageDraw

from .names import DICOM, called, is_film
from .phantom import chest_phantom
from .reader import read_grey
from .record import Film, loaded, phantom_films

#: what an organ's masks are called in the folders of landmarks
ORGANS: dict[str, tuple[str, ...]] = {
    "lungs": ("lungs",),
    "heart": ("heart",),
    "lungs-heart": ("lungs", "heart"),
}
CONTOURS = {"lungs": ("RL", "LL"), "heart": ("H",)}
# landmarks are pixels of an image of this side, whatever the stored image's
_LANDMARK_SIDE = 1024
# how far a contour may leave the image, as one drawn by hand along its border may
_BEYOND = 50
_LAYOUT = "Images/<film>.png with landmarks/{RL,LL,H}/<film>.npy"
# how the names of each source's films begin
_SOURCES = {
    "JSRT": r"JPC[LN]N\d",
    "PadChest": r"\d+[-_]",
    "Montgomery": r"MCUCXR_\d",
    "Shenzhen": r"CHNCXR_\d",
}


def segmentation_films(
    data_dir: str | Path | None, organs: str, *, source: str | None = None, phantoms: int = 100
) -> list[Film]:
    """The films of a Landmark dataset folder that have every contour of ``organs``.

    All four sources have lungs, JSRT and PadChest hearts too.

    Args:
        data_dir: folder with ``Images/<film>.png``, ``landmarks/{RL,LL,H}/<film>.npy`` and,
            optionally, ``clinical.csv`` (columns ``File``, ``Dataset`` and, optionally,
            ``PatientID``); ``None`` for phantoms.
        organs: ``"lungs"``, ``"heart"`` or ``"lungs-heart"``.
        source: only the films of this source: ``"JSRT"``, ``"PadChest"``, ``"Montgomery"``,
            ``"Shenzhen"``.
        phantoms: number of phantom films.

    Returns:
        Records of ``id``, ``patient``, ``source``, and ``image`` or the phantom's ``seed``.

    Raises:
        FileNotFoundError: no such folder, another layout, or a film without any landmarks.
        ValueError: unknown organs or source, or no film has the contours.

    Example:
        >>> segmentation_films(None, "lungs", phantoms=1)[0]["id"]
        'phantom-000000'

    References:
        Gaggion et al., IEEE TMI 2022, doi:10.1109/TMI.2022.3224660.
    """
    needed = {contour for organ in organ_names(organs) for contour in CONTOURS[organ]}
    if data_dir is None:
        return _of_source(phantom_films(phantoms), source)
    root = Path(data_dir)
    contours, films = {}, []
    for film, found in annotated_films(root):
        if not found:
            raise FileNotFoundError(
                f"film {root / film['image']} has no landmarks: none of RL, LL, H holds "
                f"{film['id']}.npy"
            )
        contours[film["id"]] = found
        films.append(film)
    chosen = [film for film in _of_source(films, source) if needed <= contours[film["id"]]]
    if not chosen:
        whose = f" of source {source}" if source else ""
        raise ValueError(
            f"no film{whose} in {root} has the contours {sorted(needed)} that {organs} needs"
        )
    return chosen


def organ_names(organs: str) -> tuple[str, ...]:
    """The mask channels of an organ task.

    Raises:
        ValueError: ``organs`` is not a key of :data:`ORGANS`.
    """
    if organs not in ORGANS:
        raise ValueError(f"organs must be one of {', '.join(ORGANS)}, got {organs!r}")
    return ORGANS[organs]


class LoadMaskedFilm(Transform):
    """Read one film: an 8-bit image and its organ masks, resized to a square.

    Args:
        size: side of the square in pixels.
        organs: a key of :data:`ORGANS`; one mask channel per organ.
        data_dir: folder of the Landmark dataset, ``None`` for phantom films.
        levels: see :func:`read_grey`.

    Returns:
        The film's ``id``, ``patient`` and ``source``, an ``image`` ``(1, size, size)`` and a
        ``label`` ``(organs, size, size)`` of 0 and 1, both uint8.

    Raises:
        ValueError: the image is unreadable or not square, or a contour is no polygon; the
            message names the file.
    """

    def __init__(
        self,
        size: int,
        organs: str,
        data_dir: str | Path | None = None,
        *,
        levels: int | None = None,
    ) -> None:
        self.size = size
        self.levels = levels
        self.organs = organ_names(organs)
        self.data_dir = None if data_dir is None else Path(data_dir)

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image and masks as tensors."""
        if self.data_dir is None:
            phantom = chest_phantom(film["seed"], self.size)
            image, masks = phantom.image, [getattr(phantom, organ) for organ in self.organs]
        else:
            image = read_grey(self.data_dir / film["image"], self.size, levels=self.levels)
            masks = organ_masks(self.data_dir, film["id"], self.organs, self.size)
        return {
            **loaded(film, image),
            "label": torch.from_numpy(np.stack(masks).astype(np.uint8)),
        }

    def files(self, film: Mapping[str, Any]) -> list[Path]:
        """The image and the landmarks that are read for ``film``, none for a phantom."""
        if self.data_dir is None:
            return []
        contours = contour_files(film["id"], self.organs)
        return [self.data_dir / path for path in (film["image"], *contours)]


def organ_masks(root: Path, stem: str, organs: tuple[str, ...], size: int) -> list[np.ndarray]:
    """The masks ``(size, size)`` that the landmarks of a film enclose, one per organ.

    Raises:
        ValueError: a contour is no polygon or encloses no pixel.
    """
    return [_mask(root, stem, organ, size) for organ in organs]


def _mask(root: Path, stem: str, organ: str, size: int) -> np.ndarray:
    canvas = Image.new("1", (size, size))
    for path in contour_files(stem, (organ,)):
        polygon = read_contour(root / path) * (size / _LANDMARK_SIDE)
        ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon], fill=1)
    mask = np.asarray(canvas)
    if not mask.any():
        raise ValueError(f"landmarks of film {stem} enclose no pixel of the image for {organ}")
    return mask


def annotated_films(root: Path) -> Iterator[tuple[Film, set[str]]]:
    """Every film of a Landmark dataset folder, with the contours that it has.

    Raises:
        FileNotFoundError: no such folder, or another layout.
        ValueError: ``clinical.csv`` is not what it should be, or two images are of one name.
    """
    _check_layout(root)
    folder = (root / "Images").iterdir()
    images = sorted(path for path in folder if is_film(path, (".png", DICOM)))
    for one, other in pairwise(images):
        if one.stem == other.stem:
            raise ValueError(
                f"films in {root} must differ in more than their ending, "
                f"got {one.name} and {other.name}"
            )
    films = [{"id": image.stem, "image": f"Images/{image.name}"} for image in images]
    sources, patients = _clinical(root, called(films))
    annotated = {
        contour: {path.stem for path in (root / "landmarks" / contour).glob("*.npy")}
        for contour in ("RL", "LL", "H")
    }
    for film in films:
        stem = film["id"]
        source = sources.get(stem) or _source(stem)
        patient = patients.get(stem) or _patient(stem, source)
        yield (
            {"id": stem, "patient": patient, "source": source, "image": film["image"]},
            {contour for contour, stems in annotated.items() if stem in stems},
        )


def contour_files(stem: str, organs: tuple[str, ...]) -> list[str]:
    """The landmarks of a film's organs, as paths below the data folder."""
    return [f"landmarks/{contour}/{stem}.npy" for organ in organs for contour in CONTOURS[organ]]


def read_contour(path: Path) -> np.ndarray:
    """Landmarks ``(points, 2)``: x to the right and y down, pixels of a 1024 x 1024 image.

    Raises:
        ValueError: unreadable, or no polygon.
    """
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"cannot read landmarks {path}: {error}") from error
    if not isinstance(points, np.ndarray) or points.dtype.kind not in "iuf":
        raise ValueError(f"landmarks {path} must be one array of numbers")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(f"landmarks {path} must be finite (points, 2), got shape {points.shape}")
    if points.min() < -_BEYOND or points.max() > _LANDMARK_SIDE + _BEYOND:
        raise ValueError(
            f"landmarks {path} must be pixels of a {_LANDMARK_SIDE} x {_LANDMARK_SIDE} image, "
            f"got {points.min():g} to {points.max():g}"
        )
    return points


def _of_source(films: list[Film], source: str | None) -> list[Film]:
    present = sorted({film["source"] for film in films})
    if source is not None and source not in present:
        raise ValueError(f"source must be one of {', '.join(present) or 'none'}, got {source!r}")
    return [film for film in films if source in (None, film["source"])]


def _check_layout(root: Path) -> None:
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist; expected {_LAYOUT} below it")
    if not (root / "Images").is_dir() or not (root / "landmarks").is_dir():
        found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "an empty folder"
        raise FileNotFoundError(
            f"data folder {root} is not laid out as the Landmark dataset: expected {_LAYOUT}, "
            f"found {found}"
        )


def _clinical(root: Path, names: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Source and patient of the films, known by ``names``, that ``clinical.csv`` knows them of."""
    path = root / "clinical.csv"
    if not path.is_file():
        return {}, {}
    try:
        # a film may be called NA
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    missing = {"File", "Dataset"} - set(table.columns)
    if missing:
        raise ValueError(f"{path} must have the columns File and Dataset, lacks {sorted(missing)}")
    table["id"] = [names.get(PurePath(file.strip()).name, "") for file in table.File]
    table = table[table.id != ""]
    repeated = table.id[table.id.duplicated()]
    if len(repeated):
        raise ValueError(f"{path} must have one row per film, has several of {repeated.iloc[0]}")
    # the dataset writes Padchest
    spelling = {source.casefold(): source for source in _SOURCES}
    sources = [spelling.get(name.strip().casefold(), name.strip()) for name in table.Dataset]
    numbers = table.get("PatientID", [""] * len(table))
    patients = {
        stem: f"{source}-{number.strip()}"
        for stem, source, number in zip(table.id, sources, numbers, strict=True)
        if number.strip()
    }
    return dict(zip(table.id, sources, strict=True)), patients


def _source(stem: str) -> str:
    for source, beginning in _SOURCES.items():
        if re.match(beginning, stem):
            return source
    return "unknown"


def _patient(stem: str, source: str) -> str:
    if source == "PadChest":
        # <number>[-2|_2]_<random letters>: PadChest names no patient, but two films of one number
        # are of one person (the same sex, at most 2 years apart in clinical.csv); a person with
        # two numbers is known from a column PatientID only
        return re.sub(r"^(\d{20,})[-_].*$", r"\1", stem)
    # Shenzhen and Montgomery end in _0 or _1, the label for tuberculosis; one film per person
    return re.sub(r"^((?:CHN|MCU)CXR_\d+)_[01]$", r"\1", stem)
