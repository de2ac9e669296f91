"""Rows of the long table as Parquet: text in dictionaries, the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pandas.api.types import is_numeric_dtype, is_string_dtype, union_categoricals

from .columns import NUMBERS, TEXT

_MAGIC = b"PAR1"
_TEXT_TYPE = pa.dictionary(pa.int32(), pa.string())


def is_parquet(file: Path) -> bool:
    """Whether a file begins as Parquet does, whatever its name."""
    with file.open("rb") as opened:
        return opened.read(len(_MAGIC)) == _MAGIC


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Rows in Arrow's form: their known columns in their types, every other text a dictionary."""
    return pa.table({str(name): _column(str(name), frame[name]) for name in frame})


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Rows in pandas' form, their known columns in their types, their text as categories.

    Raises:
        ValueError: a value is not of its column's type, as a seed that is no whole number.
    """
    columns = {name: _typed(name, table[name]) for name in kept_columns(table.column_names)}
    return with_categories(
        pa.table(columns).to_pandas(strings_to_categorical=True, ignore_metadata=True)
    )


def kept_columns(names: Iterable[str]) -> list[str]:
    """Those of a file but the index that pandas writes of rows that were chosen."""
    return [name for name in names if not name.startswith("__index_level_")]


def typed_schema(schema: pa.Schema) -> pa.Schema:
    """The columns of a file in the types that :func:`to_arrow` gives to their rows."""
    kinds = {name: _type(name, schema.field(name).type) for name in kept_columns(schema.names)}
    return pa.schema(
        [(name, _TEXT_TYPE if _is_text(kind) else kind) for name, kind in kinds.items()]
    )


def is_typed(schema: pa.Schema, names: Iterable[str]) -> bool:
    """Whether columns of a file hold what their rows have in memory."""
    return all(schema.field(name).type == _type(name, schema.field(name).type) for name in names)


def with_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows whose text is categories in the order of their names; what is no text stays."""
    changed = {}
    for name in frame:
        column = frame[name]
        is_text = is_string_dtype(column) or (name in TEXT and not is_numeric_dtype(column))
        if is_text and not isinstance(column.dtype, pd.CategoricalDtype):
            changed[name] = column.astype("category")
        elif isinstance(column.dtype, pd.CategoricalDtype) and not column.cat.ordered:
            names = column.cat.categories
            if not names.is_monotonic_increasing:
                changed[name] = column.cat.reorder_categories(names.sort_values())
    return frame.assign(**changed) if changed else frame


def without_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows whose text is text: for the few that results are."""
    kinds = {
        name: kind.categories.dtype
        for name, kind in frame.dtypes.items()
        if isinstance(kind, pd.CategoricalDtype)
    }
    return frame.astype(kinds) if kinds else frame


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows one below the other; text stays categories, and a column that some lack is empty."""
    if len(frames) == 1:
        return frames[0]
    names = dict.fromkeys(name for frame in frames for name in frame)
    return pd.DataFrame({name: _below(name, frames) for name in names})


@contextmanager
def parquet_writer(where: Path | IO[bytes], schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """What writes Arrow tables of a schema as row groups, with a checksum of every page."""
    split = [name for name in schema.names if pa.types.is_floating(schema.field(name).type)]
    # values differ in almost every row: a dictionary of them would be no shorter
    split = [name for name in split if name not in ("sq", "se", "target")]
    with pq.ParquetWriter(
        where,
        schema,
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in split],
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"),
        write_page_checksum=True,
    ) as writer:
        yield writer


def common_schema(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """The columns of all schemas."""
    plain = [pa.schema([field.with_nullable(True) for field in one]) for one in schemas]
    return pa.unify_schemas(plain, promote_options="permissive")


def fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows with the columns of a schema; what they lack, or have no value of, is empty."""
    columns = {
        field.name: rows[field.name]
        if field.name in rows.column_names and rows[field.name].null_count < len(rows)
        else pa.nulls(len(rows), field.type)
        for field in schema
    }
    return pa.table(columns).cast(schema)


def _column(name: str, column: pd.Series) -> pa.Array:
    if name in NUMBERS:
        return pa.array(column.to_numpy(NUMBERS[name]))
    if name not in TEXT and is_numeric_dtype(column):
        return pa.array(column)
    # of used names alone, in their order: equal rows are equal bytes
    column = column.astype("category").cat.remove_unused_categories()
    names, places = np.unique(
        np.array([*map(str, column.cat.categories)], dtype=object), return_inverse=True
    )
    codes = column.cat.codes.to_numpy()
    known = codes >= 0
    found = np.zeros(len(codes), np.int32)
    found[known] = places[codes[known]]
    return pa.DictionaryArray.from_arrays(
        pa.array(found, mask=~known), pa.array(names, pa.string()), safe=True
    ).cast(_TEXT_TYPE)


def _type(name: str, found: pa.DataType) -> pa.DataType:
    """That of a column in memory."""
    if name in NUMBERS:
        return pa.from_numpy_dtype(NUMBERS[name])
    return pa.string() if name in TEXT and not _is_text(found) else found


def _is_text(found: pa.DataType) -> bool:
    values = found.value_type if pa.types.is_dictionary(found) else found
    return pa.types.is_string(values) or pa.types.is_large_string(values)


def _typed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = _type(name, column.type)
    if kind == column.type:
        return column
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise ValueError(f"column {name} must be of {kind}: {error}") from error


def _below(name: Any, frames: Sequence[pd.DataFrame]) -> Any:
    columns = [frame[name] if name in frame else pd.Series(np.nan, frame.index) for frame in frames]
    if all(isinstance(column.dtype, pd.CategoricalDtype) for column in columns):
        kinds = {column.cat.categories.dtype for column in columns}
        if len(kinds) == 1:
            return union_categoricals(columns, sort_categories=True)
    if any(isinstance(column.dtype, pd.CategoricalDtype) for column in columns):
        columns = [column.astype(object) for column in columns]
        return pd.concat(columns, ignore_index=True).astype("category")
    return pd.concat(columns, ignore_index=True)
