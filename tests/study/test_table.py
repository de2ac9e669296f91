"""The long table in files: the same rows and the same numbers as in memory, a part at a time."""

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
        with pytest.raises(OSError, match="checksum"):
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
