"""Which files are films, and the names by which a table may call them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

DICOM = ".dcm"
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", DICOM)


def is_film(entry: Path | os.DirEntry[str], endings: tuple[str, ...] = ENDINGS) -> bool:
    """Whether an entry of a folder is an image file; hidden ones are other programs'."""
    visible = not entry.name.startswith(".")
    return visible and PurePath(entry.name).suffix.lower() in endings and entry.is_file()


def is_dicom(path: Path) -> bool:
    """Whether a film is a DICOM file, by its ending."""
    return path.suffix.lower() == DICOM


def called(films: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The id of every film by each of its names: that of its file, and the same without ending.

    Where one film's whole name is another's without ending, it names the first: only what a file
    ends in is an ending, and nothing is cut from the name that is looked up.

    Example:
        >>> films = [{"id": name, "image": f"/films/{name}.png"} for name in ("a", "a.png", "a.1")]
        >>> names = called(films)
        >>> [names[name] for name in ("a.png", "a.png.png", "a.1", "a")]
        ['a', 'a.png', 'a.1', 'a']
    """
    whole = {f"{film['id']}{PurePath(film['image']).suffix}": film["id"] for film in films}
    return {**{name: name for name in whole.values()}, **whole}
