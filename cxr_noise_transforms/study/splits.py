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


def split_by_patient(
    films: Sequence[Film], seed: int = 0, fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
) -> Split:
    """Split films into train, val and test by patient, stratified by source.

    Args:
        films: each with ``patient`` and ``source``.
        seed: of the split.
        fractions: of the patients in train, val and test.

    Raises:
        ValueError: too few patients for every source to be in every part.
    """
    source_of = {film["patient"]: film["source"] for film in films}
    counts = Counter(source_of.values())
    _check_counts(counts, fractions)
    patients = sorted(source_of)
    train, rest = train_test_split(
        patients,
        train_size=fractions[0],
        stratify=[source_of[patient] for patient in patients],
        random_state=seed,
    )
    val, test = train_test_split(
        rest,
        train_size=fractions[1] / (fractions[1] + fractions[2]),
        stratify=[source_of[patient] for patient in rest],
        random_state=seed,
    )
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
    stored = json.loads(path.read_text())
    split = {part: stored[part] for part in _PARTS}
    in_file = {film["id"] for part in _PARTS for film in split[part]}
    found = {film["id"] for film in films}
    if in_file != found:
        raise ValueError(
            f"{path} splits other films ({len(in_file)}) than the data holds now ({len(found)}; "
            f"{len(in_file & found)} in both): remove the file for a new split, or restore the data"
        )
    return split


def _check_counts(counts: Counter[str], fractions: tuple[float, float, float]) -> None:
    # both draws need one patient of each source on either side, and room for every source
    total = sum(counts.values())
    rare = {source: count for source, count in counts.items() if count < 4}
    if rare or total * min(fractions) < len(counts):
        raise ValueError(
            f"too few patients to split into train, val and test: at least 4 for each source and "
            f"{len(counts) / min(fractions):.0f} in all are needed, got "
            + ", ".join(f"{source} {count}" for source, count in sorted(counts.items()))
        )
