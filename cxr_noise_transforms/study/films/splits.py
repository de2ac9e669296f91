"""Training, validation and test films: no patient in two parts, the parts alike."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sklearn.model_selection import train_test_split

from cxr_noise_transforms.study.files import whole_file

from .record import Film

Split = dict[str, list[Film]]

_PARTS = ("train", "val", "test")


def open_split(
    path: str | Path,
    films: Sequence[Film],
    seed: int,
    *,
    by: str = "source",
    leave_out: str | None = None,
    test_list: str | Path | None = None,
    make: bool = True,
) -> Split:
    """The split in file ``path``; made and written there when the file does not exist yet.

    Films may be moved from part to part in the file. It decides in which part a film is, and
    nothing else: the records are those of ``films``.

    Args:
        path: JSON file.
        films: to split.
        seed: of a new split, see :func:`split_by_patient`.
        by: what a new split is stratified by.
        leave_out: source of the test films.
        test_list: file with the names of the test images.
        make: whether a split may be made; a network is tested on the split of its training.

    Raises:
        FileNotFoundError: there is no ``test_list``, or no split where none may be made.
        ValueError: the films cannot be split so; the file is damaged or holds the split of other
            films or settings; or its parts share a patient or lack films or a label.
    """
    path = Path(path)
    settings = {
        "seed": seed,
        "by": by,
        "leave_out": leave_out,
        "test_list": None if test_list is None else _fingerprint(Path(test_list)),
    }
    if not path.is_file():
        if not make:
            raise FileNotFoundError(
                f"split {path} does not exist: name that of the training with split_file, or "
                "films that the network was trained on may be tested"
            )
        split = split_by_patient(films, seed, by=by, leave_out=leave_out, test_list=test_list)
        with whole_file(path) as beside:
            beside.write_text(json.dumps({**settings, **split}, indent=1))
        return split
    split = _read(path, films, settings)
    _check(split, by, f" in {path}")
    return split


def split_by_patient(
    films: Sequence[Film],
    seed: int = 0,
    *,
    by: str = "source",
    leave_out: str | None = None,
    test_list: str | Path | None = None,
) -> Split:
    """Split films into train, val and test, 70/15/15 by patient.

    With ``leave_out`` or ``test_list`` the test films are given, and the others are split 85/15.

    Args:
        films: each with ``id``, ``patient``, ``source`` and, for ``by="label"``, ``label``.
        seed: of the split, in [0, 2^32).
        by: ``"source"`` or ``"label"``: what the parts are stratified by. A patient counts as
            what most of his films are, in a tie as the later in order (1 of 0 and 1).
        leave_out: all films of this source are the test part.
        test_list: the films whose images are named in this file, one per line as in
            ``test_list.txt`` of ChestX-ray14, are the test part.

    Raises:
        FileNotFoundError: there is no ``test_list``.
        ValueError: unknown ``by`` or source; no film is in the list; a patient would be in two
            parts; too few patients for every source or label to be in every part.

    Example:
        >>> films = [{"id": n, "patient": f"p{n}", "source": "s"} for n in range(20)]
        >>> [len(part) for part in split_by_patient(films).values()]
        [14, 3, 3]
    """
    if by not in ("source", "label"):
        raise ValueError(f"by must be 'source' or 'label', got {by!r}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in [0, 2^32), got {seed}")
    given = _given_test(films, leave_out, test_list)
    strata = _strata([film for film in films if film["id"] not in given], by)
    try:
        if given:
            train, val = _cut(sorted(strata), 0.85, strata, seed)
        else:
            train, rest = _cut(sorted(strata), 0.7, strata, seed)
            val, _ = _cut(rest, 0.5, strata, seed)
    except ValueError as error:
        # whether rounding leaves every stratum a patient on both sides, scikit-learn finds out
        counts = sorted(Counter(strata.values()).items())
        found = ", ".join(f"{count} with {by} {stratum}" for stratum, count in counts)
        raise ValueError(
            f"too few patients to split into train, val and test with every {by} in each: "
            f"got {found or 'none'} ({error})"
        ) from error
    part_of = dict.fromkeys(train, "train") | dict.fromkeys(val, "val")
    split: Split = {part: [] for part in _PARTS}
    for film in films:
        part = "test" if film["id"] in given else part_of.get(film["patient"], "test")
        split[part].append(film)
    _check(split, by)
    return split


def _strata(films: Sequence[Film], by: str) -> dict[str, Any]:
    """What each patient counts as."""
    films_of: dict[str, Counter] = {}
    for film in films:
        films_of.setdefault(film["patient"], Counter())[film[by]] += 1
    return {
        patient: max(counts, key=lambda value: (counts[value], value))
        for patient, counts in films_of.items()
    }


def _cut(
    patients: list[str], share: float, strata: dict[str, Any], seed: int
) -> tuple[list[str], list[str]]:
    first, second = train_test_split(
        patients, train_size=share, stratify=[strata[p] for p in patients], random_state=seed
    )
    return first, second


def _given_test(
    films: Sequence[Film], leave_out: str | None, test_list: str | Path | None
) -> set[str]:
    """Identifiers of the test films, none where they are not given."""
    if leave_out is not None and test_list is not None:
        raise ValueError("leave_out and test_list both name the test films: give one of them")
    if leave_out is not None:
        sources = sorted({film["source"] for film in films})
        if leave_out not in sources:
            raise ValueError(
                f"leave_out must be one of {', '.join(sources) or 'none'}, got {leave_out!r}"
            )
        return {film["id"] for film in films if film["source"] == leave_out}
    if test_list is not None:
        names = {line.strip() for line in Path(test_list).read_text().splitlines()}
        chosen = {f["id"] for f in films if "image" in f and Path(f["image"]).name in names}
        if not chosen:
            raise ValueError(
                f"{test_list} must name images of the {len(films)} films, one per line; none of "
                f"its {len(names)} names is one"
            )
        return chosen
    return set()


def _fingerprint(path: Path) -> str:
    return f"{path.name} ({hashlib.sha256(path.read_bytes()).hexdigest()[:16]})"


def _read(path: Path, films: Sequence[Film], settings: dict[str, Any]) -> Split:
    try:
        stored = json.loads(path.read_text())
        ids = {part: [film["id"] for film in stored[part]] for part in _PARTS}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no split: {error!r}; remove it for a new one") from error
    for name, wanted in settings.items():
        if stored.get(name) != wanted:
            raise ValueError(
                f"{path} is the split of {name} {stored.get(name)}, not of {wanted}: remove it "
                "for a new one, or name another file"
            )
    in_file = Counter(film for part in ids.values() for film in part)
    found = {film["id"]: film for film in films}
    if in_file != Counter(found.keys()):
        raise ValueError(
            f"{path} splits other films ({in_file.total()}) than the data holds now "
            f"({len(found)}; {len(in_file.keys() & found.keys())} in both): remove the file for a "
            "new split, or restore the data"
        )
    return {part: [found[film] for film in ids[part]] for part in _PARTS}


def _check(split: Split, by: str, where: str = "") -> None:
    part_of: dict[str, str] = {}
    for part, films in split.items():
        if not films:
            raise ValueError(f"part {part}{where} must have films, has none")
        for film in films:
            before = part_of.setdefault(film["patient"], part)
            if before != part:
                raise ValueError(
                    f"a patient must be in one part, but patient {film['patient']} has films in "
                    f"{before} and {part}{where}"
                )
        if by == "label":
            counts = Counter(film["label"] for film in films)
            if not counts[0] or not counts[1]:
                raise ValueError(
                    f"part {part}{where} must have films of both labels, has {counts[1]} with "
                    f"label 1 and {counts[0]} with label 0"
                )
