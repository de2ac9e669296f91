"""Groups of films: a column of the long table, its names, and numbers cut into groups."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor

from .columns import COLUMNS

# of films without a value
UNKNOWN = "unknown"
# a DICOM age, as ChestX-ray14's first table has it: years of each of its units
_AGE = re.compile(r"(\d{3})([YMWD])")
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_START = re.compile(r"(under )?(-?\d+(?:\.\d+)?)(?![\w.])")


class Grouping(NamedTuple):
    """A column of groups.

    Attributes:
        name: of the column.
        edges: at which its numbers are cut; none where each value is a group.
    """

    name: str
    edges: tuple[float, ...] = ()

    def group(self, value: object) -> str:
        """The group of a value; what is empty, ``None`` or NaN is in the group "unknown".

        Raises:
            TypeError: the value is no text and no number.
            ValueError: it holds what no line of a CSV can, or is no number where numbers are cut.

        Example:
            >>> [Grouping("age", (40, 60)).group(age) for age in (39.5, 40, "061Y", None)]
            ['under 40', '40 to 59', '60 and over', 'unknown']
        """
        text = _text(value, self.name)
        if not self.edges or text == UNKNOWN:
            return text
        return _cut(_number(text, self), self.edges)

    def groups(self, values: pd.Series) -> pd.Series:
        """The groups of a column of a table."""
        places, every = pd.factorize(values, use_na_sentinel=False)
        names = np.array([self.group(value) for value in every], object)
        return pd.Series(names[places], values.index, dtype=str)


def groupings(given: Iterable[str]) -> tuple[Grouping, ...]:
    """Groupings by their words: ``"sex"``, or ``"age=40,60"`` for ages cut at 40 and 60.

    Raises:
        TypeError: one text in the place of several.
        ValueError: a name that a column cannot have, one that is there twice, or edges that are no
            rising numbers.

    Example:
        >>> groupings(["sex", "age=40,60"])
        (Grouping(name='sex', edges=()), Grouping(name='age', edges=(40.0, 60.0)))
    """
    if isinstance(given, str):
        raise TypeError(f"groups must be several names, got one text {given!r}")
    found = tuple(map(_grouping, given))
    names = [one.name for one in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"groups must have one grouping of each name, got {twice[0]!r} twice")
    return found


def group_columns(columns: Iterable[Hashable]) -> list[str]:
    """The columns of a long table that every long table has not: those of groups."""
    return [str(name) for name in columns if name not in COLUMNS]


def more_columns(given: Sequence[Grouping]) -> list[str]:
    """The columns that groupings add to those of every long table."""
    return [one.name for one in given if one.name not in COLUMNS]


def in_group_order(names: Iterable[str]) -> list[str]:
    """Names of groups: by their numbers, then by the alphabet, "unknown" last.

    Example:
        >>> in_group_order(["unknown", "60 and over", "40 to 59", "under 40", "F", "9"])
        ['9', 'under 40', '40 to 59', '60 and over', 'F', 'unknown']
    """

    def place(name: str) -> tuple[bool, float, bool, str]:
        start = _START.match(name)
        number = float(start[2]) if start else math.inf
        return name == UNKNOWN, number, not (start and start[1]), name

    return sorted(set(names), key=place)


def _grouping(text: str) -> Grouping:
    name, cut, numbers = str(text).partition("=")
    name = name.strip()
    allowed = name == "source" or name not in COLUMNS
    if not name or not name.isprintable() or not allowed:
        raise ValueError(
            "a group must have the name of a column of its own, which is none of "
            f"{', '.join(one for one in COLUMNS if one != 'source')}, got {text!r}"
        )
    try:
        edges = tuple(float(number) for number in numbers.split(",")) if cut else ()
    except ValueError:
        edges = (math.nan,)
    if not np.isfinite(edges).all() or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"edges of {name} must be rising numbers, as in age=40,60, got {text!r}")
    return Grouping(name, edges)


def _text(value: object, name: str) -> str:
    if isinstance(value, Tensor | np.ndarray | np.generic) and np.ndim(value) == 0:
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return UNKNOWN
    if not isinstance(value, str | int | float):
        raise TypeError(
            f"{name} must be one text or number per image, got {type(value).__name__} {value!r}"
        )
    if isinstance(value, float):
        if math.isnan(value):
            return UNKNOWN
        # what was whole before other values were missing is whole
        value = int(value) if value.is_integer() else f"{value:.12g}"
    text = str(value).strip()
    if not text.isprintable():
        raise ValueError(f"{name} must be text of one line that can be printed, got {text!r}")
    return UNKNOWN if text.lower() in ("", UNKNOWN) else text


def _number(text: str, grouping: Grouping) -> float:
    age = _AGE.fullmatch(text)
    try:
        number = int(age[1]) * _YEARS[age[2]] if age else float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        edges = ", ".join(f"{edge:g}" for edge in grouping.edges)
        raise ValueError(f"{grouping.name} must be numbers to be cut at {edges}, got {text!r}")
    return number


def _cut(number: float, edges: tuple[float, ...]) -> str:
    """Between which edges a number is, in words: 40 to 59 are the ages from 40 to below 60."""
    above = sum(number >= edge for edge in edges)
    if above == 0:
        return f"under {edges[0]:.12g}"
    if above == len(edges):
        return f"{edges[-1]:.12g} and over"
    low, high = edges[above - 1 : above + 1]
    if low % 1 or high % 1:
        return f"{low:.12g} to under {high:.12g}"
    return f"{low:.12g}" if high - low == 1 else f"{low:.12g} to {high - 1:.12g}"
