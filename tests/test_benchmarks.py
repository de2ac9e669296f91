"""The benchmarks run, count right, tell losses and misses, and refuse a wrong sampler."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("matplotlib")
pytest.importorskip("pytest_benchmark")
pytest.importorskip("scipy")

from benchmarks import exactness, laws, make_performance, million_rows, tables
from benchmarks.cases import BASE, COUNTS, SEVERITIES, SIZES, cases, make_films
from benchmarks.contenders import CHAIN, CONTENDERS, COPY, MKL, OURS, SEEDED, Contender
from benchmarks.machine import is_installed
from benchmarks.memory import extra_bytes
from benchmarks.samplers import READ_OUT, Sampler, ours, rounded_gaussian, torch_count
from benchmarks.targets import judge
from cxr_noise_transforms.study import open_table
from cxr_noise_transforms.study.statistics.performance import performance

ROOT = Path(__file__).parents[1]
NAMED = {f"{c.noise}: {c.name}": c for c in CONTENDERS if c.device != "cuda"}


def run(*arguments: str, **environment: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.check_output(command, cwd=ROOT, env=os.environ | environment, text=True)


def row(noise: str, contender: str, severity: float, time: float, **more: Any) -> dict[str, Any]:
    """One timed call: ``time`` nanoseconds per pixel."""
    task = {"device": "cpu", "dtype": "float32", "size": "8x512", "threads": 2, **more}
    films, side = map(int, task["size"].split("x"))
    times = {"median": time, "q1": 0.9 * time, "q3": 1.1 * time}
    seconds = {name: value * films * side**2 / 1e9 for name, value in times.items()}
    named = {"kind": "speed", "noise": noise, "contender": contender, "severity": severity}
    return {**named, **task, **seconds}


def result(*rows: dict[str, Any]) -> dict[str, Any]:
    machine = {"cpu": "Some CPU", "cores": 2, "ram_gib": 8, "os": "Some OS"}
    versions = {"python": "3"}
    return {"machine": machine, "versions": versions, "date": "today", "quick": False, "rows": rows}


@pytest.mark.slow
def test_what_is_measured_becomes_a_page(tmp_path: Path) -> None:
    chosen = "first or 8x512-4.0 or chain-1"
    speed = ["benchmarks/test_speed.py", "--quick", "-k", f"cpu and ({chosen})"]
    run("-m", "pytest", *speed, f"--benchmark-json={tmp_path / 'speed.json'}")
    run("-m", "benchmarks.exactness", "--quick", "--out", str(tmp_path / "exactness.json"))
    make_performance.main(["--results", str(tmp_path), "--out", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert page.count("these numbers mean nothing") == 2
    assert all(f"| {c.name} | " in page for c in NAMED.values() if is_installed(c.package))
    assert "8 × 512², s = 4, 1 thread |" in page
    assert "first call in a fresh process, cache cold: seconds | <= 8 |" in page
    assert "| this package | accepted |" in page
    assert "| rounded Gaussian (must be refused) | refused |" in page
    assert {path.stem for path in tmp_path.glob("figures/*.png")} == {"performance", "exactness"}


def test_the_committed_page_shows_the_committed_results() -> None:
    paths = sorted(make_performance.RESULTS.glob("*.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    assert not any(result["quick"] for result in results)
    page = make_performance.PAGE.read_text(encoding="utf-8")
    assert page == make_performance.build(results)


@pytest.mark.parametrize("contender", NAMED.values(), ids=NAMED)
@pytest.mark.filterwarnings("ignore")  # the peers' own
def test_a_contender_of_the_same_law_has_its_moments(contender: Contender) -> None:
    if not (is_installed(contender.package) and contender.same_law):
        pytest.skip("not installed, or another law")
    films = make_films("2x256")
    clean = films.clone()
    torch.manual_seed(0)
    error = (contender.prepare(1.0, "cpu")(films) - clean).double()
    assert torch.equal(films, clean)
    variances = {"quantum": 0.5 / 1000, "electronic": 0.01, "radiographic": 0.01 + 0.5 / 1000}
    law = variances.get(contender.noise, 0.0)
    assert abs(error.mean()) <= 5 * math.sqrt(law / error.numel())
    # of a fourth moment no larger than a Laplace distribution's
    assert abs(error.var() - law) <= 5 * law * math.sqrt(5 / error.numel())


def test_a_contender_has_a_name_and_a_description_and_may_be_compiled() -> None:
    assert len({(c.noise, c.name) for c in CONTENDERS}) == len(CONTENDERS)
    assert all(contender.draws for contender in CONTENDERS)
    compiled = next(c for c in CONTENDERS if c.compiled and c.noise == "electronic")
    assert compiled.prepare(1.0, "cpu")(make_films("1x32", "uint8")).dtype == torch.uint8


def test_all_sizes_severities_and_threads_are_measured() -> None:
    found = {(c.size, c.severity, c.threads) for c in cases("cpu") if c.noise == "quantum"}
    at_base = {(s, t) for size, s, t in found if size == BASE["cpu"]}
    assert at_base == {(s, t) for s in SEVERITIES for t in COUNTS}
    assert {size for size, _, _ in found} == set(SIZES["cpu"])
    assert len(set(map(str, cases("cpu")))) == len(cases("cpu"))


def test_memory_sees_what_a_call_holds_at_its_peak() -> None:
    def call() -> Tensor:
        return torch.ones(2**24) + torch.ones(2**24)

    seen = extra_bytes(call, "cpu")
    if seen is None:
        pytest.skip("this system does not tell its peak")
    assert seen == pytest.approx(3 * 4 * 2**24, rel=0.05)


def test_targets_are_ratios_of_medians() -> None:
    rows = [
        row("quantum", OURS, 1.0, 2.0),
        row("quantum", CHAIN, 1.0, 24.0),
        row("quantum", OURS, 4.0, 2.0, beyond_output=0.03),
        row("quantum", CHAIN, 4.0, 31.0),
        row("quantum", SEEDED, 4.0, 2.3),
        row("quantum", OURS, 4.0, 4.0, threads=1),
        row("quantum", CHAIN, 4.0, 32.0, threads=1),
        {"kind": "speed", "cache": "cold", "first_call": 7.0},
    ]
    seen = {target.what: (target.measured, target.verdict) for target in judge(result(*rows))}
    for what, measured, verdict in (
        (f"quantum float32, severity 1: times as fast as {CHAIN}", 12.0, "met"),
        (f"quantum float32, severity 4: times as fast as {CHAIN}", 15.5, "missed"),
        (f"quantum float32, severity 4, 1 thread: times as fast as {CHAIN}", 8.0, "met"),
        (f"quantum float32, severity 10: times as fast as {CHAIN}", math.nan, "not measured"),
        ("quantum float32: 2 threads, times as fast as one", 2.0, "met"),
        ("quantum float32: time of a seeded call in units of an unseeded one", 1.15, "missed"),
        ("quantum float32: memory of a call beyond its output, in outputs", 0.03, "missed"),
        ("rows in which a peer of the same law is faster", 0.0, "met"),
        ("first call in a fresh process, cache cold: seconds", 7.0, "met"),
    ):
        assert seen[what] == (pytest.approx(measured, nan_ok=True), verdict)


def test_targets_on_cuda_look_at_bandwidth() -> None:
    there = {"device": "cuda", "size": "64x512"}
    rows = [row(COPY, COPY, 4.0, 1.0, **there), row("quantum", OURS, 4.0, 1.9, **there)]
    seen = {target.what: target.verdict for target in judge(result(*rows))}
    assert seen["quantum float32, severity 4: share of the copy's bytes/s"] == "met"
    assert seen[f"quantum float32, severity 4: times as fast as {CHAIN}"] == "not measured"


def test_losses_are_listed_the_worst_first() -> None:
    rows = [
        row("quantum", OURS, 4.0, 10.0),
        row("quantum", SEEDED, 4.0, 1.0),
        row("quantum", CHAIN, 4.0, 8.0),
        row("quantum", "albumentations ShotNoise", 4.0, 5.0),
        row("quantum", MKL, 4.0, 9.0, threads=1),
        row("quantum", OURS, 4.0, 10.0, workers=1, threads=1),
        row("quantum", MKL, 4.0, 9.0, workers=1, threads=1),
    ]
    page = make_performance.build([result(*rows)])
    lost = tables.find_losses(tables.read_calls(result(*rows)))
    assert [loss["contender"] for loss in lost] == ["albumentations ShotNoise", CHAIN, MKL]
    assert "s = 4, 2 threads | albumentations ShotNoise (another law) | 5 | 10 | 0.50 |" in page
    assert f"s = 4, 1 worker | {MKL} | 9 | 10 | 0.90 |" in page
    assert "rows in which a peer of the same law is faster | <= 0 | 2 | missed |" in page
    assert f"| {OURS} | 10 (9–11) | – | 10 (9–11) |" in page
    assert tables.losses(tables.read_calls(result(rows[0]))) == "At none of the tasks measured."


def test_films_per_second_stand_beside_the_first() -> None:
    rows = [
        {"kind": "training", "what": what, "films": 100, "median": 0.5 * slow, "q1": 0.4 * slow,
         "q3": 0.8 * slow, "rounds": 9, "settings": "some network"}
        for what, slow in (("no noise", 1.0), ("NoisyBatch, on the device", 1.25))
    ]  # fmt: skip
    page = make_performance.build([result(*rows)])
    assert "some network; median and quartiles of 9 rounds." in page
    assert "| no noise | 200 (125–250) | 1.00 |" in page
    assert "| NoisyBatch, on the device | 160 (100–200) | 0.80 |" in page


def refused(sampler: Sampler) -> set[str]:
    """The laws that a sampler breaks in the quick report."""
    rows = exactness.report(sampler, "cpu", exactness.QUICK)
    return {row["law"] for row in exactness.broken(rows, sampler.name)}


def test_the_report_accepts_the_counter_based_sampler() -> None:
    assert refused(ours(None, common=True)) == set()


@pytest.mark.slow
def test_the_report_accepts_the_kernel_in_tritons_interpreter() -> None:
    pytest.importorskip("triton")
    # the interpreter takes its time for every program, whatever its size
    code = """
import numpy as np
from benchmarks import exactness, samplers
from cxr_noise_transforms import _triton
_triton._LANES = 2048
np.seterr(all="ignore")
(kernel,) = [one for one in samplers.samplers("cpu") if "triton" in one.name]
rows = exactness.report(kernel, "cpu", exactness.QUICK)
print(len(rows), exactness.broken(rows, kernel.name))
"""
    tests, broken = run("-c", code, TRITON_INTERPRET="1").split(maxsplit=1)
    assert int(tests) > 200
    assert broken.strip() == "[]"


def repeated(rates: Tensor, seed: int | None) -> Tensor:
    """Every call draws the same."""
    return torch_count(rates, seed or 0)


def one_field(rates: Tensor, seed: int | None) -> Tensor:
    """One field for the whole batch."""
    return torch_count(rates[:1], seed).expand_as(rates)


def smeared(rates: Tensor, seed: int | None) -> Tensor:
    """The lower half repeats the upper half: white nearby, not white at all shifts."""
    half = torch_count(rates, seed)[..., : rates.shape[-2] // 2, :]
    return torch.cat([half, half], dim=-2)


def neighbours(rates: Tensor, seed: int | None) -> Tensor:
    """Each second column repeats the one before."""
    return torch_count(rates, seed)[..., ::2].repeat_interleave(2, -1)


def telling(rates: Tensor, seed: int | None) -> Tensor:
    """The read-out knows the photons."""
    counts = torch_count(rates, seed)
    return counts + READ_OUT * (counts - rates) / rates.sqrt()


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (Sampler("wrong", rounded_gaussian), "counts"),
        (Sampler("wrong", rounded_gaussian), "moments"),
        (Sampler("wrong", repeated), "calls"),
        (Sampler("wrong", repeated), "consecutive"),
        (Sampler("wrong", one_field), "images"),
        (Sampler("wrong", smeared), "whiteness"),
        (Sampler("wrong", neighbours), "whiteness"),
        # common random numbers are not taken on trust
        (Sampler("wrong", torch_count, common=True), "severities"),
        (Sampler("wrong", torch_count, exposure=telling), "exposure"),
    ],
)
def test_the_report_refuses(wrong: Sampler, law: str) -> None:
    assert law in refused(wrong)


def test_p_values_are_uniform_under_the_law() -> None:
    generator = np.random.default_rng(0)
    p_values = []
    for _ in range(200):
        counts = generator.poisson(7.0, (2, 64, 64)).astype(np.float64)
        normal = generator.standard_normal((64, 64))
        first, second = laws.standardised(counts, 7.0)
        p_values.append(
            [
                laws.fit(counts[0], 7.0),
                laws.fit(normal, None),
                laws.skellam_fit(counts[0], counts[1], 7.0),
                laws.moment(counts[0], 7.0, 2) or 0.0,
                laws.moment(normal, None, 2) or 0.0,
                laws.nearby(first),
                laws.anywhere(first, second),
                laws.independence(first, second),
            ]
        )
    # the largest gap of 200 uniforms' distribution function is this wide once in 1e5
    width = math.sqrt(-math.log(0.5e-5) / (2 * 200))
    for column in np.sort(p_values, axis=0).T:
        assert np.abs(column - (np.arange(200) + 0.5) / 200).max() < width


def test_the_made_up_sweep_becomes_a_table_and_a_report(tmp_path: Path) -> None:
    million_rows.write_cells(tmp_path, 40)
    million_rows.collect(tmp_path, 40)
    table = open_table([tmp_path / "per_image.parquet"])
    assert len(table) == 2 * 14 * 14 * 40
    assert table.cells.groupby("network").size().tolist() == [14, 14]
    found = performance(table).groupby(["metric", "sq"]).value.mean()
    assert found["auroc", 0] > found["auroc", 10] > 0.5


@pytest.mark.slow
def test_the_ten_million_rows_run_with_few_films(tmp_path: Path) -> None:
    run("-m", "benchmarks.million_rows", "--quick", "--out", str(tmp_path / "rows.json"))
    result = json.loads((tmp_path / "rows.json").read_text())
    assert [row["part"] for row in result["rows"]] == ["cells", "table", "report"]
    assert all(row["peak_bytes"] > 1e8 for row in result["rows"])
    assert result["table"]["rows"] == 2 * 14 * 14 * 60
    assert result["quick"]
