"""The clock: how a call is warmed up, repeated and timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch

# a repetition on a device lasts at least this long, so that its events resolve it
_BURST_S = 0.005
_MOST_CALLS = 1000


class Effort(NamedTuple):
    """How long a row may take."""

    warm_up: int
    least: int
    most: int
    budget_s: float


class Timing(NamedTuple):
    """Seconds per call: median and quartiles over the repetitions."""

    median: float
    q1: float
    q3: float
    repetitions: int
    calls_per_repetition: int


def measure(call: Callable[[], object], device: str, effort: Effort) -> Timing:
    """Time ``call``: warm-up, then repetitions until the budget is spent, at least ``least``.

    On a CPU a repetition is one call. On CUDA it is a burst of calls between two events, with the
    device idle before the first, so that neither a launch nor a wait is counted twice.
    """
    for _ in range(effort.warm_up):
        call()
    calls = 1
    if device == "cuda":
        calls = round(_BURST_S / max(_time_on_device(call, 1), 1e-9))
        calls = min(max(calls, 1), _MOST_CALLS)
    seconds: list[float] = []
    begin = time.perf_counter()
    while len(seconds) < effort.most:
        seconds.append(_time_on_device(call, calls) if device == "cuda" else _time_on_host(call))
        if len(seconds) >= effort.least and time.perf_counter() - begin >= effort.budget_s:
            break
    return summarise(seconds, calls)


def summarise(seconds: list[float], calls: int) -> Timing:
    """Median and quartiles of the repetitions.

    Example:
        >>> summarise([1.0, 2.0, 3.0, 4.0, 50.0], calls=1)[:3]
        (3.0, 2.0, 4.0)
    """
    q1, median, q3 = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, q1, q3, len(seconds), calls)


def _time_on_host(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    # held until the clock is read: giving the result back is not part of the call
    result = call()
    elapsed = time.perf_counter() - begin
    del result
    return elapsed


def _time_on_device(call: Callable[[], object], calls: int) -> float:
    begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1000 / calls
