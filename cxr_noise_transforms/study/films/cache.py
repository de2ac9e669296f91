"""Films that are read and resized once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from monai.data import CacheDataset, Dataset, PersistentDataset

from cxr_noise_transforms import __version__
from cxr_noise_transforms.study.files import whole_file

from .record import Film


class Loader(Protocol):
    """What reads a film: its settings are its attributes, its input the film and ``files``."""

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image and label."""

    def files(self, film: Mapping[str, Any]) -> list[Path]:
        """The files that are read for it, none for a phantom."""


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
            while the files it was made of have not changed; one that cannot be read is made anew.

    Raises:
        ValueError: ``cache`` is a file.

    Example:
        >>> from cxr_noise_transforms.study.films import LoadMaskedFilm, segmentation_films
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
        # what a full or failing disk has left of a file fails in the unpickler in any way
        with suppress(Exception):
            return torch.load(entry, weights_only=True)
        film = self._pre_transform(item_transformed)
        with whole_file(entry) as beside:
            torch.save(film, beside)
        return film


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
