"""What a data folder holds, whether it can be used, and its split as a MONAI datalist.

The Landmark dataset, ChestX-ray14, CheXpert and a folder of nothing but films are told from each
other by the layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .chestxray14 import (
    PAIRS,
    TABLES,
    finding_counts,
    image_places,
    pair_films,
    pair_names,
    read_table,
)
from .chexpert import FINDINGS, FIVE, read_chexpert
from .chexpert import TABLES as CHEXPERT_TABLES
from .folders import folder_films
from .labels import UNCERTAIN
from .landmark import (
    CONTOURS,
    ORGANS,
    annotated_films,
    contour_files,
)
from .looks import few, look_at
from .names import is_film
from .record import Film
from .splits import Split, split_by_patient

_MONAI_PARTS = {"train": "training", "val": "validation", "test": "testing"}


@dataclass
class Report:
    """What a data folder holds, in sentences.

    Attributes:
        facts: what there is.
        problems: what must be mended before the folder can be used.
    """

    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        problems = [f"- {problem}" for problem in self.problems]
        verdict = "To be mended:" if problems else "Nothing to be mended."
        return "\n".join([*self.facts, verdict, *problems])


def check(
    data_dir: str | Path, *, seed: int = 0, workers: int = 1, levels: int | None = None
) -> Report:
    """Look at everything in a data folder: its tables, its landmarks, and every film.

    Args:
        data_dir: folder of the Landmark dataset, of ChestX-ray14, of CheXpert, or of films alone.
        seed: of the splits that are tried.
        workers: threads that read the films.
        levels: see :func:`read_grey`; where it is needed, the report says so.

    Raises:
        FileNotFoundError: no such folder, or of another layout.
        ValueError: a table is not what it should be.
    """
    root = Path(data_dir)
    report = Report()
    look = {
        "landmark": _check_landmark,
        "chestxray14": _check_chestxray14,
        "chexpert": _check_chexpert,
        "films": _check_films,
    }
    films = look[layout_of(root)](root, report, seed)
    facts, problems = look_at(root, films, workers, levels)
    report.facts += facts
    report.problems += problems
    return report


def layout_of(root: Path) -> str:
    """``"landmark"``, ``"chestxray14"``, ``"chexpert"``, or ``"films"`` without their truth.

    Raises:
        FileNotFoundError: no such folder, or nothing of the four.
    """
    if (root / "Images").is_dir() and (root / "landmarks").is_dir():
        return "landmark"
    if any((root / table).is_file() for table in TABLES):
        return "chestxray14"
    if all((root / table).is_file() for table in CHEXPERT_TABLES.values()):
        return "chexpert"
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist")
    if any(is_film(entry) for entry in root.rglob("*")):
        return "films"
    found = ", ".join(sorted(entry.name for entry in root.iterdir())[:8]) or "nothing"
    raise FileNotFoundError(
        f"data folder {root} must hold Images/ and landmarks/, as the Landmark dataset, "
        f"{' or '.join(TABLES)}, as ChestX-ray14, {' and '.join(CHEXPERT_TABLES.values())}, as "
        f"CheXpert, or films; found {found}"
    )


def datalist(split: Split, organs: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """A split as MONAI's ``load_decathlon_datalist`` reads it.

    Args:
        split: films of a data folder.
        organs: their organs, ``None`` for films with findings.

    Returns:
        ``training``, ``validation`` and ``testing``: the films, each with its ``image`` and, as
        ``label``, the landmarks of its organs, all as paths below the data folder, or 1 or 0, or as
        ``labels`` those of CheXpert.
    """
    if organs is not None:
        split = {
            part: [{**film, "label": contour_files(film["id"], ORGANS[organs])} for film in films]
            for part, films in split.items()
        }
    return {_MONAI_PARTS[part]: films for part, films in split.items()}


def _check_landmark(root: Path, report: Report, seed: int) -> list[tuple[Film, str]]:
    """Facts about the annotations; the films, each with the organs that it has in full."""
    report.facts.append(f"Landmark dataset in {root}")
    films, bare = [], []
    for film, contours in annotated_films(root):
        full = (organ for organ, needed in CONTOURS.items() if contours.issuperset(needed))
        films.append((film, "-".join(full)))
        if not contours:
            bare.append(film["id"])
    _describe([film for film, _ in films], report)
    for organs, names in ORGANS.items():
        chosen = [film for film, full in films if set(names) <= set(ORGANS.get(full, ()))]
        report.facts.append(f"{organs}: {_count(chosen, 'source')}; {_splittable(chosen, seed)}")
    if bare:
        report.problems.append(f"films without landmarks: {few(bare)}")
    lonely = {path.stem for path in root.glob("landmarks/*/*.npy")} - {f["id"] for f, _ in films}
    if lonely:
        report.facts.append(f"landmarks without an image: {few(sorted(lonely))}")
    return films


def _check_chestxray14(root: Path, report: Report, seed: int) -> list[tuple[Film, str]]:
    """Facts about the table; the films whose images are there, without organs."""
    report.facts.append(f"ChestX-ray14 in {root}")
    table, places = read_table(root), image_places(root)
    _describe(table.to_dict("records"), report)
    findings = ", ".join(f"{name} {count}" for name, count in finding_counts(table).items())
    report.facts.append(f"findings: {findings}")
    for pair, group in PAIRS.items():
        try:
            films = pair_films(table, pair)
        except ValueError as error:
            report.facts.append(f"{pair} ({group}): {str(error).split(';')[0]}")
            continue
        patients = len({film["patient"] for film in films})
        counts = Counter(film["finding"] for film in films)
        both = ", ".join(f"{finding} {counts[finding]}" for finding in pair_names(pair))
        report.facts.append(
            f"{pair} ({group}): {both}, of {patients} patients; "
            f"{_splittable(films, seed, by='label')}"
        )
    missing = [image for image in table["image"] if image not in places]
    if missing:
        report.problems.append(f"images missing of {len(table)} in the table: {few(missing)}")
    extra = sorted(places.keys() - set(table["image"]))
    if extra:
        report.facts.append(f"images that the table does not name: {few(extra)}")
    return [
        ({"id": image, "patient": patient, "image": places[image]}, "")
        for image, patient in zip(table["image"], table["patient"], strict=True)
        if image in places
    ]


def _check_chexpert(root: Path, report: Report, seed: int) -> list[tuple[Film, str]]:
    """Facts about both tables; the films whose images are there, without organs."""
    report.facts.append(f"CheXpert in {root}")
    table = read_chexpert(root)
    _describe(table.to_dict("records"), report)
    report.facts.append(f"views: {_count(table.to_dict('records'), 'view')}")
    for part, rows in table.groupby("source"):
        findings = [f"{name} {_label_counts(rows[name])}" for name in FINDINGS]
        report.facts.append(f"{part}, positive/negative/uncertain/blank: {', '.join(findings)}")
    report.facts.append("blank labels count as negative, a choice of this package")
    agree = table.groupby("study")[list(FINDINGS)].agg(lambda label: len(set(label.fillna(9))) < 2)
    disagreeing = agree.index[~agree.all(axis=1)]
    report.facts.append(
        f"studies: {len(agree)}; their views disagree in a label in {few(list(disagreeing))}"
        if len(disagreeing)
        else f"studies: {len(agree)}; their views agree in every label"
    )
    valid = table[table["source"] == "valid"]
    if (unsure := (valid[list(FIVE)] == UNCERTAIN).any(axis=1)).any():
        report.facts.append(f"films of valid.csv with uncertain labels, left out: {unsure.sum()}")
    there = [(root / image).is_file() for image in table["image"]]
    missing = [image for image, found in zip(table["image"], there, strict=True) if not found]
    if missing:
        report.problems.append(f"images missing of {len(table)} in the tables: {few(missing)}")
    films = table[there][["image", "patient", "source"]].to_dict("records")
    films = [{"id": film["image"], **film} for film in films]
    try:
        split_by_patient(films, seed, leave_out="valid")
    except ValueError as error:
        report.problems.append(f"train.csv cannot be split: {str(error).split(' (')[0]}")
    return [(film, "") for film in films]


def _label_counts(labels: Any) -> str:
    counts = [int((labels == value).sum()) for value in (1, 0, UNCERTAIN)]
    return "/".join(map(str, [*counts, int(labels.isna().sum())]))


def _check_films(root: Path, report: Report, _seed: int) -> list[tuple[Film, str]]:
    """The films of a folder that says nothing about them, not even of whom they are."""
    films = folder_films(root)
    report.facts.append(f"folder of {len(films)} films {root}")
    return [
        ({"id": film["id"], "image": Path(film["image"]).relative_to(root), "patient": None}, "")
        for film in films
    ]


def _describe(films: list[Film], report: Report) -> None:
    patients = Counter(film["patient"] for film in films)
    several = sum(count > 1 for count in patients.values())
    report.facts.append(
        f"{len(films)} films of {len(patients)} patients, {several} with several films"
    )
    report.facts.append(f"sources: {_count(films, 'source')}")
    if not films:
        report.problems.append("there is no film")


def _count(films: Iterable[Film], key: str) -> str:
    counts = Counter(film[key] for film in films).most_common()
    return ", ".join(f"{name} {count}" for name, count in counts) or "no films"


def _splittable(films: list[Film], seed: int, by: str = "source") -> str:
    try:
        split_by_patient(films, seed, by=by)
    except ValueError as error:
        return f"cannot be split: {str(error).split(' (')[0]}"
    return "can be split"
