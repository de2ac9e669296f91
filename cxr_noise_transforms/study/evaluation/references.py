"""What a function's code reads from outside of it."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping
from types import CodeType, ModuleType
from typing import Any

from .packages import package_of

_READS_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


def referenced(code: CodeType, home: Mapping[str, Any]) -> dict[str, object]:
    """The globals that code, and the code within it, reads.

    A module of one's own counts as those of its values that the code names.

    Args:
        code: of a function.
        home: its globals.

    Example:
        >>> referenced((lambda x: x + size).__code__, {"size": 3, "other": 4})
        {'size': 3}
    """
    parts = list(_nested(code))
    names = {name for part in parts for name in part.co_names}
    found = {
        step.argval: _taken(home[step.argval], names, frozenset())
        for part in parts
        for step in dis.get_instructions(part)
        if step.opname in _READS_GLOBAL and step.argval in home
    }
    return dict(sorted(found.items()))


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _nested(part)


def _taken(value: object, names: set[str], within: frozenset[str]) -> object:
    if not isinstance(value, ModuleType) or package_of(value.__name__) is not None:
        return value
    # modules may name each other
    if value.__name__ in within:
        return value.__name__
    inside = within | {value.__name__}
    return {
        name: _taken(vars(value)[name], names, inside) for name in sorted(names & {*vars(value)})
    }
