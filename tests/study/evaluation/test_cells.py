"""Finished cells on disk: the same table comes back, or none."""

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from cxr_noise_transforms.study.columns import TEXT as TEXT_COLUMNS
from cxr_noise_transforms.study.evaluation.cells import CellStore
from cxr_noise_transforms.study.evaluation.grid import Measurement
from cxr_noise_transforms.study.evaluation.storable import storable

ONE = Measurement(10.0, 0.0, 0)
TEXT = [
    "007",
    "1e3",
    "NA",
    "nan",
    "None",
    "null",
    "",
    " ",
    " left and right ",
    "a,b",
    'say "ah"',
    '"',
    "#3",
    "# comment",
    "two\nlines",
    "tab\tbed",
    "Zürich 肺",
    "back\\slash",
    "True",
    "2020-01-01",
    "'",
    "-",
]
NUMBERS = [
    0.1,
    1 / 3,
    math.pi,
    5e-324,
    1.7976931348623157e308,
    0.1 + 0.2,
    np.float32(0.1),
    math.nan,
]


def table(text: list[str], values: list[float]) -> pd.DataFrame:
    count = max(len(text), len(values))
    names = [text[number % len(text)] for number in range(count)]
    return pd.DataFrame(
        {
            "task": "nan",
            "network": "NA",
            "weights": "",
            "training_seed": 0,
            "sq": (1000 / 60) ** 0.5,
            "se": 1 / 3,
            "noise_seed": 2**31,
            "degradation": "none",
            "image": names,
            "patient": names[::-1],
            "source": "",
            "label": "None",
            "metric": "score",
            "value": [float(values[number % len(values)]) for number in range(count)],
            "target": [(0.0, 1.0, math.nan)[number % 3] for number in range(count)],
        }
    )


def store(folder: Path, **config: Any) -> CellStore:
    return CellStore(folder, {"network": "A", "bits": 8, **config}, {"machine": "M"})


def again(folder: Path, cell: Measurement = ONE) -> pd.DataFrame:
    """What comes back."""
    found = store(folder).read(cell)
    assert found is not None
    return found.frame()


def as_categories(written: pd.DataFrame) -> pd.DataFrame:
    return written.astype(dict.fromkeys(TEXT_COLUMNS, "category"))


def test_text_and_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    written = table(TEXT, NUMBERS)
    store(tmp_path).write(ONE, written, "i")
    read = again(tmp_path)
    pd.testing.assert_frame_equal(read, as_categories(written), check_exact=True)
    assert read.image.tolist() == TEXT
    for column in ("value", "target", "sq", "se"):
        ours, theirs = (frame[column].to_numpy() for frame in (read, written))
        assert np.array_equal(ours.view(np.int64), theirs.view(np.int64)), column
    assert read.to_csv() == written.to_csv()


def test_many_numbers_come_back_bit_for_bit(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2**63 - 2**53, 5000).view(np.float64)
    values = bits[np.isfinite(bits)]
    written = table(["a"], values.tolist())
    store(tmp_path).write(ONE, written, "i")
    assert np.array_equal(again(tmp_path).value.to_numpy(), values)


@pytest.mark.parametrize("column", ["value", "target"])
def test_a_column_without_any_number(tmp_path: Path, column: str) -> None:
    written = table(["a", "b"], [0.5]).assign(**{column: math.nan})
    store(tmp_path).write(ONE, written, "i")
    pd.testing.assert_frame_equal(again(tmp_path), as_categories(written))


def test_what_is_not_there_is_not_finished(tmp_path: Path) -> None:
    assert store(tmp_path / "nowhere").read(ONE) is None
    store(tmp_path).write(ONE, table(["a"], [1.0]), "i")
    assert store(tmp_path).read(ONE._replace(noise_seed=1)) is None
    assert store(tmp_path).read(Measurement(0.0, 10.0, 0)) is None


def test_cells_that_differ_in_the_tenth_digit_are_two(tmp_path: Path) -> None:
    near = Measurement(10.00000001, 0.0, 0)
    for number, cell in enumerate((ONE, near)):
        store(tmp_path).write(cell, table(["a"], [float(number)]), "i")
    first, second = (again(tmp_path, cell) for cell in (ONE, near))
    assert (first.value.item(), second.value.item()) == (0.0, 1.0)


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    store(tmp_path).write(ONE._replace(noise_seed=3), table(["a", "b"], [1.0]), "hash of images")
    path = tmp_path / "sq10_se0_seed3.parquet"
    assert list(tmp_path.iterdir()) == [path]
    head = json.loads(pq.read_metadata(path).metadata[b"cell"])
    assert head["config"] == {"network": "A", "bits": 8}
    assert (head["machine"], head["rows"]) == ("M", 2)
    assert store(tmp_path).images(ONE._replace(noise_seed=3)) == "hash of images"
    assert pd.read_parquet(path).image.tolist() == ["a", "b"]


@pytest.mark.slow
def test_cuts_and_flipped_bytes_count_as_absent(tmp_path: Path) -> None:
    store(tmp_path).write(ONE, table(["a", "b"], [0.25]), "i")
    path = store(tmp_path).path(ONE)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert store(tmp_path).read(ONE) is None, length
    # a prime step: every field of the format has its turn
    for place in range(0, len(whole), 7):
        for bit in (1, 128):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            assert store(tmp_path).read(ONE) is None, place
    path.write_bytes(whole)
    assert store(tmp_path).read(ONE) is not None


def test_a_cell_that_is_changed_after_it_was_found_is_not_read(tmp_path: Path) -> None:
    store(tmp_path).write(ONE, table(["a", "b"], [0.25]), "i")
    found = store(tmp_path).read(ONE)
    assert found is not None
    path = store(tmp_path).path(ONE)
    whole = bytearray(path.read_bytes())
    # in the first column's first page
    whole[50] ^= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(OSError, match="checksum"):
        found.frame()


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    written = table(TEXT, NUMBERS)
    held = written.astype({"image": pd.CategoricalDtype([*TEXT[::-1], "of no row"])})
    files = []
    for place, one in enumerate((written, as_categories(written), held)):
        store(tmp_path / str(place)).write(ONE, one, "i")
        files.append(store(tmp_path / str(place)).path(ONE).read_bytes())
    assert files[0] == files[1] == files[2]


def test_a_row_costs_tens_of_bytes(tmp_path: Path) -> None:
    many = table([f"image{number % 500:05d}.png" for number in range(5000)], [0.25])
    many["value"] = np.random.default_rng(0).random(len(many), np.float32).astype(float)
    store(tmp_path).write(ONE, many, "i")
    assert store(tmp_path).path(ONE).stat().st_size < 20 * len(many)
    assert again(tmp_path).memory_usage(index=False).sum() < 70 * len(many)


def test_columns_of_ones_own_stay(tmp_path: Path) -> None:
    written = table(["a", "b", "c"], [0.5]).assign(
        sex=["F", "M", None], age=[50, 61, 70], old=[False, True, True], weight=[60.5, np.nan, 80]
    )
    store(tmp_path).write(ONE, written, "i")
    read = again(tmp_path)
    assert list(read) == list(written)
    assert read.sex.tolist() == ["F", "M", None] or read.sex.isna().tolist() == [0, 0, 1]
    assert read.sex.dtype == "category"
    pd.testing.assert_frame_equal(read[["age", "old", "weight"]], written[["age", "old", "weight"]])


@pytest.mark.parametrize(
    "content",
    [b"image,value\na,1\n", b"PAR1", b"PAR1whole file: ", b"\xff\xfe\n", b"", b"PAR1\0\0\0\0PAR1"],
)
def test_a_file_of_something_else_counts_as_absent(tmp_path: Path, content: bytes) -> None:
    store(tmp_path).path(ONE).write_bytes(content)
    assert store(tmp_path).read(ONE) is None


def test_another_configuration_is_refused_by_what_differs(tmp_path: Path) -> None:
    store(tmp_path, mean=(0.5, 0.5), extra=1).write(ONE, table(["a"], [1.0]), "i")
    with pytest.raises(ValueError, match="is of another sweep") as refused:
        store(tmp_path, mean=[0.5, 0.5], bits=None, size=64).read(ONE)
    path = store(tmp_path).path(ONE)
    assert str(refused.value) == (
        f"{path} is of another sweep (bits 8 there, None now; extra 1 there, None now; "
        "size None there, 64 now): choose another folder, or remove it"
    )


def test_versions_and_machine_are_not_compared(tmp_path: Path) -> None:
    written = table(["a"], [1.0])
    store(tmp_path).write(ONE, written, "i")
    elsewhere = CellStore(tmp_path, {"bits": 8, "network": "A"}, {"machine": "other"})
    found = elsewhere.read(ONE)
    assert found is not None
    pd.testing.assert_frame_equal(found.frame(), as_categories(written))


def test_a_killed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path).write(ONE, table(["b"], [2.0]), "i")
    assert not list(tmp_path.iterdir())


def test_a_finished_cell_stays_as_it_is(tmp_path: Path) -> None:
    written = table(["a", "b"], [1.0])
    store(tmp_path).write(ONE, written, "i")
    found = store(tmp_path).read(ONE)
    # another process, which did not know of it
    store(tmp_path).write(ONE, table(TEXT, NUMBERS), "i")
    assert found is not None
    pd.testing.assert_frame_equal(found.frame(), as_categories(written))
    path = store(tmp_path).path(ONE)
    path.write_bytes(path.read_bytes()[:-1])
    store(tmp_path).write(ONE, table(TEXT, NUMBERS), "i")
    assert again(tmp_path).image.tolist() == TEXT


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Path("runs") / "a.pt", "runs/a.pt"),
        (np.float64(0.25), 0.25),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([[1, 2]]), [[1, 2]]),
        (torch.tensor(0.5), 0.5),
        (torch.tensor([0.5, 1.0]), [0.5, 1.0]),
        ((1, [None, "a"]), [1, [None, "a"]]),
        ({1: {"at": Path("b")}}, {"1": {"at": "b"}}),
        (torch.device("cpu"), "cpu"),
        (torch.float16, "torch.float16"),
        (date(2025, 3, 1), "2025-03-01"),
        (True, True),
    ],
)
def test_settings_are_stored_as_text_and_numbers(
    value: object, stored: object, tmp_path: Path
) -> None:
    found = storable("about", {"key": value})
    assert found == {"key": stored}
    assert type(found["key"]) is type(stored)
    store(tmp_path, **found).write(ONE, table(["a"], [1.0]), "i")
    assert store(tmp_path, **found).read(ONE) is not None


def test_a_setting_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(
        TypeError, match=r"^about\['a'\]\['b'\] must be text, numbers, .* got object$"
    ):
        storable("about", {"a": {"b": object()}})
