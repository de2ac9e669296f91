"""By what a training in a folder is known: its split, its films, its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films.cache import Loader
from cxr_noise_transforms.study.films.record import Film

FILMS = "films.sha256"


def split_hash(folder: Path) -> str:
    """SHA-256 of which film is in which part of the folder's split."""
    split = json.loads((folder / "split.json").read_text())
    parts = {part: [film["id"] for film in split[part]] for part in ("train", "val", "test")}
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def bind_to_films(folder: Path, films: Sequence[Film], loader: Loader, *, anew: bool) -> None:
    """Note the films of a new training in its folder, or refuse to go on with one of others.

    Their records count, with labels and patients, and their files, which are all read: once in a
    process, and as long as the disk needs for them.

    Raises:
        ValueError: the training in the folder had other films.
    """
    path, content = folder / FILMS, _films_hash(films, loader)
    if anew:
        with whole_file(path) as beside:
            beside.write_text(content)
    elif not path.is_file() or path.read_text() != content:
        raise ValueError(
            f"{folder} was trained on other films or labels than the data folder holds now: "
            "restore them, or choose another folder with --out"
        )


def check_record(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a finished training of another split or of other settings.

    Raises:
        ValueError: see above.
    """
    about = json.loads((folder / "training.json").read_text())
    if about.get("split_sha256") != split_hash(folder):
        raise ValueError(
            f"{folder} was trained on another split than its split.json has now: restore the "
            "split, or remove training.json and resume.pt there to train anew"
        )
    stored = about["settings"]
    other = [
        f"{key} {stored.get(key)} there, {settings.get(key)} now"
        for key in sorted(stored.keys() | settings.keys())
        if stored.get(key) != settings.get(key)
    ]
    if other:
        raise ValueError(
            f"{folder.parent} holds a sweep with other settings ({'; '.join(other)}): "
            "choose another folder with --out, or the same settings"
        )


def _films_hash(films: Sequence[Film], loader: Loader) -> str:
    digest = hashlib.sha256()
    for film in films:
        digest.update(json.dumps(film, sort_keys=True).encode())
        for path in loader.files(film):
            status = path.stat()
            digest.update(_file_hash(path, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()


@cache
def _file_hash(path: Path, size: int, changed: int) -> bytes:  # noqa: ARG001 (a file that changed is read again)
    return hashlib.sha256(path.read_bytes()).digest()
