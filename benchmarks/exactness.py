"""The report on one sampler: every test, with its p-value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from . import laws
from .samplers import READ_OUT, Draw, Sampler

RATES = (0.01, 0.1, 0.5, 1, 2, 5, 10, 16, 20, 30, 50, 63, 65, 100, 250, 500, 1e3, 1e4, 1e5)
# rates of fields: sq = 10 at a tenth of full scale and at full scale, then sq = 4 and sq = 1
FIELD_RATES = (1.0, 10.0, 62.5, 1e3)
# about which pytorch#136750 asks, whether two calls share random numbers
CALL_RATES = (10.0, 30.0, 50.0, 63.0, 65.0, 500.0)
# seeds that differ in low, middle and high bits, and in sign
SEED_PAIRS = ((0, 1), (7, 7 + 2**32), (0, 2**62), (5, -5))
# the chance that the report refuses a right sampler
LEVEL = 0.001


class Extent(NamedTuple):
    """Pixels along a side: of the images whose counts are tested, and of fields."""

    counts: int
    field: int


FULL, QUICK = Extent(2048, 1024), Extent(256, 128)

Field = laws.Field
Row = dict[str, Any]


def report(
    sampler: Sampler,
    device: str,
    extent: Extent = FULL,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """All tests of one sampler; ``accepted`` where none refuses at ``LEVEL`` after Holm."""
    torch.manual_seed(0)
    rows: list[Row] = []
    for row in _tests(sampler, device, extent):
        progress(f"{sampler.name}: {row['law']}")
        rows.append(row)
    corrected = laws.holm([row["p"] for row in rows])
    for row, p in zip(rows, corrected, strict=True):
        row["p_holm"] = _rounded(p)
    return {
        "sampler": sampler.name,
        "promised": sampler.promised,
        "accepted": min(corrected) >= LEVEL,
        "tests": len(rows),
        "least_p_holm": min(corrected),
        "rows": rows,
    }


def _tests(sampler: Sampler, device: str, extent: Extent) -> Iterator[Row]:
    draw = _Draws(sampler.photons, device)
    yield from _counts(draw, extent.counts)
    for rate in FIELD_RATES:
        yield from _field(draw, rate, extent.field)
    for rate in CALL_RATES:
        yield from _consecutive(draw, rate, extent.field)
    yield from _severities(draw, extent.field, common=sampler.common)
    if sampler.read_out:
        yield from _normal(_Draws(sampler.read_out, device), extent)
    if sampler.exposure:
        yield from _both(_Draws(sampler.exposure, device), extent.field)


class _Draws:
    """Draws at one rate, as numpy fields."""

    def __init__(self, draw: Draw, device: str) -> None:
        self._draw, self._device = draw, device

    def one(
        self,
        rate: float,
        side: int,
        seed: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Field:
        field: Field = self.batch(rate, side, 1, seed, dtype)[0]
        return field

    def batch(
        self,
        rate: float,
        side: int,
        images: int,
        seed: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Field:
        signal = torch.full((images, 1, side, side), rate, dtype=dtype, device=self._device)
        drawn: Field = self._draw(signal, seed)[:, 0].cpu().double().numpy()
        return drawn


def _counts(draw: _Draws, side: int) -> Iterator[Row]:
    for stated in RATES:
        # the rate that a float32 image holds
        rate = float(np.float32(stated))
        counts = draw.one(rate, side)
        yield _row("counts", "chi-square", rate, laws.poisson_fit(counts, rate))
        for order, name in enumerate(("mean", "variance", "third", "fourth"), start=1):
            p = laws.poisson_moment(counts, rate, order)
            if p is not None:
                yield _row("moments", name, rate, p)


def _field(draw: _Draws, rate: float, side: int) -> Iterator[Row]:
    def standard(counts: Field) -> Field:
        standardised: Field = (counts - rate) / np.sqrt(rate)
        return standardised

    first, second = (standard(draw.one(rate, side)) for _ in range(2))
    yield from _white(first, rate)
    yield from _apart("calls", "two calls", first, second, rate)
    batch = standard(draw.batch(rate, side, 4, seed=0))
    for image in range(1, len(batch)):
        yield from _apart("images", f"images 0 and {image}", batch[0], batch[image], rate)
    for pair in SEED_PAIRS:
        first, second = (standard(draw.one(rate, side, seed)) for seed in pair)
        yield from _apart("seeds", f"seeds {pair[0]} and {pair[1]}", first, second, rate)


def _consecutive(draw: _Draws, rate: float, side: int) -> Iterator[Row]:
    first, second = (draw.one(rate, side) for _ in range(2))
    standard = [(counts - rate) / np.sqrt(rate) for counts in (first, second)]
    r, p = laws.correlation(*standard)
    yield _row("consecutive", "correlation", rate, p, correlation=r, pixels=first.size)
    yield _row("consecutive", "Skellam", rate, laws.skellam_fit(first, second, rate))


def _severities(draw: _Draws, side: int, *, common: bool) -> Iterator[Row]:
    """One seed at several severities.

    With common random numbers a pixel's counts are quantiles of one uniform: they never fall as
    the rate rises, and follow the law of such pairs. Whatever a sampler promises, a pixel's count
    at one severity says nothing about another pixel's at another severity.
    """
    for low, high in pairwise(FIELD_RATES):
        pair = [draw.one(rate, side, seed=3) for rate in (low, high)]
        standard = [(f - rate) / np.sqrt(rate) for f, rate in zip(pair, (low, high), strict=True)]
        p = laws.anywhere(*standard, skip_zero=True)
        yield _row("severities", f"other pixels at rate {low:g}", high, p)
        if common:
            p = laws.same_uniform(pair[0], pair[1], low, high)
            yield _row("severities", f"one uniform, rate {low:g}", high, p)
    if common:
        rates = np.geomspace(0.01, 1e5, 64, dtype=np.float32)
        # each rate and the very next number: no step between ways of drawing
        steps = np.stack([rates, np.nextafter(rates, np.float32(np.inf))], axis=1).ravel()
        counts = [draw.one(float(rate), side // 4, seed=3) for rate in steps]
        falls = sum(int((after < before).sum()) for before, after in pairwise(counts))
        yield _row("severities", "no count falls", float(rates[-1]), float(falls == 0), falls=falls)


def _normal(draw: _Draws, extent: Extent) -> Iterator[Row]:
    values = draw.one(0.0, extent.counts)
    yield _row("normal values", "chi-square", None, laws.normal_fit(values))
    for order, name in enumerate(("mean", "variance", "third", "fourth"), start=1):
        p = laws.normal_moment(values, order)
        if p is not None:
            yield _row("normal values", name, None, p)
    first, second = (draw.one(0.0, extent.field) for _ in range(2))
    seeds = [draw.one(0.0, extent.field, seed) for seed in SEED_PAIRS[0]]
    batch = draw.batch(0.0, extent.field, 2, seed=0)
    rows = [
        *_white(first, None),
        *_apart("calls", "two calls", first, second, None),
        *_apart("seeds", "two seeds", seeds[0], seeds[1], None),
        *_apart("images", "two images", batch[0], batch[1], None),
    ]
    yield from ({**row, "law": "normal values"} for row in rows)


def _both(draw: _Draws, side: int) -> Iterator[Row]:
    """An exposure's photons and its read-out noise, told apart by their size."""
    for rate in FIELD_RATES[1:3]:
        # float32 would round the read-out noise to a grid
        noisy = draw.one(rate, side, seed=11, dtype=torch.float64)
        counts = np.rint(noisy)
        read_out = (noisy - counts) / READ_OUT
        yield _row("exposure", "photons", rate, laws.poisson_fit(counts, rate))
        yield _row("exposure", "read-out", rate, laws.normal_fit(read_out))
        photons = (counts - rate) / np.sqrt(rate)
        yield from _apart("exposure", "photons and read-out", photons, read_out, rate)


def _white(field: Field, rate: float | None) -> Iterator[Row]:
    yield _row("whiteness", "near shifts", rate, laws.nearby(field))
    yield _row("whiteness", "all shifts", rate, laws.anywhere(field, field, skip_zero=True))


def _apart(law: str, what: str, first: Field, second: Field, rate: float | None) -> Iterator[Row]:
    yield _row(law, f"{what}, correlation", rate, laws.correlation(first, second)[1])
    yield _row(law, f"{what}, all shifts", rate, laws.anywhere(first, second))
    yield _row(law, f"{what}, table", rate, laws.independence(first, second))


def _row(law: str, what: str, rate: float | None, p: float, **more: float) -> Row:
    return {"law": law, "what": what, "rate": rate, "p": _rounded(p), **more}


def _rounded(p: float) -> float:
    return float(f"{p:.4g}")
