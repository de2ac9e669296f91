"""One file per cell of a sweep: whole, of one configuration, and on one set of images."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.parquet import parquet_writer, to_arrow
from cxr_noise_transforms.study.table import LongTable, row_groups

from .grid import Measurement

# names in the file's metadata: what is known of the cell, and the digest of the file
_ABOUT, _DIGEST = "cell", "sha256"
# in the place of the digest while the file is digested
_MARK, _BLANK = b"whole file: ", b"0" * 64


@dataclass(frozen=True)
class CellStore:
    """The finished cells of one model in a folder.

    A cell's file is Parquet, one row group. Its metadata tell the configuration and its hash, where
    the cell was measured, and the digest of all of the file's bytes but the digest's own: Parquet
    has checksums of its pages alone. A file that was cut off, or of which any bit is not as it was
    written, counts as absent. Equal tables of one configuration and machine are equal bytes.

    Args:
        folder: of the files.
        config: what all cells have in common: model, noise, and so on.
        provenance: versions and machine, written but not compared.
    """

    folder: Path
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]

    def read(self, one: Measurement) -> LongTable | None:
        """The cell's table, which stays in its file, or ``None`` if it is not finished.

        Raises:
            ValueError: the file is of another configuration.
        """
        path = self.path(one)
        if not path.is_file():
            return None
        content = path.read_bytes()
        if not _is_whole(content):
            return None
        metadata = pq.read_metadata(pa.BufferReader(content))
        about = _about(metadata)
        if about["config_sha256"] != self.config_hash:
            raise ValueError(
                f"{path} is of another sweep ({self._difference(about)}): "
                "choose another folder, or remove it"
            )
        return row_groups(path, metadata)

    def write(self, one: Measurement, table: pd.DataFrame, images: str) -> None:
        """Keep a finished cell; ``images`` is the hash of the films that were measured.

        One that another process has finished meanwhile stays: somebody may be reading it.

        Raises:
            ValueError: that one is of another configuration.
        """
        if self.read(one) is not None:
            return
        about = {
            "config": dict(self.config),
            "config_sha256": self.config_hash,
            "images_sha256": images,
            **self.provenance,
            "rows": len(table),
        }
        rows, sink = to_arrow(table), io.BytesIO()
        with parquet_writer(sink, rows.schema) as writer:
            writer.write_table(rows, row_group_size=max(1, len(rows)))
            # one by one, in an order that is the same in every process
            writer.add_key_value_metadata({_ABOUT: json.dumps(about)})
            writer.add_key_value_metadata({_DIGEST: (_MARK + _BLANK).decode()})
        content = sink.getvalue()
        with whole_file(self.path(one)) as beside:
            beside.write_bytes(_digested(content, _sha256(content).encode()))

    def images(self, one: Measurement) -> str:
        """The hash of the films that a finished cell was measured on."""
        return str(_about(pq.read_metadata(self.path(one)))["images_sha256"])

    def path(self, one: Measurement) -> Path:
        """The cell's file."""
        name = f"sq{one.sq:.12g}_se{one.se:.12g}_seed{one.noise_seed}"
        degraded = "" if one.degradation == UNDEGRADED else f"_{one.degradation}"
        return self.folder / f"{name}{degraded}.parquet"

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


def _about(metadata: pq.FileMetaData) -> dict[str, Any]:
    return dict(json.loads(metadata.metadata[_ABOUT.encode()]))


def _is_whole(content: bytes) -> bool:
    """Whether a file's bytes are those that were written."""
    place = content.rfind(_MARK) + len(_MARK)
    digest = content[place : place + len(_BLANK)]
    return _MARK in content and digest == _sha256(_digested(content, _BLANK)).encode()


def _digested(content: bytes, digest: bytes) -> bytes:
    """A file's bytes with another digest in the place of theirs."""
    # the footer is the end of the file
    place = content.rindex(_MARK) + len(_MARK)
    return content[:place] + digest + content[place + len(digest) :]


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
