"""One file per cell of a sweep: whole, of one configuration, and on one set of images."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cxr_noise_transforms.study.files import whole_file

# every other column is text
_NUMBERS = dict.fromkeys(("sq", "se", "value", "target"), float) | dict.fromkeys(
    ("training_seed", "noise_seed"), int
)


def read_table(file: str | Path | IO[bytes]) -> pd.DataFrame:
    """A long table from CSV, packed or not: the numbers and names that were written."""
    # as text first: an image may be named NA, and not every pandas parses the number written
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return table.replace({"value": {"": "nan"}, "target": {"": "nan"}}).astype(_NUMBERS)


def storable(name: str, value: object) -> Any:
    """A value as a cell's file keeps it: text, numbers, and lists and mappings of them.

    Arrays and tensors are numbers; paths, devices, types and dates are text.

    Raises:
        TypeError: it is none of these.

    Example:
        >>> storable("about", {"size": np.int64(512), "file": Path("a.pt"), "mean": torch.ones(2)})
        {'size': 512, 'file': 'a.pt', 'mean': [1.0, 1.0]}
    """
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return storable(name, value.tolist())
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, list | tuple | range):
        return [storable(name, one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): storable(f"{name}[{key!r}]", one) for key, one in value.items()}
    if isinstance(value, os.PathLike | torch.device | torch.dtype | date):
        return str(value)
    raise TypeError(
        f"{name} must be text, numbers, or lists and mappings of them, got {type(value).__name__}"
    )


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

    def read(self, cell: tuple[float, float], seed: int) -> pd.DataFrame | None:
        """The cell's table, or ``None`` if it is not finished.

        Raises:
            ValueError: the file is of another configuration.
        """
        path = self.path(cell, seed)
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

    def write(self, cell: tuple[float, float], seed: int, table: pd.DataFrame, images: str) -> None:
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
        with whole_file(self.path(cell, seed)) as beside:
            beside.write_bytes(b"# " + json.dumps(about).encode() + b"\n" + body)

    def images(self, cell: tuple[float, float], seed: int) -> str:
        """The hash of the films that a finished cell was measured on."""
        with self.path(cell, seed).open("rb") as file:
            return str(json.loads(file.readline().removeprefix(b"# "))["images_sha256"])

    def path(self, cell: tuple[float, float], seed: int) -> Path:
        """The cell's file."""
        return self.folder / f"sq{cell[0]:.12g}_se{cell[1]:.12g}_seed{seed}.csv"

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
