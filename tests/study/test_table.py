"""The long table in files: the same rows and the same numbers as in memory, a part at a time."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ladders import dice_table, score_table

from cxr_noise_transforms.study import LongTable, open_table, read_table
from cxr_noise_transforms.study.columns import CELL
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.statistics.films import film_marks, film_values, label_counts
from cxr_noise_transforms.study.statistics.long_table import check_table, is_complete
from cxr_noise_transforms.study.statistics.performance import performance, validation_thresholds
from cxr_noise_transforms.study.statistics.resampling import bootstrap
from cxr_noise_transforms.study.statistics.summaries import (
    checkpoint_table,
    severity_table,
    task_table,
)

BOTH = pd.concat(
    [
        dice_table(noise_seeds=2, weights=("best", "swa"), labels=("lungs", "heart")),
        score_table(films=9),
    ],
    ignore_index=True,
)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., LongTable]:
    """A table in a file, of which few rows are read at a time."""
    monkeypatch.setattr("cxr_noise_transforms.study.table._ROWS", 30)

    def write(table: pd.DataFrame) -> LongTable:
        path = LongTable.of(table).write(tmp_path / "per_image.parquet")
        return open_table([path])

    return write


def equal(one: Any, other: Any) -> None:
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    else:
        assert one == other


@pytest.mark.parametrize(
    "result",
    [
        performance,
        lambda table: performance(table, validation_thresholds(table)),
        validation_thresholds,
        is_complete,
        checkpoint_table,
        task_table,
        severity_table,
        lambda table: bootstrap(table, resamples=30).groups,
        lambda table: pd.DataFrame(bootstrap(table, resamples=30).draws),
        film_marks,
        label_counts,
        # sums over noise seeds that lie in several parts are rounded otherwise
        lambda table: film_values(table, "dice").round(14),
        lambda table: film_values(table, "score").round(14),
    ],
)
@pytest.mark.parametrize("table", [dice_table(noise_seeds=2, labels=("x", "y")), score_table()])
def test_numbers_are_those_of_the_table_in_memory(
    result: Callable[[Any], Any], table: pd.DataFrame, in_parts: Callable[..., LongTable]
) -> None:
    parts = in_parts(table)
    assert max(map(len, parts.chunks())) < len(table) / 4
    equal(result(parts), result(table))


def test_findings_are_those_of_the_table_in_memory(in_parts: Callable[..., LongTable]) -> None:
    for ours, theirs in zip(*(find(t, resamples=30) for t in (in_parts(BOTH), BOTH)), strict=True):
        assert (ours.task, ours.labels, ours.cells) == (theirs.task, theirs.labels, theirs.cells)
        assert (ours.noise_seeds, ours.networks) == (theirs.noise_seeds, theirs.networks)
        for name in ("every_perf", "levels", "changes", "counts", "images", "curve_numbers"):
            equal(getattr(ours, name), getattr(theirs, name))
        equal(ours.films("B"), theirs.films("B"))


def test_rows_come_back_as_they_were(in_parts: Callable[..., LongTable], tmp_path: Path) -> None:
    parts = in_parts(BOTH)
    read = parts.frame().astype(BOTH.dtypes.to_dict())[list(BOTH)]
    in_order = [*CELL[:-1], "label", "metric", "image"]
    pd.testing.assert_frame_equal(
        read.sort_values(in_order, ignore_index=True), BOTH.sort_values(in_order, ignore_index=True)
    )
    assert len(parts) == len(BOTH)
    assert parts.cells.rows.sum() == len(BOTH)
    text = read_table(parts.write_csv(tmp_path / "rows.csv"))
    pd.testing.assert_frame_equal(text, parts.frame(), check_categorical=False)


def test_the_same_table_is_the_same_bytes(tmp_path: Path) -> None:
    one, two = (LongTable.of(BOTH).write(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    assert one.read_bytes() == two.read_bytes()
    # of a file as of memory
    again = open_table([one]).write(tmp_path / "c.parquet")
    assert again.read_bytes() == one.read_bytes()


def test_columns_of_ones_own_go_through(in_parts: Callable[..., LongTable]) -> None:
    # a column that some cells lack
    sexes = np.where(np.arange(len(BOTH)) % 2, "F", "M")
    some = LongTable.joined([LongTable.of(BOTH.assign(sex=sexes, age=60)), LongTable.of(BOTH)])
    parts = in_parts(BOTH.assign(sex=sexes, age=60))
    assert parts.frame().sex.value_counts().to_dict() == pd.Series(sexes).value_counts().to_dict()
    assert set(parts.frame().age) == {60}
    whole = some.frame()
    assert whole.sex.isna().sum() == whole.age.isna().sum() == len(BOTH)
    check_table(parts)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_of_different_columns_are_one_table(tmp_path: Path, ending: str) -> None:
    plain = dice_table(["A"], films=4).drop(columns="source")
    grouped = dice_table(["B"], films=4).assign(sex="F", age=60)
    parts = {"plain": plain, "grouped": grouped}
    for name, part in parts.items():
        table = LongTable.of(part)
        file = tmp_path / f"{name}.{ending}"
        table.write_csv(file) if ending == "csv" else table.write(file)
    both = open_table(tmp_path / f"{name}.{ending}" for name in parts)
    for rows in (both.frame(), pd.concat(both.chunks()), pd.concat(both.chunks("sex", "source"))):
        assert len(rows) == len(both)
        assert set(rows.sex.dropna()) == {"F"}
        assert rows.sex.isna().sum() == rows.source.isna().sum() == len(plain) == len(grouped)
    assert set(both.distinct("network", "sex").dropna().network) == {"B"}
    assert len(both.distinct("sex")) == 2
    text = pd.read_csv(both.write_csv(tmp_path / "both.csv"))
    assert text.age.isna().sum() == len(plain)
    again = read_table(both.write(tmp_path / "both.parquet"))
    assert again.sex.isna().sum() == len(plain)
    check_table(both)


@pytest.mark.parametrize("few", [True, False])
def test_a_part_that_lacks_a_column_is_written_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    if few:
        monkeypatch.setattr("cxr_noise_transforms.study.table._ROWS", 30)
    parts = [dice_table(["A"], films=4), dice_table(["B"], films=4).assign(sex="F", old=True)]
    both = LongTable.joined(map(LongTable.of, parts))
    for path in (both.write(tmp_path / "a.parquet"), both.write_csv(tmp_path / "a.csv")):
        rows = open_table([path]).frame().set_index("network")
        assert set(rows.sex["B"]) == {"F"}
        assert set(rows.old["B"].astype(str)) == {"True"}
        assert not set(rows.sex["A"].dropna()) - {""}


def test_a_cell_that_is_scattered_is_read_as_one(in_parts: Callable[..., LongTable]) -> None:
    table = dice_table(films=12)
    parts = in_parts(table)
    place = Path(parts.parts[0].path)  # type: ignore[attr-defined]
    mixed = pa.concat_tables([pq.read_table(place)]).take(
        np.random.default_rng(0).permutation(len(table))
    )
    pq.write_table(mixed, place, row_group_size=25)
    scattered = open_table([place])
    assert len(scattered.parts) > 10
    assert len(scattered.cells) == len(parts.cells)
    equal(bootstrap(scattered, resamples=9).groups, bootstrap(table, resamples=9).groups)
    with pytest.raises(ValueError, match="one row per image and metric of a cell"):
        check_table(LongTable.joined([scattered, scattered]))


def test_a_choice_reads_what_it_needs(in_parts: Callable[..., LongTable]) -> None:
    parts = in_parts(BOTH)
    chosen = parts.select(network="B", sq=[0, 4], weights="best")
    expected = BOTH[(BOTH.network == "B") & BOTH.sq.isin([0, 4]) & (BOTH.weights == "best")]
    assert len(chosen) == len(chosen.frame()) == len(expected)
    assert len(chosen.parts) < len(parts.parts)
    assert set(chosen.distinct("sq").sq) == {0.0, 4.0}
    narrower = chosen.select(se=0, noise_seed=0)
    assert len(narrower.frame()) == ((expected.se == 0) & (expected.noise_seed == 0)).sum()
    assert not chosen.select(network="C").parts


def test_a_file_is_known_by_what_it_is(tmp_path: Path) -> None:
    table = dice_table(["A"])
    LongTable.of(table).write(tmp_path / "rows.csv")
    table.to_csv(tmp_path / "rows.csv.gz", index=False)
    one, two = (read_table(tmp_path / name) for name in ("rows.csv", "rows.csv.gz"))
    pd.testing.assert_frame_equal(one, two)
    assert one.image.dtype == "category"
    plain = table.drop(columns="source")
    # of another writer, which knows neither categories nor degradations
    plain.to_parquet(tmp_path / "other.parquet")
    equal(performance(open_table([tmp_path / "other.parquet"])), performance(table))


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a.parquet must be a long table .* task, .* are missing"):
        read_table(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and so on")
    with pytest.raises(ValueError, match="must be a long table as Parquet or CSV"):
        read_table(tmp_path / "b.parquet")


def test_a_csv_without_a_column_or_an_end_is_refused(tmp_path: Path) -> None:
    table = dice_table(["A"])
    table.drop(columns="network").to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=r"a.csv must be a long table .*: the columns network are"):
        open_table([tmp_path / "a.csv"])
    packed = gzip.compress(table.to_csv(index=False).encode())
    (tmp_path / "cut.csv.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "spoilt.csv.gz").write_bytes(packed[:30] + b"\xff" * 9 + packed[39:])
    for name in ("cut.csv.gz", "spoilt.csv.gz"):
        with pytest.raises(ValueError, match=f"{name} must be a long table as Parquet or CSV"):
            open_table([tmp_path / name])


def test_a_damaged_footer_is_refused_or_harmless(tmp_path: Path) -> None:
    path = LongTable.of(dice_table(["A"], films=2)).write(tmp_path / "rows.parquet")
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    refused = []
    for place in range(len(whole) - footer - 8, len(whole) - 8, 17):
        spoilt = bytearray(whole)
        spoilt[place] ^= 16
        path.write_bytes(spoilt)
        try:
            open_table([path])
        except ValueError as error:
            refused.append(str(error))
    assert refused
    assert all("rows.parquet must be a long table as Parquet or CSV: " in one for one in refused)


def test_values_of_parquet_are_those_of_csv(tmp_path: Path) -> None:
    text = dice_table(["A"], films=4).assign(degradation="none")
    number = text.image.str.removeprefix("image").astype(int)
    table = text.assign(image=number, patient=number.astype("category"), network=7)
    other = table.astype({"sq": "float32", "training_seed": float, "target": "float32"})
    other.to_parquet(tmp_path / "a.parquet")
    other.drop(columns="degradation").to_parquet(tmp_path / "b.parquet")
    table.to_csv(tmp_path / "a.csv", index=False)
    csv = open_table([tmp_path / "a.csv"])
    for name in ("a", "b"):
        parquet = open_table([tmp_path / f"{name}.parquet"])
        both = LongTable.joined([parquet, csv.select(sq=0)])
        assert set(both.distinct("image", "patient").image) == set("0123")
        assert set(both.cells.network) == {"7"}
        assert len(both.cells) == len(csv.cells)
        equal(performance(parquet), performance(csv))
        again = open_table([both.write(tmp_path / "both.parquet")])
        assert (
            again.frame().dtypes.astype(str).to_dict() == csv.frame().dtypes.astype(str).to_dict()
        )
    table.assign(training_seed=0.5).to_parquet(tmp_path / "half.parquet")
    with pytest.raises(ValueError, match=r"half.parquet .* column training_seed must be of int64"):
        open_table([tmp_path / "half.parquet"])


def test_an_index_of_pandas_is_no_column(tmp_path: Path) -> None:
    table = dice_table(["A"]).assign(degradation="none")
    table[table.se != 4].to_parquet(tmp_path / "chosen.parquet")
    table.drop(columns="degradation")[table.se != 4].to_parquet(tmp_path / "plain.parquet")
    table[table.se != 4].set_index("image").to_parquet(tmp_path / "by_image.parquet")
    for name in ("chosen", "plain", "by_image"):
        found = open_table([tmp_path / f"{name}.parquet"])
        assert set(found.columns) == set(table.columns)
        equal(performance(found), performance(table[table.se != 4]))
        assert set(read_table(found.write(tmp_path / "again.parquet"))) == set(table.columns)


def test_a_flipped_bit_in_a_row_group_is_refused(tmp_path: Path) -> None:
    path = LongTable.of(dice_table(["A"], films=50)).write(tmp_path / "rows.parquet")
    whole, metadata = path.read_bytes(), pq.read_metadata(path)
    group = metadata.row_group(0)
    for column in range(group.num_columns):
        chunk = group.column(column)
        spoilt = bytearray(whole)
        spoilt[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 4
        first = chunk.dictionary_page_offset or chunk.data_page_offset
        spoilt = bytearray(whole)
        spoilt[first + chunk.total_compressed_size - 1] ^= 4
        path.write_bytes(spoilt)
        with pytest.raises((OSError, ValueError), match="checksum"):
            open_table([path]).frame()


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=30))
@settings(
    deadline=None,
    derandomize=True,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_name_comes_back(tmp_path: Path, names: list[str]) -> None:
    table = dice_table(["A"], films=1).iloc[np.zeros(len(names), int)].assign(image=names)
    again = open_table([LongTable.of(table).write(tmp_path / "rows.parquet")]).frame()
    assert again.image.tolist() == names
    assert again.image.cat.categories.tolist() == sorted(set(names))


def test_no_rows_are_a_table_of_nothing() -> None:
    nothing = LongTable.joined([])
    assert len(nothing) == 0
    assert nothing.frame().empty
    with pytest.raises(ValueError, match="at least one row"):
        check_table(nothing)
