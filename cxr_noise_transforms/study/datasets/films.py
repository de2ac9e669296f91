"""What both datasets share: the record of a film, its image, and the cache of loaded films."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from monai.data import CacheDataset, Dataset, PersistentDataset
from PIL import Image, ImageOps

from cxr_noise_transforms import __version__
from cxr_noise_transforms.study.files import whole_file

# one film: id, patient, source, either its image (path below the data folder) or the phantom's
# seed, and for classification finding and label
Film = dict[str, Any]


class Loader(Protocol):
    """What reads a film: its settings are its attributes, its input the film and ``files``."""

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image and label."""

    def files(self, film: Mapping[str, Any]) -> list[Path]:
        """The files that are read for it, none for a phantom."""


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


def open_film(path: Path) -> Image.Image:
    """An image file, decoded.

    Raises:
        ValueError: absent, unreadable or truncated.
    """
    try:
        with Image.open(path) as film:
            film.load()
            return film
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read film {path}: {error}") from error


def read_grey(path: Path, size: int, *, pad: bool = False) -> np.ndarray:
    """An image file as uint8 ``(size, size)``; 16-bit files are scaled from their full range.

    A 12-bit film in a 16-bit file must be stretched to 16 bits before, or it is nearly black.

    Args:
        path: the file.
        size: side of the result in pixels.
        pad: put a film that is not square in the middle of a black square.

    Raises:
        ValueError: unreadable or truncated, or not square and not to be padded.
    """
    film = open_film(path)
    if film.mode == "F":
        raise ValueError(f"film {path} must hold integers, got floating point numbers")
    if film.mode.startswith("I"):
        # 16-bit PNG: Pillow's own conversion to 8 bit saturates at 255
        levels = np.round(np.asarray(film, dtype=np.float64) / 257)
        film = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    grey = film.convert("L")
    if grey.width != grey.height and not pad:
        raise ValueError(f"film {path} must be square, got {grey.width} x {grey.height}")
    return fitted(grey, size)


def fitted(grey: Image.Image, size: int) -> np.ndarray:
    """A grey image as uint8 ``(size, size)``, in the middle of a black square."""
    side = max(grey.size)
    if grey.width != grey.height:
        grey = ImageOps.pad(grey, (side, side), color=0)
    if side != size:
        grey = grey.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(grey)


def loaded(film: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
    """What every loader returns: id, patient, source, and the image as ``(1, H, W)``."""
    return {
        **{key: film[key] for key in ("id", "patient", "source")},
        "image": torch.from_numpy(image)[None],
    }


def cached(films: Sequence[Film], transform: Loader, cache: str | Path = "memory") -> Dataset:
    """A MONAI dataset of films that are read and resized once.

    Images are kept as the loader returns them, in 8 bits: the 112,120 films of ChestX-ray14 at
    512 x 512 need 29 GB, in memory or on disk, where float32 would need 117 GB. What follows
    the loader belongs in a ``Dataset`` around this one.

    Args:
        films: to load.
        transform: their loader, :class:`LoadMaskedFilm` or :class:`LoadLabelledFilm`.
        cache: ``"memory"`` keeps the films there and reads them now, ``"none"`` reads each film
            anew, and anything else names a folder that keeps them on disk, one file per film.
            An entry is used only for the same film record, loader, size and data folder, and
            while the files it was made of have not changed.

    Raises:
        ValueError: ``cache`` is a file.

    Example:
        >>> from cxr_noise_transforms.study.datasets import LoadMaskedFilm, segmentation_films
        >>> films = segmentation_films(None, "lungs", phantoms=2)
        >>> cached(films, LoadMaskedFilm(64, "lungs"))[1]["image"].dtype
        torch.uint8
    """
    if cache == "none":
        return Dataset(films, transform)
    if cache == "memory":
        return CacheDataset(films, transform, num_workers=None, progress=False)
    return _DiskDataset(films, transform, Path(cache), hash_func=partial(_entry_name, transform))


class _DiskDataset(PersistentDataset):
    """MONAI's own moves entries over from the temporary folder, on another disk not atomically."""

    def _cachecheck(self, item_transformed: Film) -> dict[str, Any]:
        entry = self.cache_dir / f"{self.hash_func(item_transformed)}.pt"
        if not entry.is_file():
            with whole_file(entry) as beside:
                torch.save(self._pre_transform(item_transformed), beside)
        return torch.load(entry, weights_only=True)


def _entry_name(loader: Loader, film: Film) -> str:
    read = [(str(path.resolve()), path.stat()) for path in loader.files(film)]
    content = {
        "version": __version__,
        "loader": type(loader).__name__,
        "settings": {name: str(value) for name, value in vars(loader).items()},
        "film": film,
        "files": [(path, status.st_size, status.st_mtime_ns) for path, status in read],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
