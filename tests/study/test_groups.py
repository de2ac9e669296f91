"""Names of groups, and numbers cut into groups."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cxr_noise_transforms.study.columns import COLUMNS
from cxr_noise_transforms.study.groups import (
    UNKNOWN,
    Grouping,
    group_columns,
    groupings,
    in_group_order,
    more_columns,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("M", "M"),
        (" PA ", "PA"),
        ("007", "007"),
        (3, "3"),
        (np.int64(3), "3"),
        (torch.tensor(3), "3"),
        (57.0, "57"),
        (0.25, "0.25"),
        (float(np.float32(0.1)), "0.10000000149"),
        (True, "True"),
        (np.bool_(False), "False"),
        *((nothing, UNKNOWN) for nothing in (None, np.nan, pd.NA, pd.NaT, "", "  ", "Unknown")),
        (torch.tensor(torch.nan), UNKNOWN),
    ],
)
def test_a_value_as_a_group(value: object, expected: str) -> None:
    assert Grouping("sex").group(value) == expected


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ([1], TypeError, r"^sex must be one text or number per image, got list \[1\]$"),
        (torch.ones(2), TypeError, "got Tensor"),
        (b"M", TypeError, "got bytes"),
        ("a\nb", ValueError, r"^sex must be text of one line that can be printed, got 'a\\nb'$"),
        ("a\0", ValueError, "can be printed"),
    ],
)
def test_what_is_no_group(value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Grouping("sex").group(value)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "under 40"),
        (39.99, "under 40"),
        ("40", "40 to 59"),
        (59.9, "40 to 59"),
        (60, "60 and over"),
        ("058Y", "40 to 59"),
        ("600M", "40 to 59"),
        ("002W", "under 40"),
        ("010D", "under 40"),
        ("", UNKNOWN),
    ],
)
def test_ages_are_cut(age: object, expected: str) -> None:
    (grouping,) = groupings(["age=40,60"])
    assert grouping.group(age) == expected


def test_cuts_name_what_is_in_them() -> None:
    (width_one, broken) = groupings(["stage=1,2", "pitch=0.1,0.25"])
    assert [width_one.group(n) for n in (0, 1, 2)] == ["under 1", "1", "2 and over"]
    assert broken.group(0.2) == "0.1 to under 0.25"
    with pytest.raises(ValueError, match=r"^stage must be numbers to be cut at 1, 2, got 'late'$"):
        width_one.group("late")


numbers = st.decimals(-1000, 1000, places=2).map(float) | st.integers(-1000, 1000).map(float)


@given(st.lists(numbers, min_size=1, max_size=5, unique=True), st.lists(numbers, min_size=1))
def test_cut_groups_have_the_order_of_their_numbers(
    edges: list[float], values: list[float]
) -> None:
    cut = groupings([f"x={','.join(map(repr, sorted(edges)))}"])[0]
    groups = [cut.group(value) for value in sorted(values)]
    assert [*dict.fromkeys(groups)] == in_group_order(groups)
    assert len(set(groups)) <= len(edges) + 1


@given(st.permutations(["9", "10", "under 40", "40 to 59", "F", "M", UNKNOWN]))
def test_the_order_of_names_is_one(names: list[str]) -> None:
    expected = ["9", "10", "under 40", "40 to 59", "F", "M", UNKNOWN]
    assert in_group_order(names) == expected


@pytest.mark.parametrize(
    ("given_groups", "error", "message"),
    [
        ("sex", TypeError, "^groups must be several names, got one text 'sex'$"),
        (["sex", "sex=1"], ValueError, "^groups must have one grouping of each name, got 'sex' tw"),
        *(([name], ValueError, "none of task") for name in ("value", "patient", "sq", "", "a\nb")),
        (["age=60,40"], ValueError, "^edges of age must be rising numbers, as in age=40,60, got"),
        *(([one], ValueError, "must be rising") for one in ("age=", "age=x", "age=1,1", "age=inf")),
    ],
)
def test_refusals(given_groups: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        groupings(given_groups)


def test_columns_of_groups_are_those_that_not_every_table_has() -> None:
    table = pd.DataFrame(columns=[*COLUMNS, "sex", "age"])
    assert group_columns(table) == ["sex", "age"]
    assert more_columns(groupings(["source", "view"])) == ["view"]
