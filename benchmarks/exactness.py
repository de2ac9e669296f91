"""Whether the samplers are exact: ``python -m benchmarks.exactness``."""

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cxr_noise_transforms.study.statistics import holm

from . import laws
from .laws import Field
from .machine import DEVICES, RESULTS, provenance
from .samplers import READ_OUT, Draw, Sampler, samplers

RATES = (0.01, 0.1, 0.5, 1, 2, 5, 10, 16, 20, 30, 50, 63, 65, 100, 250, 500, 1e3, 1e4, 1e5)
# rates of fields: sq = 10 at a tenth of full scale and at full scale, then sq = 4 and sq = 1
FIELD_RATES = (1.0, 10.0, 62.5, 1e3)
# about which pytorch#136750 asks, whether two calls share random numbers
CALL_RATES = (10.0, 30.0, 50.0, 63.0, 65.0, 500.0)
# seeds that differ in low, middle and high bits, and in sign
SEED_PAIRS = ((0, 1), (7, 7 + 2**32), (0, 2**62), (5, -5))
# the chance that the report refuses a right sampler
LEVEL = 0.001


# pixels along a side of the images whose values are tested; fields have half as many
FULL, QUICK = 2048, 256

Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """One report per sampler of a device; fails where one of ours is refused."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.exactness",
        description="Test what the samplers draw; see benchmarks/README.md.",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result file")
    parser.add_argument("--quick", action="store_true", help="small samples: does it run at all?")
    options = parser.parse_args(arguments)
    device, side = options.device, QUICK if options.quick else FULL
    if device not in DEVICES:
        raise SystemExit("no CUDA device")
    rows, wrong = [], []
    for sampler in samplers(device):
        rows += report(sampler, device, side)
        refused = broken(rows, sampler.name)
        print(f"{sampler.name}: {'refused' if refused else 'accepted'}", flush=True)
        if sampler.promised not in (None, not refused):
            wrong.append(sampler.name)
    path = options.out or RESULTS / f"exactness-{device}.json"
    settings = {"device": device, "quick": options.quick, "level": LEVEL, "side": side}
    result = {**provenance(["scipy", "triton"]), **settings, "rows": rows}
    # a row per line
    path.write_text(json.dumps(result).replace('{"kind"', '\n{"kind"') + "\n", encoding="utf-8")
    print(f"wrote {path}")
    if wrong:
        raise SystemExit(f"not as it should be: {', '.join(wrong)}")


def report(sampler: Sampler, device: str, side: int = FULL) -> list[Row]:
    """All tests of one sampler, with p-values as they are and corrected for their number."""
    torch.manual_seed(0)
    rows = list(_tests(sampler, device, side))
    corrected = holm(np.array([row["p"] for row in rows]))
    head = {"kind": "exactness", "sampler": sampler.name}
    return [{**head, **r, "p_holm": _rounded(p)} for r, p in zip(rows, corrected, strict=True)]


def broken(rows: list[Row], sampler: str) -> list[Row]:
    """The tests that refuse a sampler at ``LEVEL``."""
    return [row for row in rows if row["sampler"] == sampler and row["p_holm"] < LEVEL]


def _tests(sampler: Sampler, device: str, side: int) -> Iterator[Row]:
    draws = _Draws(sampler.photons, device)
    for rate in RATES:
        # the rate that a float32 image holds
        yield from _values(draws, float(np.float32(rate)), side)
    for rate in FIELD_RATES:
        yield from _fields(draws, rate, side // 2)
    for rate in CALL_RATES:
        yield from _consecutive(draws, rate, side // 2)
    yield from _severities(draws, side // 2, common=sampler.common)
    if sampler.read_out:
        draws = _Draws(sampler.read_out, device)
        yield from _values(draws, None, side)
        yield from _fields(draws, None, side // 2)
    if sampler.exposure:
        yield from _exposure(_Draws(sampler.exposure, device), side // 2)


class _Draws:
    """Draws as numpy fields: counts at a rate, or normal values where it is ``None``."""

    def __init__(self, draw: Draw, device: str) -> None:
        self._draw, self._device = draw, device

    def batch(self, rate: float | None, side: int, images: int, seed: int | None) -> Field:
        signal = torch.full((images, 1, side, side), rate or 0.0, device=self._device)
        drawn: Field = self._draw(signal, seed)[:, 0].cpu().double().numpy()
        return drawn

    def one(self, rate: float | None, side: int, seed: int | None = None) -> Field:
        field: Field = self.batch(rate, side, 1, seed)[0]
        return field


def _values(draws: _Draws, rate: float | None, side: int) -> Iterator[Row]:
    values = draws.one(rate, side)
    yield _row("counts", "chi-square", rate, laws.fit(values, rate))
    for order, name in enumerate(("mean", "variance", "third", "fourth"), start=1):
        p = laws.moment(values, rate, order)
        if p is not None:
            yield _row("moments", name, rate, p)


def _fields(draws: _Draws, rate: float | None, side: int) -> Iterator[Row]:
    def standard(seed: int | None = None) -> Field:
        return laws.standardised(draws.one(rate, side, seed), rate)

    first, second = standard(), standard()
    yield _row("whiteness", "near shifts", rate, laws.nearby(first))
    yield _row("whiteness", "all shifts", rate, laws.anywhere(first, first))
    yield from _apart("calls", "two calls", first, second, rate)
    batch = laws.standardised(draws.batch(rate, side, 4, seed=0), rate)
    for image in range(1, len(batch)):
        yield from _apart("images", f"images 0 and {image}", batch[0], batch[image], rate)
    for one, other in SEED_PAIRS:
        what = f"seeds {one} and {other}"
        yield from _apart("seeds", what, standard(one), standard(other), rate)


def _consecutive(draws: _Draws, rate: float, side: int) -> Iterator[Row]:
    first, second = (draws.one(rate, side) for _ in range(2))
    r, p = laws.correlation(laws.standardised(first, rate), laws.standardised(second, rate))
    yield _row("consecutive", "correlation", rate, p, correlation=r, pixels=first.size)
    yield _row("consecutive", "Skellam", rate, laws.skellam_fit(first, second, rate))


def _severities(draws: _Draws, side: int, *, common: bool) -> Iterator[Row]:
    """One seed at several severities.

    With common random numbers a pixel's counts are quantiles of one uniform: they never fall as
    the rate rises, and follow the law of such pairs. Whatever a sampler promises, a pixel's count
    at one severity says nothing about another pixel's at another severity.
    """
    for low, high in pairwise(FIELD_RATES):
        pair = [draws.one(rate, side, seed=3) for rate in (low, high)]
        p = laws.anywhere(*map(laws.standardised, pair, (low, high)), skip_zero=True)
        yield _row("severities", f"other pixels at rate {low:g}", high, p)
        if common:
            p = laws.same_uniform(*pair, low, high)
            yield _row("severities", f"one uniform, rate {low:g}", high, p)
    if common:
        rates = np.geomspace(0.01, 1e5, 64, dtype=np.float32)
        # each rate and the very next number: no step between ways of drawing
        steps = np.stack([rates, np.nextafter(rates, np.float32(np.inf))], axis=1).ravel()
        counts = [draws.one(float(rate), side // 4, seed=3) for rate in steps]
        rises = all((after >= before).all() for before, after in pairwise(counts))
        yield _row("severities", "no count falls", float(rates[-1]), float(rises))


def _exposure(draws: _Draws, side: int) -> Iterator[Row]:
    """An exposure's photons and its read-out noise, told apart by their size."""
    # at more photons float32 rounds the read-out noise to a grid that can be seen
    for rate in FIELD_RATES[:2]:
        noisy = draws.one(rate, side, seed=11)
        counts = np.rint(noisy)
        read_out, photons = (noisy - counts) / READ_OUT, laws.standardised(counts, rate)
        yield _row("exposure", "photons", rate, laws.fit(counts, rate))
        yield _row("exposure", "read-out", rate, laws.fit(read_out, None))
        yield from _apart("exposure", "photons and read-out", photons, read_out, rate)


def _apart(law: str, what: str, first: Field, second: Field, rate: float | None) -> Iterator[Row]:
    yield _row(law, f"{what}, correlation", rate, laws.correlation(first, second)[1])
    yield _row(law, f"{what}, all shifts", rate, laws.anywhere(first, second))
    yield _row(law, f"{what}, table", rate, laws.independence(first, second))


def _row(law: str, what: str, rate: float | None, p: float, **more: float) -> Row:
    law = "normal values" if rate is None else law
    return {"law": law, "what": what, "rate": rate, "p": _rounded(p), **more}


def _rounded(p: float) -> float:
    return float(f"{p:.4g}")


if __name__ == "__main__":
    main()
