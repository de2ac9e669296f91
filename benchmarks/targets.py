"""The targets: ratios within one result file, met or not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from .grid import COPY, MIDDLE, NOISES, SEVERITIES, row_key, show_size
from .ours import DEFAULT, SEEDED
from .peers import CHAIN, COPY_LIMIT, DEEPINV_BOTH, MKL, NORMAL_CHAIN
from .records import Result

# the allocator rounds up, and seeds take a word per film
_ROUNDING = 1.01


class Target(NamedTuple):
    """A measured value beside the one wanted; NaN where the result lacks a row for it.

    Attributes:
        what: the claim.
        measured: the value.
        wanted: its bound.
        at_least: whether it must reach the bound or stay within it.
    """

    what: str
    measured: float
    wanted: float
    at_least: bool = True

    @property
    def verdict(self) -> str:
        """``met``, ``not met`` or ``not measured``."""
        if math.isnan(self.measured):
            return "not measured"
        reached = self.measured >= self.wanted
        within = self.measured <= self.wanted
        return "met" if (reached if self.at_least else within) else "not met"


class _Rows:
    """The rows of a result at its base size, and ratios among them."""

    def __init__(self, result: Result) -> None:
        self._base = result["settings"]["base"]
        self.size = show_size(self._base)
        self._rows = {row_key(row): row for row in result["rows"]}

    def value(self, column: str, noise: str, dtype: str, severity: float, name: str) -> float:
        key = f"{noise}/{dtype}/{self._base}/{severity:g}/{name}"
        value = self._rows.get(key, {}).get(column)
        return math.nan if value is None else float(value)

    def speed_up(self, noise: str, dtype: str, severity: float, peer: str) -> float:
        """How many times as long the peer takes."""
        times = [
            self.value("ns_per_pixel", noise, dtype, severity, name) for name in (peer, DEFAULT)
        ]
        return times[0] / times[1]


def judge(result: Result) -> list[Target]:
    """All targets of a result's device."""
    rows = _Rows(result)
    own = _cpu(rows) if result["kind"] == "cpu" else _cuda(rows)
    return [*own, *_seeded(rows)]


def table(targets: list[Target]) -> str:
    """Targets as a Markdown table."""
    lines = ["| target | wanted | measured | |", "|---|---:|---:|---|"]
    for target in targets:
        sign = ">=" if target.at_least else "<="
        seen = "" if math.isnan(target.measured) else f"{target.measured:.2f}"
        lines.append(f"| {target.what} | {sign} {target.wanted:g} | {seen} | {target.verdict} |")
    return "\n".join(lines)


def _cpu(rows: _Rows) -> Iterator[Target]:
    # (noise, dtype, peer, times as fast)
    races = (
        ("quantum", "float32", CHAIN, 4.0),
        ("quantum", "float32", MKL, 1.0),
        ("quantum", "uint8", CHAIN, 8.0),
        ("electronic", "float32", NORMAL_CHAIN, 1.0),
        ("radiographic", "float32", DEEPINV_BOTH, 4.0),
    )
    yield from _races(rows, races)


def _cuda(rows: _Rows) -> Iterator[Target]:
    yield from _races(rows, (("quantum", "float32", CHAIN, 10.0),))
    copied = rows.value("ns_per_pixel", COPY, "float32", MIDDLE, COPY_LIMIT)
    for severity in SEVERITIES:
        taken = rows.value("ns_per_pixel", "quantum", "float32", severity, DEFAULT)
        yield Target(
            f"quantum float32 {rows.size}, severity {severity:g}: share of the copy's bytes/s",
            copied / taken,
            0.5,
        )
    for noise in NOISES:
        extra, output = (
            rows.value(column, noise, "float32", MIDDLE, DEFAULT)
            for column in ("extra_bytes", "output_bytes")
        )
        yield Target(
            f"{noise} float32 {rows.size}: extra memory in units of the output",
            extra / output,
            _ROUNDING,
            at_least=False,
        )


def _seeded(rows: _Rows) -> Iterator[Target]:
    for noise in NOISES:
        seeded, default = (
            rows.value("ns_per_pixel", noise, "float32", MIDDLE, name) for name in (SEEDED, DEFAULT)
        )
        yield Target(
            f"{noise} float32 {rows.size}: time of a seeded call in units of an unseeded one",
            seeded / default,
            1.1,
            at_least=False,
        )


def _races(rows: _Rows, races: tuple[tuple[str, str, str, float], ...]) -> Iterator[Target]:
    for noise, dtype, peer, wanted in races:
        for severity in SEVERITIES:
            yield Target(
                f"{noise} {dtype} {rows.size}, severity {severity:g}: times as fast as {peer}",
                rows.speed_up(noise, dtype, severity, peer),
                wanted,
            )
