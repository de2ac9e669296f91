"""Films with findings: the layout of ChestX-ray14, and phantoms."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from monai.transforms import Transform

from .names import is_film
from .pathology import CARDIOMEGALY, FINDINGS
from .phantom import chest_phantom
from .reader import read_grey
from .record import Film, loaded, phantom_films

#: the six pairs of Jiu et al. 2025 (arXiv:2509.25265), Table 2, each with its group
PAIRS = {
    "Fibrosis / Pleural_Thickening": "visually similar",
    "Effusion / Edema": "visually similar",
    "Pneumothorax / Atelectasis": "visually similar",
    "Fibrosis / Infiltration": "visually distinct",
    "Edema / Pleural_Thickening": "visually distinct",
    "Nodule / Effusion": "visually distinct",
}
# where both are, the later one
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_NO_FINDING = "No Finding"
_COLUMNS = {"Image Index": "image", "Finding Labels": "findings", "Patient ID": "patient"}
_LAYOUT = f"{' or '.join(TABLES)} with the images in images/, images_001/images/ ... or beside it"


def classification_films(
    data_dir: str | Path | None, pair: str, *, with_others: bool = False, phantoms: int = 100
) -> list[Film]:
    """The films of a ChestX-ray14 folder that show one of a pair of findings and no other.

    The table may hold other films too: it needs the columns
    ``Image Index``, ``Finding Labels`` (separated by ``|``) and ``Patient ID``; an optional column
    ``Source`` names where a film comes from, ``NIH`` by default.

    Args:
        data_dir: folder with ``Data_Entry_2017_v2020.csv`` or ``Data_Entry_2017.csv`` and the
            images in ``images/``, in ``images_001/images/`` ... ``images_012/images/`` or beside
            the table; ``None`` for phantoms.
        pair: ``"Effusion / Edema"``: any two findings of the table, also ``No Finding``. The
            second is the positive one. :data:`PAIRS` has those of the paper, whose numbers fit
            no other reading (docs/study.md).
        with_others: take films with exactly one of the pair that show other findings too.
        phantoms: number of phantom films, alternately with the one finding and the other.

    Returns:
        Records of ``id``, ``patient``, ``source``, ``finding``, ``label`` (1 for the second
        finding, 0 for the first), and ``image`` or the phantom's ``seed``.

    Raises:
        FileNotFoundError: no such folder or table, or images of the pair are missing.
        ValueError: the table lacks columns, names an image twice or leaves out patients; there is
            no such finding, the two are the same, or one has no film of its own.

    Example:
        >>> [film["finding"] for film in classification_films(None, "Edema/Nodule", phantoms=3)]
        ['Edema', 'Nodule', 'Edema']

    References:
        Wang et al., CVPR 2017, pp. 3462-3471.
    """
    findings = pair_names(pair)
    if data_dir is None:
        for finding in findings:
            known = (*FINDINGS, CARDIOMEGALY, _NO_FINDING)
            if finding not in known:
                raise ValueError(f"phantoms have the findings {', '.join(known)}, not {finding!r}")
        return [
            {**film, "finding": findings[person % 2], "label": person % 2}
            for person, film in enumerate(phantom_films(phantoms))
        ]
    root = Path(data_dir)
    films = pair_films(read_table(root), pair, with_others=with_others)
    places = image_places(root)
    missing = [film["id"] for film in films if film["id"] not in places]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(films)} images of {pair} are missing from {root}, "
            f"the first is {missing[0]}; expected {_LAYOUT}"
        )
    return [{**film, "image": places[film["id"]]} for film in films]


class LoadLabelledFilm(Transform):
    """Read one film: an 8-bit image, resized to a square, and its label.

    Args:
        size: side of the square in pixels.
        data_dir: folder of ChestX-ray14, ``None`` for phantom films.
        pad: put a film that is not square in the middle of a black square, instead of refusing.
        levels: see :func:`read_grey`.

    Returns:
        The film's ``id``, ``patient``, ``source`` and ``finding``, an ``image`` ``(1, size,
        size)``, uint8, and a ``label`` ``(1,)``, float32, 1 for the pair's second finding.

    Raises:
        ValueError: the image is unreadable or not square; the message names the file.
    """

    def __init__(
        self,
        size: int,
        data_dir: str | Path | None = None,
        *,
        pad: bool = False,
        levels: int | None = None,
    ) -> None:
        self.size = size
        self.levels = levels
        self.data_dir = None if data_dir is None else Path(data_dir)
        self.pad = pad

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film's image and label as tensors."""
        if self.data_dir is None:
            finding = None if film["finding"] == _NO_FINDING else film["finding"]
            image = chest_phantom(film["seed"], self.size, finding).image
        else:
            path = self.data_dir / film["image"]
            image = read_grey(path, self.size, pad=self.pad, levels=self.levels)
        return {
            **loaded(film, image),
            "finding": film["finding"],
            "label": torch.tensor([film["label"]], dtype=torch.float32),
        }

    def files(self, film: Mapping[str, Any]) -> list[Path]:
        """The image that is read for ``film``, none for a phantom."""
        return [] if self.data_dir is None else [self.data_dir / film["image"]]


def pair_names(pair: str) -> tuple[str, str]:
    """The two findings of ``"Effusion / Edema"``, the positive one last.

    Raises:
        ValueError: not two different names.
    """
    names = [name.strip() for name in pair.split("/")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise ValueError(
            f"pair must be two different findings, as 'Effusion / Edema', got {pair!r}"
        )
    return names[0], names[1]


def read_table(root: Path) -> pd.DataFrame:
    """The table of a ChestX-ray14 folder, see :func:`read_findings`.

    Raises:
        FileNotFoundError: no such folder or table.
        ValueError: the table is not what it should be.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"data folder {root} does not exist; expected {_LAYOUT}")
    path = next((root / name for name in TABLES if (root / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"data folder {root} has no table of findings: expected {_LAYOUT}")
    return read_findings(path)


def read_findings(path: Path) -> pd.DataFrame:
    """A table of ChestX-ray14: ``image``, ``findings`` (a set), ``patient``, ``source``.

    Raises:
        ValueError: unreadable, without a column that is needed, with an empty cell in one, or
            with two rows of one image.
    """
    try:
        # index_col: rows may end in a comma that the header lacks
        table = pd.read_csv(
            path, dtype=str, index_col=False, usecols=lambda name: name in (*_COLUMNS, "Source")
        )
    except (ValueError, OSError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise ValueError(
            f"{path} must have the columns {', '.join(_COLUMNS)}, lacks {', '.join(missing)}"
        )
    for name in _COLUMNS:
        table[name] = table[name].str.strip()
        empty = table[name].isna() | (table[name] == "")
        if empty.any():
            row = int(empty.to_numpy().argmax())
            raise ValueError(
                f"{path} has no {name} in the row of image {table['Image Index'].iloc[row]} "
                f"(line {row + 2}); rows without: {empty.sum()}"
            )
    repeated = table["Image Index"][table["Image Index"].duplicated()]
    if len(repeated):
        raise ValueError(
            f"{path} must have one row per image, has {repeated.iloc[0]} more than once; images "
            f"repeated: {repeated.nunique()}"
        )
    source = table["Source"].fillna("NIH") if "Source" in table else "NIH"
    table = table.rename(columns=_COLUMNS).assign(source=source)
    table["findings"] = [{name.strip() for name in names.split("|")} for names in table["findings"]]
    return table


def pair_films(table: pd.DataFrame, pair: str, *, with_others: bool = False) -> list[Film]:
    """The films of a table that belong to the pair, without their images' places.

    Args:
        table: from :func:`read_table`.
        pair: two findings, the second one positive.
        with_others: also films with one of the two that show findings outside the pair.

    Raises:
        ValueError: no such finding, or one has no film of its own.
    """
    findings = pair_names(pair)
    counts = finding_counts(table)
    for finding in findings:
        if finding not in counts:
            present = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise ValueError(f"no film has the finding {finding!r}; the table has {present}")
    films = []
    for image, names, patient, source in zip(
        table["image"], table["findings"], table["patient"], table["source"], strict=True
    ):
        shown = [finding for finding in findings if finding in names]
        if len(shown) == 1 and (with_others or len(names) == 1):
            films.append(
                {
                    "id": image,
                    "patient": patient,
                    "source": source,
                    "finding": shown[0],
                    "label": int(shown[0] == findings[1]),
                }
            )
    for finding, other in (findings, findings[::-1]):
        if not any(film["finding"] == finding for film in films):
            without = f"without {other}" if with_others else "alone"
            raise ValueError(f"no film of the pair {pair} has {finding} {without}")
    return films


def finding_counts(table: pd.DataFrame) -> dict[str, int]:
    """Number of films that show each finding, most frequent first."""
    counts = Counter(name for names in table["findings"] for name in names)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def image_places(root: Path) -> dict[str, str]:
    """Every image file's path below the data folder, by its name.

    Raises:
        ValueError: two folders hold an image of the same name.
    """
    archives = sorted(path.parent.name for path in root.glob("images_*/images"))
    places: dict[str, str] = {}
    for folder in ("", "images/", *(f"{archive}/images/" for archive in archives)):
        if not (root / folder).is_dir():
            continue
        # listed once: a question per row would take minutes on a network's disk
        with os.scandir(root / folder) as entries:
            for entry in entries:
                if not is_film(entry):
                    continue
                if entry.name in places:
                    raise ValueError(
                        f"image {entry.name} must be in one folder of {root}, is at "
                        f"{places[entry.name]} and {folder}{entry.name}"
                    )
                places[entry.name] = folder + entry.name
    return places
