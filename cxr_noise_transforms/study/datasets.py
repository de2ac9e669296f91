"""Films with organ masks: the Landmark dataset's own layout, and the embedded phantom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Transform
from PIL import Image, ImageDraw, UnidentifiedImageError

from .phantom import chest_phantom

# one film: id, patient, source, and either image and landmarks (paths below the data folder) or
# the phantom's seed
Film = dict[str, Any]

ORGANS: dict[str, tuple[str, ...]] = {
    "lungs": ("lungs",),
    "heart": ("heart",),
    "lungs-heart": ("lungs", "heart"),
}
# landmarks are pixels of an image of this side, whatever the stored image's
_LANDMARK_SIDE = 1024
_CONTOURS = {"lungs": ("RL", "LL"), "heart": ("H",)}
_LAYOUT = "Images/<film>.png with landmarks/{RL,LL,H}/<film>.npy"


def phantom_films(count: int, seed: int = 0) -> list[Film]:
    """``count`` phantom persons, one film each."""
    return [
        {
            "id": f"phantom-{person:06d}",
            "patient": f"phantom-{person:06d}",
            "source": "phantom",
            "seed": person,
        }
        for person in range(seed * 1_000_000, seed * 1_000_000 + count)
    ]


def landmark_films(data_dir: str | Path, organs: str) -> list[Film]:
    """The films of a Landmark dataset folder that have every contour of ``organs``.

    Args:
        data_dir: folder with ``Images/<film>.png``, ``landmarks/{RL,LL,H}/<film>.npy`` and,
            optionally, ``clinical.csv`` (columns ``File``, ``Dataset``).
        organs: ``"lungs"``, ``"heart"`` or ``"lungs-heart"``.

    Raises:
        FileNotFoundError: no such folder, another layout, or a film without any landmarks.
        ValueError: unknown organs, or no film has their contours.

    References:
        Gaggion et al., IEEE TMI 2022, doi:10.1109/TMI.2022.3224660.
    """
    root = Path(data_dir)
    contours = [contour for organ in organ_names(organs) for contour in _CONTOURS[organ]]
    _check_layout(root)
    sources = _clinical_sources(root)
    films = []
    for image in sorted((root / "Images").glob("*.png")):
        present = [c for c in ("RL", "LL", "H") if _contour_file(root, c, image.stem).is_file()]
        if not present:
            raise FileNotFoundError(
                f"film {image} has no landmarks: none of RL, LL, H holds {image.stem}.npy"
            )
        if set(contours) <= set(present):
            films.append(
                {
                    "id": image.stem,
                    "patient": _patient(image.stem),
                    "source": sources.get(image.stem) or _source(image.stem),
                    "image": f"Images/{image.name}",
                }
            )
    if not films:
        raise ValueError(f"no film in {root} has the contours {contours} that {organs} needs")
    return films


def organ_names(organs: str) -> tuple[str, ...]:
    """The mask channels of an organ task.

    Raises:
        ValueError: ``organs`` is not a key of :data:`ORGANS`.
    """
    if organs not in ORGANS:
        raise ValueError(f"organs must be one of {', '.join(ORGANS)}, got {organs!r}")
    return ORGANS[organs]


class LoadFilm(Transform):
    """Read one film: an 8-bit image and its organ masks, resized to a square.

    Args:
        size: side of the square in pixels.
        organs: a key of :data:`ORGANS`; one mask channel per organ.
        data_dir: folder of the Landmark dataset, ``None`` for phantom films.

    Returns:
        The film's ``id``, ``patient`` and ``source``, an ``image`` ``(1, size, size)`` and a
        ``label`` ``(organs, size, size)`` of 0 and 1, both uint8.

    Raises:
        ValueError: the image is unreadable or not square, or a contour is no polygon; the
            message names the file.
    """

    def __init__(self, size: int, organs: str, data_dir: str | Path | None = None) -> None:
        self.size = size
        self.organs = organ_names(organs)
        self.data_dir = None if data_dir is None else Path(data_dir)

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image and masks as tensors."""
        if self.data_dir is None:
            phantom = chest_phantom(film["seed"], self.size)
            image, masks = phantom.image, [getattr(phantom, organ) for organ in self.organs]
        else:
            image = read_grey(self.data_dir / film["image"], self.size)
            masks = [self._mask(self.data_dir, organ, film["id"]) for organ in self.organs]
        return {
            **{key: film[key] for key in ("id", "patient", "source")},
            "image": torch.from_numpy(image)[None],
            "label": torch.from_numpy(np.stack(masks).astype(np.uint8)),
        }

    def _mask(self, root: Path, organ: str, stem: str) -> np.ndarray:
        canvas = Image.new("1", (self.size, self.size))
        for contour in _CONTOURS[organ]:
            path = _contour_file(root, contour, stem)
            polygon = _read_contour(path) * (self.size / _LANDMARK_SIDE)
            ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon], fill=1)
        mask = np.asarray(canvas)
        if not mask.any():
            raise ValueError(f"landmarks of film {stem} enclose no pixel of the image for {organ}")
        return mask


def read_grey(path: Path, size: int) -> np.ndarray:
    """An image file as uint8 ``(size, size)``; 16-bit files are scaled from their full range.

    A 12-bit film in a 16-bit file must be stretched to 16 bits before, or it is nearly black.

    Raises:
        ValueError: unreadable, truncated or not square.
    """
    try:
        with Image.open(path) as film:
            film.load()
            if film.mode.startswith("I"):
                # 16-bit PNG: Pillow's own conversion to 8 bit saturates at 255
                levels = np.round(np.asarray(film, dtype=np.float64) / 257)
                film = Image.fromarray(levels.clip(0, 255).astype(np.uint8))  # noqa: PLW2901
            grey = film.convert("L")
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise ValueError(f"cannot read film {path}: {error}") from error
    if grey.width != grey.height:
        raise ValueError(f"film {path} must be square, got {grey.width} x {grey.height}")
    if grey.width != size:
        grey = grey.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(grey)


def _check_layout(root: Path) -> None:
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist; expected {_LAYOUT} below it")
    if not (root / "Images").is_dir() or not (root / "landmarks").is_dir():
        found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "an empty folder"
        raise FileNotFoundError(
            f"data folder {root} is not laid out as the Landmark dataset: expected {_LAYOUT}, "
            f"found {found}"
        )


def _clinical_sources(root: Path) -> dict[str, str]:
    path = root / "clinical.csv"
    if not path.is_file():
        return {}
    try:
        table = pd.read_csv(path, dtype=str).fillna("")
    except (ValueError, OSError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    missing = {"File", "Dataset"} - set(table.columns)
    if missing:
        raise ValueError(f"{path} must have the columns File and Dataset, lacks {sorted(missing)}")
    return {Path(file).stem: source for file, source in zip(table.File, table.Dataset, strict=True)}


def _source(stem: str) -> str:
    for prefix, source in (("JPC", "JSRT"), ("CHNCXR", "Shenzhen"), ("MCUCXR", "Montgomery")):
        if stem.startswith(prefix):
            return source
    return "PadChest"


def _patient(stem: str) -> str:
    # Shenzhen and Montgomery end in _0 or _1, the label for tuberculosis
    return re.sub(r"^((?:CHN|MCU)CXR_\d+)_[01]$", r"\1", stem)


def _contour_file(root: Path, contour: str, stem: str) -> Path:
    return root / "landmarks" / contour / f"{stem}.npy"


def _read_contour(path: Path) -> np.ndarray:
    try:
        points = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"cannot read landmarks {path}: {error}") from error
    if not isinstance(points, np.ndarray) or points.dtype.kind not in "iuf":
        raise ValueError(f"landmarks {path} must be one array of numbers")
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise ValueError(f"landmarks {path} must be finite (points, 2), got shape {points.shape}")
    return points
