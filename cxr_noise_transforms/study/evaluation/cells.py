"""One file per cell of a sweep: whole, of one configuration, and on one set of images."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.files import whole_file

from .grid import Measurement

# every other column is text
_NUMBERS = dict.fromkeys(("sq", "se", "value", "target"), float) | dict.fromkeys(
    ("training_seed", "noise_seed"), int
)


def read_table(file: str | Path | IO[bytes]) -> pd.DataFrame:
    """A long table from CSV, packed or not: the numbers and names that were written."""
    # as text first: an image may be named NA, and not every pandas parses the number written
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table = table.replace({"value": {"": "nan"}, "target": {"": "nan"}}).astype(_NUMBERS)
    # tables of before it was measured lack the column
    return table if "degradation" in table else table.assign(degradation=UNDEGRADED)


@dataclass(frozen=True)
class CellStore:
    """The finished cells of one model in a folder.

    A cell's file is CSV under one line of JSON: the configuration and its hash, where the cell
    was measured, and the hash of the table. A file that was cut off counts as absent.

    Args:
        folder: of the files.
        config: what all cells have in common: model, noise, and so on.
        provenance: versions and machine, written but not compared.
    """

    folder: Path
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]

    def read(self, one: Measurement) -> pd.DataFrame | None:
        """The cell's table, or ``None`` if it is not finished.

        Raises:
            ValueError: the file is of another configuration.
        """
        path = self.path(one)
        if not path.is_file():
            return None
        head, _, body = path.read_bytes().partition(b"\n")
        try:
            about = json.loads(head.removeprefix(b"# "))
            whole = about["sha256"] == _sha256(body)
        except (ValueError, KeyError, TypeError):
            return None
        if not whole:
            return None
        if about["config_sha256"] != self.config_hash:
            raise ValueError(
                f"{path} is of another sweep ({self._difference(about)}): "
                "choose another folder, or remove it"
            )
        return read_table(io.BytesIO(body))

    def write(self, one: Measurement, table: pd.DataFrame, images: str) -> None:
        """Keep a finished cell; ``images`` is the hash of the films that were measured."""
        body = table.to_csv(index=False).encode()
        about = {
            "config": dict(self.config),
            "config_sha256": self.config_hash,
            "images_sha256": images,
            **self.provenance,
            "rows": len(table),
            "sha256": _sha256(body),
        }
        with whole_file(self.path(one)) as beside:
            beside.write_bytes(b"# " + json.dumps(about).encode() + b"\n" + body)

    def images(self, one: Measurement) -> str:
        """The hash of the films that a finished cell was measured on."""
        with self.path(one).open("rb") as file:
            return str(json.loads(file.readline().removeprefix(b"# "))["images_sha256"])

    def path(self, one: Measurement) -> Path:
        """The cell's file."""
        name = f"sq{one.sq:.12g}_se{one.se:.12g}_seed{one.noise_seed}"
        degraded = "" if one.degradation == UNDEGRADED else f"_{one.degradation}"
        return self.folder / f"{name}{degraded}.csv"

    @property
    def config_hash(self) -> str:
        """SHA-256 of the configuration."""
        return _sha256(json.dumps(dict(self.config), sort_keys=True).encode())

    def _difference(self, about: Mapping[str, Any]) -> str:
        # as JSON has it: a tuple is a list
        there, here = about["config"], json.loads(json.dumps(dict(self.config)))
        return "; ".join(
            f"{name} {there.get(name)} there, {here.get(name)} now"
            for name in sorted(there.keys() | here.keys())
            if there.get(name) != here.get(name)
        )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
