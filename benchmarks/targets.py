"""The targets: ratios within one result, met or missed."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .cases import DTYPES, MIDDLE, SEVERITIES
from .contenders import CHAIN, COPY, DEEPINV, MKL, NOISES, NORMAL_CHAIN, OURS, SEEDED
from .tables import Row, at_base, find_losses, markdown, memory_rows, read_calls

# (task, peer, times as fast at each severity)
_CPU_RACES = (
    ("quantum float32", CHAIN, (12, 16, 18)),
    ("quantum uint8", CHAIN, (20, 25, 25)),
    ("quantum float32", MKL, (5, 5, 5)),
    ("electronic float32", NORMAL_CHAIN, (1.8, 1.8, 1.8)),
    ("electronic uint8", NORMAL_CHAIN, (1.8, 1.8, 1.8)),
    ("radiographic float32", DEEPINV, (10, 10, 10)),
    ("radiographic uint8", DEEPINV, (10, 10, 10)),
)
_ONE_THREAD_RACES = (
    ("quantum float32", CHAIN, (6, 8, 9)),
    ("electronic float32", NORMAL_CHAIN, (1, 1, 1)),
    ("electronic uint8", NORMAL_CHAIN, (1, 1, 1)),
)
_CUDA_RACES = (("quantum float32", CHAIN, (10, 10, 10)),)
# seconds of the first call in a fresh process, by the state of the compiled code's cache
_FIRST_CALL = {"warm": 0.7, "cold": 8.0}
# in outputs; CUDA's allocator rounds up, and seeds take a word per film
_MEMORY = {"cpu": {"float32": 0.02, "uint8": 0.1}, "cuda": {"float32": 0.01}}

# nanoseconds per pixel at the base size
Time = Callable[..., float]


class Target(NamedTuple):
    """A claim, and its measured value beside the one wanted; NaN where rows are missing."""

    what: str
    measured: float
    wanted: float
    at_least: bool = True

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        if math.isnan(self.measured):
            return "not measured"
        reached = self.measured >= self.wanted if self.at_least else self.measured <= self.wanted
        return "met" if reached else "missed"


def judge(result: Row) -> list[Target]:
    """All targets of a result's device."""
    calls = read_calls(result)
    keys = ("task", "contender", "severity", "threads")
    medians = {tuple(row[key] for key in keys): row["median"] for row in at_base(calls)}
    every = max(row["threads"] for row in calls)

    def time(task: str, who: str = OURS, severity: float = MIDDLE, threads: int = every) -> float:
        return medians.get((task, who, severity, threads), math.nan)

    if calls[0]["device"] == "cuda":
        return [*_races(time, _CUDA_RACES), *_bandwidth(time), *_common(time, calls)]
    return [
        *_races(time, _CPU_RACES),
        *_races(time, _ONE_THREAD_RACES, ", 1 thread", threads=1),
        *_threads(time, every),
        *_losses(calls),
        *_first_calls(result),
        *_common(time, calls),
    ]


def table(targets: list[Target]) -> str:
    """Targets as a Markdown table, under the number of those that are met."""
    body = [
        [
            target.what,
            f"{'>=' if target.at_least else '<='} {target.wanted:g}",
            "" if math.isnan(target.measured) else f"{target.measured:.3g}",
            target.verdict,
        ]
        for target in targets
    ]
    met = sum(target.verdict == "met" for target in targets)
    listed = markdown(["target", "wanted", "measured", ""], body)
    return f"{met} of {len(targets)} are met.\n\n{listed}"


def _races(time: Time, races: Any, where: str = "", **threads: int) -> Iterator[Target]:
    for task, peer, bounds in races:
        for severity, wanted in zip(SEVERITIES, bounds, strict=True):
            theirs, ours = (time(task, who, severity, **threads) for who in (peer, OURS))
            what = f"{task}, severity {severity:g}{where}: times as fast as {peer}"
            yield Target(what, theirs / ours, wanted)


def _threads(time: Time, every: int) -> Iterator[Target]:
    for task in (f"{noise} {dtype}" for noise in NOISES for dtype in DTYPES):
        what = f"{task}: {every} threads, times as fast as one"
        yield Target(what, time(task, threads=1) / time(task), 1.8)


def _losses(calls: list[Row]) -> Iterator[Target]:
    lost = sum(row["same_law"] for row in find_losses(calls))
    yield Target("rows in which a peer of the same law is faster", lost, 0, at_least=False)


def _first_calls(result: Row) -> Iterator[Target]:
    seconds = {row["cache"]: row["first_call"] for row in result["rows"] if "cache" in row}
    for cache, wanted in _FIRST_CALL.items():
        what = f"first call in a fresh process, cache {cache}: seconds"
        yield Target(what, seconds.get(cache, math.nan), wanted, at_least=False)


def _bandwidth(time: Time) -> Iterator[Target]:
    for severity in SEVERITIES:
        share = time(f"{COPY} float32", COPY) / time("quantum float32", severity=severity)
        what = f"quantum float32, severity {severity:g}: share of the copy's bytes/s"
        yield Target(what, share, 0.5)


def _common(time: Time, calls: list[Row]) -> Iterator[Target]:
    for task in (f"{noise} float32" for noise in NOISES):
        what = f"{task}: time of a seeded call in units of an unseeded one"
        yield Target(what, time(task, SEEDED) / time(task), 1.1, at_least=False)
    beyond = {r["task"]: r["beyond_output"] for r in memory_rows(calls) if r["contender"] == OURS}
    for noise in NOISES:
        for dtype, wanted in _MEMORY[calls[0]["device"]].items():
            task = f"{noise} {dtype}"
            what = f"{task}: memory of a call beyond its output, in outputs"
            yield Target(what, beyond.get(task, math.nan), wanted, at_least=False)
