"""Films of CheXpert: studies of one or two views, findings that may be uncertain; and phantoms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Transform

from .labels import UNCERTAIN
from .pathology import CARDIOMEGALY
from .phantom import chest_phantom
from .reader import read_grey
from .record import Film, loaded, phantom_films

FINDINGS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion",
    "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
# the five of Irvin et al. 2019 (arXiv:1901.07031) and of Agarwal and Sinha 2025 (arXiv:2504.09033)
FIVE = ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
VIEWS = ("frontal", "lateral")
# by part: train.csv is labelled by a program, which may be uncertain, valid.csv by radiologists
TABLES = {"train": "train.csv", "valid": "valid.csv"}

# of the phantoms, by finding: its rule, and which share of positive and of negative films the
# labels of the train part call uncertain; P(positive | uncertain) is 0.80, 0.40, 0.13, 0.50, 0.50
PHANTOM_RULES = {
    "Atelectasis": ("Atelectasis", 0.6, 0.1),
    "Cardiomegaly": (CARDIOMEGALY, 0.3, 0.3),
    "Consolidation": ("Consolidation", 0.1, 0.45),
    "Edema": ("Edema", 0.45, 0.3),
    "Pleural Effusion": ("Effusion", 0.15, 0.1),
}
PREVALENCE = 0.4
_COLUMNS = {"Path": "path", "Frontal/Lateral": "view"}
_PATIENT = re.compile(r"(?:^|/)(patient\d+)/")


def chexpert_films(
    data_dir: str | Path | None,
    findings: Sequence[str] = FIVE,
    view: str | None = None,
    *,
    phantoms: int = 400,
) -> list[Film]:
    """The films of a CheXpert folder with their labels, uncertain ones among them.

    A label is 1, 0, or -1 where it is uncertain. A blank, a finding that the report does not
    mention, counts as 0: a choice, which nobody documents first-hand for CheXpert's own networks.

    Phantoms show each of the five findings with a chance of 0.4, independently of each other. The
    first three quarters are the source ``train``: there a finding's label becomes uncertain by
    chance, with one probability for positive and another for negative films
    (:data:`PHANTOM_RULES`). The others are the source ``valid``, whose labels are the truth.

    Args:
        data_dir: folder ``CheXpert-v1.0-small`` or ``CheXpert-v1.0``, with ``train.csv`` and
            ``valid.csv``; ``None`` for phantoms.
        findings: names of columns, of :data:`FINDINGS`.
        view: ``"frontal"`` or ``"lateral"``; ``None`` for both.
        phantoms: number of phantom films, all frontal.

    Returns:
        Records of ``id`` (the path), ``patient``, ``source`` (``train`` or ``valid``), ``view``,
        ``labels`` in the order of the findings, and ``image`` or the phantom's ``seed``. What
        comes before a film's name in its id is its study.

    Raises:
        FileNotFoundError: no such folder or table, or images are missing.
        ValueError: a table is not what it should be, see :func:`read_chexpert`; an unknown finding
            or view; no film of the view.

    Example:
        >>> film = chexpert_films(None, phantoms=4)[0]
        >>> film["id"], film["source"], len(film["labels"])
        ('train/phantom-000000/study1/view1_frontal', 'train', 5)

    References:
        Irvin et al., AAAI 2019, arXiv:1901.07031.
    """
    _check_findings(findings, phantoms=data_dir is None)
    if view not in (None, *VIEWS):
        raise ValueError(f"view must be frontal, lateral or None, got {view!r}")
    if data_dir is None:
        if view == "lateral":
            raise ValueError("view lateral must be of a data folder: phantoms are frontal")
        return [_phantom(film, place, phantoms, findings)
                for place, film in enumerate(phantom_films(phantoms))]  # fmt: skip
    root = Path(data_dir)
    table = read_chexpert(root)
    chosen = table if view is None else table[table["view"] == view]
    for part, name in TABLES.items():
        if not (chosen["source"] == part).any():
            raise ValueError(f"{root / name} must list {view or ''} films, lists none")
    missing = [image for image in chosen["image"] if not (root / image).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(chosen)} images are missing from {root}, the first is "
            f"{missing[0]}"
        )
    labels = chosen[list(findings)].fillna(0.0).to_numpy().tolist()
    about = chosen[["image", "patient", "source", "view"]].to_dict("records")
    return [
        {"id": film["image"], **film, "labels": each}
        for film, each in zip(about, labels, strict=True)
    ]


class LoadStudyFilm(Transform):
    """Read one film: an 8-bit image, padded to a square and resized, and its labels.

    Args:
        size: side of the square in pixels.
        data_dir: folder of CheXpert, ``None`` for phantom films.
        levels: see :func:`read_grey`.

    Returns:
        The film's ``id``, ``patient`` and ``source``, an ``image`` ``(1, size, size)``, uint8, and
        a ``label`` ``(L,)``, float32, of 1, 0 and -1.

    Raises:
        ValueError: the image is unreadable; the message names the file.
    """

    def __init__(
        self, size: int, data_dir: str | Path | None = None, *, levels: int | None = None
    ) -> None:
        self.size = size
        self.levels = levels
        self.data_dir = None if data_dir is None else Path(data_dir)

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image and labels as tensors."""
        if self.data_dir is None:
            image = chest_phantom(film["seed"], self.size, film["shown"]).image
        else:
            path = self.data_dir / film["image"]
            image = read_grey(path, self.size, pad=True, levels=self.levels)
        return {
            **loaded(film, image),
            "label": torch.tensor(film["labels"], dtype=torch.float32),
        }

    def files(self, film: Mapping[str, Any]) -> list[Path]:
        """The image that is read for ``film``, none for a phantom."""
        return [] if self.data_dir is None else [self.data_dir / film["image"]]


def missing_where_uncertain(label: torch.Tensor) -> torch.Tensor:
    """Labels of 1 and 0, NaN in the place of -1: what is uncertain measures nobody."""
    return label.masked_fill(label == UNCERTAIN, torch.nan)


def read_chexpert(root: Path) -> pd.DataFrame:
    """Both tables of a CheXpert folder, see :func:`read_chexpert_table`, one below the other.

    Raises:
        FileNotFoundError: no such folder or table.
        ValueError: a table is not what it should be, or a patient is in both.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist; expected train.csv, valid.csv")
    for name in TABLES.values():
        if not (root / name).is_file():
            inside = sorted(path.parent.name for path in root.glob(f"*/{name}"))
            hint = f"; {inside[0]}/ in it does" if inside else ""
            raise FileNotFoundError(f"data folder {root} must hold {name}, as CheXpert{hint}")
    tables = [read_chexpert_table(root / name, part) for part, name in TABLES.items()]
    both = set(tables[0]["patient"]) & set(tables[1]["patient"])
    if both:
        raise ValueError(f"a patient must be in one table, but {min(both)} is in both of {root}")
    return pd.concat(tables, ignore_index=True)


def read_chexpert_table(path: Path, source: str) -> pd.DataFrame:
    """A table of CheXpert: ``image``, ``patient``, ``study``, ``view``, ``source``, 14 findings.

    Paths begin with the name of the data's folder, ``CheXpert-v1.0-small/train/...``; ``image`` is
    what follows it. A finding is 1, 0, -1, or NaN where the cell is blank.

    Raises:
        ValueError: unreadable; without a column that is needed; a path without a patient, or one
            that is there twice; a view or a label of another kind.
    """
    try:
        table = pd.read_csv(path, index_col=False)
    except (ValueError, OSError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    missing = [name for name in (*_COLUMNS, *FINDINGS) if name not in table]
    if missing:
        raise ValueError(
            f"{path} must have CheXpert's columns Path, Frontal/Lateral and 14 findings, lacks "
            f"{', '.join(missing)}"
        )
    table = table.rename(columns=_COLUMNS)
    table["path"] = table["path"].astype(str)
    table["patient"] = table["path"].str.extract(_PATIENT, expand=False)
    _refuse(path, table, table["patient"].isna(), "path", "a path must name its patient, as "
            "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg")  # fmt: skip
    _refuse(path, table, table["path"].duplicated(), "path", "each path must be there once")
    table["view"] = table["view"].astype(str).str.lower()
    _refuse(path, table, ~table["view"].isin(VIEWS), "view", "a view must be Frontal or Lateral")
    for finding in FINDINGS:
        known = table[finding].isin((1, 0, UNCERTAIN)) | table[finding].isna()
        _refuse(path, table, ~known, finding, f"{finding} must be 1, 0, -1 or blank")
        table[finding] = table[finding].astype(float)
    table["image"] = table["path"].str.replace(r"^CheXpert-v1\.0[^/]*/", "", regex=True)
    table["study"] = table["image"].map(study_of)
    return table.assign(source=source)


def study_of(film: str) -> str:
    """The study of a film, from its id.

    Example:
        >>> study_of("train/patient00001/study2/view1_frontal.jpg")
        'train/patient00001/study2'
    """
    return film.rpartition("/")[0]


def _refuse(path: Path, table: pd.DataFrame, wrong: pd.Series, column: str, must: str) -> None:
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        raise ValueError(f"{must}, got {table[column].iloc[row]} in line {row + 2} of {path}")


def _check_findings(findings: Sequence[str], *, phantoms: bool) -> None:
    known = tuple(PHANTOM_RULES) if phantoms else FINDINGS
    unknown = [finding for finding in findings if finding not in known]
    if unknown or not findings or len(set(findings)) < len(findings):
        whose = "of the phantoms" if phantoms else "of CheXpert"
        raise ValueError(
            f"findings must be some {whose}, each once ({', '.join(known)}), "
            f"got {', '.join(findings) or 'none'}"
        )


def _phantom(film: Film, place: int, count: int, findings: Sequence[str]) -> Film:
    source = "train" if place < 0.75 * count else "valid"
    # all five are drawn, so that a person is the same whatever is asked for
    rng = np.random.default_rng([film["seed"], 5])
    truth = dict(zip(PHANTOM_RULES, rng.random(5) < PREVALENCE, strict=True))
    chance = dict(zip(PHANTOM_RULES, rng.random(5), strict=True))
    labels = []
    for finding in findings:
        _, of_positives, of_negatives = PHANTOM_RULES[finding]
        hidden = chance[finding] < (of_positives if truth[finding] else of_negatives)
        labels.append(UNCERTAIN if hidden and source == "train" else float(truth[finding]))
    return {
        "id": f"{source}/{film['id']}/study1/view1_frontal",
        "patient": film["patient"],
        "source": source,
        "view": "frontal",
        "labels": labels,
        "seed": film["seed"],
        "shown": [PHANTOM_RULES[finding][0] for finding, there in truth.items() if there],
    }
