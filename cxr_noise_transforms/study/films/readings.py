"""What a table says of films and their patients, such as sex, age and view: groups of films."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

import pandas as pd

from cxr_noise_transforms.study.groups import groupings

from .names import ENDINGS

# of a film, in the tables that are made here, of ChestX-ray14, of the landmarks and of CheXpert
_IMAGE = ("image", "Image Index", "File", "Path")
_FOLDER = re.compile(r"^CheXpert-v1\.0[^/]*/")


def with_groups(table: pd.DataFrame, readings: str | Path, groups: Iterable[str]) -> pd.DataFrame:
    """A long table with columns of groups from a table of readings: nothing is measured again.

    Args:
        table: the long table.
        readings: CSV with a row per film. Its column ``image`` (``Image Index``, ``File`` or
            ``Path``, as ChestX-ray14, the landmarks and CheXpert have it) holds the films' ids or
            the names of their files.
        groups: of its columns: ``"sex"``, or ``"age=40,60"`` for numbers cut at 40 and 60.

    Raises:
        ValueError: the CSV cannot be read, lacks a column or a film, names a film twice, or a
            number that is to be cut is none.
    """
    films, groups = table.image.astype(str), list(groups)
    read = read_groups(readings, list(films.unique()), groups)
    return table.assign(
        **{one.name: [read[film][one.name] for film in films] for one in groupings(groups)}
    )


def read_groups(
    readings: str | Path | None, films: Sequence[str], groups: Iterable[str]
) -> dict[str, dict[str, str]]:
    """The groups of every film by their names, see :func:`with_groups`."""
    chosen = groupings(groups)
    if not chosen:
        return {film: {} for film in films}
    if readings is None:
        raise ValueError(
            f"groups must have a table of readings, or of patients, got none for {chosen[0].name}"
        )
    rows, column = _read(readings, [one.name for one in chosen])
    places = _places(rows[column])
    unknown = [film for film in films if film not in places]
    if unknown:
        raise ValueError(
            f"{readings} must have a row for every film, has none for {len(unknown)} of "
            f"{len(films)}, the first is {unknown[0]}"
        )
    several = next((film for film in films if len(places[film]) > 1), None)
    if several is not None:
        found = ", ".join(repr(name) for name in rows[column].iloc[places[several]])
        raise ValueError(
            f"{readings} must have one row per film, has several of {several}: {found}"
        )
    wanted = [places[film][0] for film in films]
    named = {
        one.name: [one.group(value) for value in rows[one.name].iloc[wanted]] for one in chosen
    }
    return {
        film: {name: values[place] for name, values in named.items()}
        for place, film in enumerate(films)
    }


def _read(readings: str | Path, names: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """The columns of groups and that of the film, and its name."""
    try:
        header = list(pd.read_csv(readings, nrows=0, index_col=False))
        column = next((name for name in _IMAGE if name in header), None)
        # rows of ChestX-ray14 may end in a comma that the header lacks
        rows = pd.read_csv(
            readings, dtype=str, keep_default_na=False, index_col=False,
            usecols=lambda name: name in {column, *names},
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {readings}: {error}") from error
    if column is None:
        raise ValueError(
            f"{readings} must have a column {', '.join(_IMAGE[:-1])} or {_IMAGE[-1]}, "
            f"has {', '.join(header)}"
        )
    missing = [name for name in names if name not in header]
    if missing:
        raise ValueError(f"{readings} must have the column {missing[0]}, has {', '.join(header)}")
    return rows, column


def _places(names: Iterable[str]) -> dict[str, list[int]]:
    """The rows of every name: as it stands, without CheXpert's own folder, without its ending."""
    whole: dict[str, list[int]] = {}
    bare: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        inside = _inside(name.strip())
        whole.setdefault(inside, []).append(place)
        bare.setdefault(_bare(inside), []).append(place)
    return bare | whole


def _inside(name: str) -> str:
    """A name below the folder of the data, with which CheXpert's paths begin."""
    return _FOLDER.sub("", PurePath(name).as_posix())


def _bare(name: str) -> str:
    """A name without an ending of films."""
    path = PurePath(name)
    return path.with_suffix("").as_posix() if path.suffix.lower() in ENDINGS else name
