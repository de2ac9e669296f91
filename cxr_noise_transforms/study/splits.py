"""Training, validation and test films, apart by patient and alike in their sources."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sklearn.model_selection import train_test_split

from .datasets import Film, landmark_films, phantom_films
from .files import whole_file

Split = dict[str, list[Film]]

_PARTS = ("train", "val", "test")
_TRAINING_SHARE = 0.7


def split_by_patient(films: Sequence[Film], seed: int = 0) -> Split:
    """Split films into train, val and test, 70/15/15 by patient, stratified by source.

    Args:
        films: each with ``patient`` and ``source``.
        seed: of the split, >= 0.

    Raises:
        ValueError: too few patients for every source to be in every part.
    """
    source_of = {film["patient"]: film["source"] for film in films}
    counts = Counter(source_of.values())
    patients = sorted(source_of)
    try:
        train, rest = train_test_split(
            patients,
            train_size=_TRAINING_SHARE,
            stratify=[source_of[patient] for patient in patients],
            random_state=seed,
        )
        val, test = train_test_split(
            rest,
            train_size=0.5,
            stratify=[source_of[patient] for patient in rest],
            random_state=seed,
        )
    except ValueError as error:
        # whether rounding leaves every source a patient on both sides, scikit-learn finds out
        found = ", ".join(f"{source} {count}" for source, count in sorted(counts.items()))
        raise ValueError(
            "too few patients to split into train, val and test with every source in each: "
            f"got {found or 'none'} ({error})"
        ) from error
    parts = {"train": set(train), "val": set(val), "test": set(test)}
    return {part: [film for film in films if film["patient"] in parts[part]] for part in _PARTS}


def open_split(
    path: str | Path, *, data_dir: str | Path | None, organs: str, phantoms: int, seed: int
) -> Split:
    """The split in file ``path``; made and written there when the file does not exist yet.

    Args:
        path: JSON file.
        data_dir: folder of the Landmark dataset, ``None`` for the phantom.
        organs: which films of the dataset serve.
        phantoms: number of phantom films.
        seed: of the split.

    Raises:
        ValueError: the file holds the split of other films.
    """
    path = Path(path)
    films = phantom_films(phantoms) if data_dir is None else landmark_films(data_dir, organs)
    if not path.is_file():
        split = split_by_patient(films, seed)
        with whole_file(path) as beside:
            beside.write_text(json.dumps({"seed": seed, **split}, indent=1))
        return split
    try:
        stored = json.loads(path.read_text())
        split = {part: stored[part] for part in _PARTS}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no split: {error!r}; remove it for a new one") from error
    if stored.get("seed") != seed:
        raise ValueError(
            f"{path} is the split of seed {stored.get('seed')}, not of {seed}: remove it for a new "
            "one, or name another file"
        )
    in_file = {film["id"] for part in _PARTS for film in split[part]}
    found = {film["id"] for film in films}
    if in_file != found:
        raise ValueError(
            f"{path} splits other films ({len(in_file)}) than the data holds now ({len(found)}; "
            f"{len(in_file & found)} in both): remove the file for a new split, or restore the data"
        )
    return split
