"""The record beside films with noise, as JSON.

It has the settings, the way from it to the folder of films and, for every film, its severities, its
seed, and the digests of its file and of the noisy levels: enough to make the same films again, and
to know that they are.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cxr_noise_transforms import __version__
from cxr_noise_transforms.study.files import whole_file

from .exposed import SETTINGS, digest

RECORD = "applied.json"
VERSION, FOLDER = "cxr_noise_transforms", "folder"


class Record:
    """The record of a folder, here and on disk."""

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.path = out / RECORD
        # as JSON has them: a range is a list
        self.settings = {VERSION: __version__, **json.loads(json.dumps(settings))}
        self.films: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            there, self.films = read_record(self.path)
            other = [
                f"{name} {there[name]} there, {now} now"
                for name, now in self.settings.items()
                if there[name] != now and name != FOLDER
            ]
            if other:
                raise ValueError(
                    f"{out} holds films of other settings ({'; '.join(other)}): "
                    "choose another folder"
                )
        self.write()

    def check_films(self, found: Mapping[str, Path], wanted: Mapping[str, Any]) -> None:
        """Refuse to go on with other films than those that are here."""
        for film, made in self.films.items():
            if film not in wanted:
                raise ValueError(
                    f"{self.path.parent} holds film {film}, which is not among the films to be "
                    "made: choose another folder"
                )
            if digest(found[film].read_bytes()) != made["film_sha256"]:
                raise ValueError(
                    f"{self.path.parent} was made of another film {film} than {found[film]}: "
                    "choose another folder"
                )

    def add(self, film: str, made: dict[str, Any]) -> None:
        """Note a film that is finished."""
        self.films[film] = made
        if time.monotonic() > self.due:
            self.write()

    def write(self) -> None:
        """Write everything; a twentieth of the time at most goes into this."""
        start = time.monotonic()
        with whole_file(self.path) as beside:
            films = dict(sorted(self.films.items()))
            beside.write_text(json.dumps({**self.settings, "films": films}, indent=1))
        self.due = start + 20 * (time.monotonic() - start)


def read_record(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The settings of a record and its films."""
    try:
        settings = json.loads(path.read_text())
        films = settings.pop("films")
        whole = settings.keys() == {VERSION, FOLDER, *SETTINGS} and all(
            film.keys() == {"sq", "se", "seed", "domain", "film_sha256", "noisy_sha256"}
            for film in films.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ValueError(f"{path} must be a record of applied noise, such as {RECORD}")
    return settings, films


def way(out: Path, films: Path) -> str:
    """From the record to the films, so that both may be moved together."""
    here, there = out.resolve(), films.resolve()
    # two drives of Windows know no way
    return (Path(os.path.relpath(there, here)) if here.anchor == there.anchor else there).as_posix()
