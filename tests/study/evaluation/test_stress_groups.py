"""Groups of films in a stress test: columns of its table, and part of what was measured."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_films import COUNT, NAMES, SHORT, Films, Scores, loader, seen
from torch.utils.data import DataLoader

from cxr_noise_transforms.study import read_table, stress_test
from cxr_noise_transforms.study.columns import COLUMNS

SEX = ["F", "M", "", "M", "F", "F", "M"]
AGE = [30.0, 40.0, 59.5, 60.0, 81.0, float("nan"), 7.0]
CUT = ["under 40", "40 to 59", "40 to 59", "60 and over", "60 and over", "unknown", "under 40"]


class Patients(Films):
    """Films of which sex and age are known."""

    def __init__(self, sex: list[str] | None = None) -> None:
        super().__init__(torch.tensor([0, 1, 0, 1, 1, 0, 1]))
        self.sex = sex or SEX

    def __getitem__(self, number: int) -> dict[str, Any]:
        about = {"sex": self.sex[number], "age": AGE[number], "old": AGE[number] > 50}
        return {**super().__getitem__(number), **about}


def measured(films: Any, out: Path | None = None, **options: Any) -> pd.DataFrame:
    if isinstance(films, Films):
        films = DataLoader(films, batch_size=3, num_workers=options.pop("workers", 0))
    asked = {"groups": ("sex", "age=40,60", "old"), **SHORT, **options}
    return stress_test(Scores(), films, "binary", out=out, outputs="logits", **asked)


@pytest.mark.parametrize("workers", [0, 2])
def test_groups_are_columns_of_every_row(workers: int, tmp_path: Path) -> None:
    table = measured(Patients(), tmp_path, workers=workers)
    assert list(table.columns) == [*COLUMNS, "sex", "age", "old"]
    expected = dict(zip(NAMES, zip(SEX, CUT, strict=True), strict=True))
    for image, sex, age in table[["image", "sex", "age"]].itertuples(index=False):
        assert (sex or "unknown", age) == (expected[image][0] or "unknown", expected[image][1])
    assert set(table.old) == {"True", "False"}
    # what is finished is read, and is the same
    pd.testing.assert_frame_equal(measured(Patients(), tmp_path), table)
    table.to_csv(tmp_path / "table.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), table)


def test_groups_change_no_number() -> None:
    without = measured(Patients(), groups=())
    assert list(without.columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(measured(Patients())[list(COLUMNS)], without)


def test_the_source_is_not_doubled() -> None:
    table = measured(Patients(), groups=["source"])
    assert list(table.columns) == list(COLUMNS)
    assert set(table.source) == {"here"}


@pytest.mark.parametrize(
    "values", [torch.tensor([0, 1, 2]), torch.tensor([[0], [1], [2]]), (0, 1, 2), ["0", "1", "2"]]
)
def test_every_form_of_a_column(values: Any) -> None:
    batch = {"image": torch.rand(3, 1, 8, 8), "label": torch.tensor([0, 1, 1]), "stage": values}
    table = seen([batch], groups=["stage"])
    assert set(zip(table.image, table.stage, strict=True)) == {("0", "0"), ("1", "1"), ("2", "2")}


def test_a_finished_folder_never_answers_for_other_groups(tmp_path: Path) -> None:
    measured(Patients(), tmp_path, groups=["sex"])
    for other in ([], ["sex", "age=40,60"], ["old"], ["sex=1"]):
        with pytest.raises(ValueError, match=r"is of another sweep \(groups "):
            measured(Patients(), tmp_path, groups=other)
    with pytest.raises(ValueError, match=r"films \(.* groups\) differ between the cells in"):
        measured(Patients(["M", *SEX[1:]]), tmp_path, groups=["sex"])
    # a missing value by another name is the same group
    measured(Patients([*SEX[:2], "Unknown", *SEX[3:]]), tmp_path, groups=["sex"])


class Restless:
    """A loader whose films change their group from reading to reading."""

    readings = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.readings += 1
        yield {
            "image": torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
            "label": torch.tensor([0, 1]),
            "sex": ["F", "M" if self.readings == 1 else "F"],
        }


def test_a_group_that_changes_between_cells_is_refused() -> None:
    with pytest.raises(ValueError, match=r"films \(.* groups\) differ between the cells:"):
        measured(Restless(), groups=["sex"])


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        ({}, ValueError, "^a batch must be a mapping with the group sex, got image, label"),
        ({"sex": ["F"]}, ValueError, r"^a batch of 2 images must hold 2 of sex, got \['F'\]$"),
        ({"sex": "FM"}, ValueError, "^a batch of 2 images must hold 2 of sex, got FM$"),
        ({"sex": 1}, ValueError, "must hold 2 of sex, got 1$"),
        ({"sex": torch.ones(3)}, ValueError, "must hold 2 of sex"),
        ({"sex": ["F", ["M"]]}, TypeError, "^sex must be one text or number per image, got list"),
        ({"sex": ["F", "a\nb"]}, ValueError, "^sex must be text of one line"),
    ],
)
def test_refusals(about: dict[str, Any], error: type[Exception], message: str) -> None:
    batch = {"image": torch.rand(2, 1, 8, 8), "label": torch.tensor([0, 1]), **about}
    with pytest.raises(error, match=message):
        measured([batch], groups=["sex"])


def test_pairs_have_no_groups() -> None:
    pairs = [(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]))]
    with pytest.raises(ValueError, match="a batch must be a mapping with the group sex"):
        measured(pairs, groups=["sex"])


def test_a_group_has_a_name_of_its_own() -> None:
    for name in ("image", "value", "patient"):
        with pytest.raises(ValueError, match="must have the name of a column of its own"):
            measured(loader(), groups=[name])


def test_there_are_as_many_films_as_in_the_loader() -> None:
    assert len(SEX) == len(AGE) == COUNT
