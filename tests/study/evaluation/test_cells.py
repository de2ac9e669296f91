"""Finished cells on disk: the same table comes back, or none."""

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

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


def test_text_and_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    written = table(TEXT, NUMBERS)
    store(tmp_path).write(ONE, written, "i")
    read = store(tmp_path).read(ONE)
    pd.testing.assert_frame_equal(read, written, check_exact=True)
    assert read is not None
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
    read = store(tmp_path).read(ONE)
    assert read is not None
    assert np.array_equal(read.value.to_numpy(), values)


@pytest.mark.parametrize("column", ["value", "target"])
def test_a_column_without_any_number(tmp_path: Path, column: str) -> None:
    written = table(["a", "b"], [0.5]).assign(**{column: math.nan})
    store(tmp_path).write(ONE, written, "i")
    pd.testing.assert_frame_equal(store(tmp_path).read(ONE), written)


def test_what_is_not_there_is_not_finished(tmp_path: Path) -> None:
    assert store(tmp_path / "nowhere").read(ONE) is None
    store(tmp_path).write(ONE, table(["a"], [1.0]), "i")
    assert store(tmp_path).read(ONE._replace(noise_seed=1)) is None
    assert store(tmp_path).read(Measurement(0.0, 10.0, 0)) is None


def test_cells_that_differ_in_the_tenth_digit_are_two(tmp_path: Path) -> None:
    near = Measurement(10.00000001, 0.0, 0)
    for number, cell in enumerate((ONE, near)):
        store(tmp_path).write(cell, table(["a"], [float(number)]), "i")
    first, second = (store(tmp_path).read(cell) for cell in (ONE, near))
    assert first is not None
    assert second is not None
    assert (first.value.item(), second.value.item()) == (0.0, 1.0)


def test_a_file_says_what_it_holds(tmp_path: Path) -> None:
    store(tmp_path).write(ONE._replace(noise_seed=3), table(["a", "b"], [1.0]), "hash of images")
    path = tmp_path / "sq10_se0_seed3.csv"
    assert list(tmp_path.iterdir()) == [path]
    head = json.loads(path.read_text().splitlines()[0].removeprefix("# "))
    assert head["config"] == {"network": "A", "bits": 8}
    assert (head["machine"], head["rows"]) == ("M", 2)
    assert store(tmp_path).images(ONE._replace(noise_seed=3)) == "hash of images"
    assert len(pd.read_csv(path, comment="#")) == 2


def test_every_cut_and_every_flipped_byte_counts_as_absent(tmp_path: Path) -> None:
    store(tmp_path).write(ONE, table(["a", "b"], [0.25]), "i")
    path = store(tmp_path).path(ONE)
    whole = path.read_bytes()
    head = whole.index(b"\n")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert store(tmp_path).read(ONE) is None, length
    for place in range(head + 1, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert store(tmp_path).read(ONE) is None, place


@pytest.mark.parametrize(
    "content", [b"image,value\na,1\n", b"# []\n", b"# 3\n", b"\xff\xfe\n", b"\n"]
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
    pd.testing.assert_frame_equal(elsewhere.read(ONE), written)


def test_a_killed_write_leaves_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = table(["a"], [1.0])
    store(tmp_path).write(ONE, written, "i")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path).write(ONE, table(["b"], [2.0]), "i")
    pd.testing.assert_frame_equal(store(tmp_path).read(ONE), written)
    assert len(list(tmp_path.iterdir())) == 1


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
