"""The long table in memory or in Parquet files: the whole of it, or some cells after others."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .columns import CELL, COLUMNS, NUMBERS, UNDEGRADED
from .files import whole_file
from .parquet import (
    common_schema,
    fitted,
    is_parquet,
    is_typed,
    kept_columns,
    parquet_writer,
    stacked,
    to_arrow,
    to_frame,
    typed_schema,
    with_categories,
    without_categories,
)

# rows that are worth a reading, and a row group
_ROWS = 200_000
_NEEDED = tuple(name for name in COLUMNS if name not in ("degradation", "source"))

# rows with the columns of CELL to whether each stays
Keep: TypeAlias = Callable[[pd.DataFrame], pd.Series]


class Part(Protocol):
    """Some rows of a table."""

    @property
    def columns(self) -> Sequence[str]:
        """Names."""

    @property
    def schema(self) -> pa.Schema:
        """The columns in Arrow's form."""

    @property
    def cells(self) -> pd.DataFrame:
        """Their cells in order, one row each: the columns of ``CELL``, and ``rows``."""

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Them, or some of their columns."""

    def where(self, keep: Keep) -> Part:
        """Those of some cells."""


@dataclass(frozen=True)
class LongTable:
    """Rows of the long table, wherever they are; nothing of a file is held.

    Args:
        parts: one below the other.
    """

    parts: Sequence[Part]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> LongTable:
        """A table in memory; without the column ``degradation`` its films have none."""
        if "degradation" not in frame:
            frame = frame.assign(degradation=UNDEGRADED)
        return cls([InMemory(with_categories(frame))])

    @classmethod
    def joined(cls, tables: Iterable[LongTable]) -> LongTable:
        """Tables one below the other."""
        return cls([part for table in tables for part in table.parts])

    def __len__(self) -> int:
        return int(self.cells.rows.sum())

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The cells in the table's order, one row each: the columns of ``CELL``, and ``rows``."""
        every = [part.cells for part in self.parts]
        if not every:
            return pd.DataFrame(columns=[*CELL, "rows"]).astype({"rows": int})
        if len(every) == 1:
            return every[0]
        found = pd.concat(every, ignore_index=True).groupby(list(CELL), sort=False, dropna=False)
        return found.rows.sum().reset_index()

    @property
    def columns(self) -> list[str]:
        """Their names; a part may lack some that are none of ``COLUMNS``."""
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))

    def where(self, keep: Keep) -> LongTable:
        """The cells that are kept: ``where(lambda cells: cells.sq == 0)``."""
        kept = [(part, keep(part.cells)) for part in self.parts]
        return LongTable(
            [part if mask.all() else part.where(keep) for part, mask in kept if mask.any()]
        )

    def select(self, **columns: Any) -> LongTable:
        """The cells with these values, or with one of several: ``select(sq=0, se=[0, 6])``."""

        def keep(cells: pd.DataFrame) -> pd.Series:
            kept = pd.Series(data=True, index=cells.index)
            for name, value in columns.items():
                kept &= cells[name].isin(value if isinstance(value, list) else [value])
            return kept

        return self.where(keep)

    def chunks(self, *columns: str) -> Iterator[pd.DataFrame]:
        """All rows, or columns of them, a number of whole cells at a time.

        A column that a part lacks is empty in its rows.
        """
        chosen = list(columns or self.columns)
        for group in self._groups:
            rows = stacked([_read(self.parts[place], chosen) for place in group])
            yield rows.reindex(columns=chosen)

    def distinct(self, *columns: str) -> pd.DataFrame:
        """The different values of columns, in the table's order."""
        found = [chunk.drop_duplicates(list(columns)) for chunk in self.chunks(*columns)]
        if not found:
            return pd.DataFrame(columns=list(columns))
        whole = stacked(found).drop_duplicates(ignore_index=True)
        return without_categories(whole)

    def frame(self) -> pd.DataFrame:
        """All rows in memory, their text as categories."""
        if not self.parts:
            return pd.DataFrame(columns=list(COLUMNS)).astype(NUMBERS)
        return stacked([part.read() for part in self.parts]).reset_index(drop=True)

    def write(self, path: Path) -> Path:
        """Write a Parquet file whose row groups are whole cells, a group at a time."""
        schema = common_schema(part.schema for part in self.parts)
        with whole_file(path) as beside, parquet_writer(beside, schema) as writer:
            for chunk in self.chunks():
                for rows in _in_cells(chunk):
                    writer.write_table(fitted(to_arrow(rows), schema), row_group_size=len(rows))
        return path

    def write_csv(self, path: Path) -> Path:
        """Write the same rows as text, some cells at a time."""
        with whole_file(path) as beside:
            for place, chunk in enumerate(self.chunks()):
                chunk.to_csv(beside, mode="a", index=False, header=place == 0)
        return path

    @cached_property
    def _groups(self) -> list[list[int]]:
        """The places of parts that are read together, because a cell is in several of them.

        Small parts that follow each other are read together too.
        """
        if len(self.parts) == 1:
            return [[0]]
        leader, owner = list(range(len(self.parts))), dict[tuple, int]()
        for place, part in enumerate(self.parts):
            for cell in part.cells[list(CELL)].itertuples(index=False, name=None):
                first = leader[owner.setdefault(cell, place)]
                if first != leader[place]:
                    old, new = max(first, leader[place]), min(first, leader[place])
                    leader = [new if one == old else one for one in leader]
        together: dict[int, list[int]] = {}
        for place, first in enumerate(leader):
            together.setdefault(first, []).append(place)
        groups: list[list[int]] = []
        room = 0
        for group in together.values():
            rows = sum(int(self.parts[place].cells.rows.sum()) for place in group)
            if rows > room:
                groups.append([])
                room = _ROWS
            groups[-1] += group
            room -= rows
        return groups


def open_table(files: Iterable[str | Path]) -> LongTable:
    """The long table of files, Parquet as they lie there, CSV (packed or not) in memory.

    Raises:
        ValueError: a file is no long table.
    """
    return LongTable.joined(_open(Path(file)) for file in files)


def read_table(file: str | Path) -> pd.DataFrame:
    """A long table from Parquet or CSV, packed or not: the numbers and names that were written.

    Text is categories.

    Raises:
        ValueError: the file is no long table.
    """
    return open_table([file]).frame()


def long_tables(folder: Path, *, csv: bool = False) -> list[Path]:
    """The files of a sweep's long table: Parquet, and CSV where it is asked for."""
    return [folder / f"per_image.{ending}" for ending in ("parquet", *(["csv"] if csv else []))]


def write_long_table(folder: Path, table: LongTable, *, csv: bool = False) -> list[Path]:
    """Write the files of :func:`long_tables`."""
    first, *text = long_tables(folder, csv=csv)
    return [table.write(first), *map(table.write_csv, text)]


def row_groups(path: Path, metadata: pq.FileMetaData | None = None) -> LongTable:
    """The table of a Parquet file that this package has written."""
    metadata = metadata or pq.read_metadata(path)
    return LongTable([RowGroup(path, metadata, n) for n in range(metadata.num_row_groups)])


def _open(file: Path) -> LongTable:
    packed = is_parquet(file)
    try:
        table = _open_parquet(file) if packed else LongTable.of(_read_csv(file))
        # here, because the cells of a damaged file cannot be told
        _ = table.cells
    except (KeyError, ValueError, OSError, EOFError, zlib.error, pa.ArrowException) as error:
        raise ValueError(f"{file} must be a long table as Parquet or CSV: {error}") from error
    return table


def _open_parquet(file: Path) -> LongTable:
    metadata = pq.read_metadata(file)
    names = metadata.schema.names
    _refuse_missing(names)
    if "degradation" not in names:
        return LongTable.of(to_frame(pq.read_table(file)))
    return row_groups(file, metadata)


def _read_csv(file: Path) -> pd.DataFrame:
    # as text first: an image may be named NA, and not every pandas parses the number written
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    _refuse_missing(table.columns)
    return table.replace({"value": {"": "nan"}, "target": {"": "nan"}}).astype(NUMBERS)


def _refuse_missing(names: Collection[str]) -> None:
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise ValueError(f"the columns {', '.join(missing)} are missing")


def _read(part: Part, columns: Sequence[str]) -> pd.DataFrame:
    """Those of the columns that a part has; one of a cell where it has none, for its rows."""
    return part.read([name for name in columns if name in part.columns] or CELL[:1])


def _in_cells(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Rows as row groups of whole cells."""
    if len(rows) <= _ROWS:
        yield rows
        return
    yield from (rows.take(places) for places in _places(rows).values())


def _places(rows: pd.DataFrame) -> dict[tuple, Any]:
    return rows.groupby(list(CELL), sort=False, observed=True, dropna=False).indices


@dataclass(frozen=True)
class InMemory:
    """Rows in memory."""

    rows: pd.DataFrame

    @property
    def columns(self) -> list[str]:
        """See :class:`Part`."""
        return list(self.rows)

    @property
    def schema(self) -> pa.Schema:
        """See :class:`Part`."""
        return to_arrow(self.rows[:1]).schema

    @cached_property
    def cells(self) -> pd.DataFrame:
        """See :class:`Part`."""
        return _cells_of(self.rows)

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """See :class:`Part`."""
        return self.rows if columns is None else self.rows[list(columns)]

    def where(self, keep: Keep) -> InMemory:
        """See :class:`Part`."""
        return InMemory(self.rows[keep(self.rows)])


@dataclass(frozen=True)
class RowGroup:
    """A row group of a Parquet file, read anew whenever it is asked for.

    Args:
        path: of the file.
        metadata: of the file.
        number: of the row group.
    """

    path: Path
    metadata: pq.FileMetaData
    number: int

    @property
    def columns(self) -> list[str]:
        """See :class:`Part`."""
        return kept_columns(self.metadata.schema.names)

    @property
    def schema(self) -> pa.Schema:
        """See :class:`Part`."""
        return typed_schema(self.metadata.schema.to_arrow_schema())

    @cached_property
    def cells(self) -> pd.DataFrame:
        """See :class:`Part`."""
        group = self.metadata.row_group(self.number)
        columns = [group.column(place) for place in range(group.num_columns)]
        known = {column.path_in_schema: column.statistics for column in columns}
        found = [known[name] for name in CELL]
        # the usual row group is one cell, of which the footer tells
        if is_typed(self.metadata.schema.to_arrow_schema(), CELL) and all(
            one is not None and one.has_min_max and one.null_count == 0 and one.min == one.max
            for one in found
        ):
            row = [one.min for one in found]
            return pd.DataFrame([[*row, group.num_rows]], columns=[*CELL, "rows"])
        return _cells_of(self.read(CELL))

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """See :class:`Part`.

        Raises:
            OSError: a page is not as it was written.
            ValueError: a value is not of its column's type.
        """
        chosen = list(self.columns if columns is None else columns)
        with pq.ParquetFile(
            self.path, metadata=self.metadata, page_checksum_verification=True
        ) as file:
            return to_frame(file.read_row_group(self.number, columns=chosen))

    def where(self, keep: Keep) -> Part:
        """See :class:`Part`."""
        return Kept(self, keep)


@dataclass(frozen=True)
class Kept:
    """The rows of some cells of a row group that holds others too."""

    part: RowGroup
    keep: Keep

    @property
    def columns(self) -> list[str]:
        """See :class:`Part`."""
        return self.part.columns

    @property
    def schema(self) -> pa.Schema:
        """See :class:`Part`."""
        return self.part.schema

    @cached_property
    def cells(self) -> pd.DataFrame:
        """See :class:`Part`."""
        cells = self.part.cells
        return cells[self.keep(cells)].reset_index(drop=True)

    def read(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """See :class:`Part`."""
        chosen = list(self.columns if columns is None else columns)
        rows = self.part.read(list(dict.fromkeys([*chosen, *CELL])))
        return rows.loc[self.keep(rows), chosen]

    def where(self, keep: Keep) -> Kept:
        """See :class:`Part`."""
        return Kept(self.part, lambda cells: self.keep(cells) & keep(cells))


def _cells_of(rows: pd.DataFrame) -> pd.DataFrame:
    found = rows.groupby(list(CELL), sort=False, observed=True, dropna=False).size()
    return without_categories(found.reset_index(name="rows"))
