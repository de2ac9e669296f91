"""The benchmarks run, resume, count right, and refuse a wrong sampler."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")
pytest.importorskip("tqdm")

from benchmarks import exactness, laws, tables
from benchmarks.grid import CPU_GRID, QUICK_GRID, Case, Contender, Size, cases, make_films, row_key
from benchmarks.machine import is_installed, machine_slug
from benchmarks.make_performance import build
from benchmarks.make_performance import main as make_page
from benchmarks.memory import extra_bytes
from benchmarks.ours import DEFAULT, OURS, SEEDED
from benchmarks.peers import CHAIN, CPU_PEERS, MKL
from benchmarks.records import add_row, open_result
from benchmarks.samplers import Sampler, ours, rounded_gaussian, torch_count
from benchmarks.targets import judge, table
from benchmarks.timing import Effort, measure, summarise

ROOT = Path(__file__).parents[1]
CONTENDERS = {f"{c.noise}: {c.name}": c for c in (*OURS, *CPU_PEERS)}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", "--quick", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def row(noise: str, dtype: str, severity: float, contender: str, time: float) -> dict[str, Any]:
    return {
        "noise": noise,
        "dtype": dtype,
        "size": "8x512",
        "severity": severity,
        "contender": contender,
        "ns_per_pixel": time,
        "q1": 0.9 * time,
        "q3": 1.1 * time,
        "output_bytes": 100,
        "extra_bytes": 150,
    }


def result(*rows: dict[str, Any], kind: str = "cpu", **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "machine": {"cpu": "Some CPU", "cores": 2, "ram_gib": 8, "os": "Some OS"},
        "versions": {"python": "3"},
        "settings": {"threads": 2, "quick": False, "sizes": ["8x512"], "base": "8x512"},
        "absent": ["deepinv"],
        "contenders": {
            f"{r['noise']}/{r['contender']}": {"draws": "what it draws", "same_law": True}
            for r in rows
        },
        "date": "2026-01-01",
        "rows": list(rows),
        **more,
    }


@pytest.mark.slow
def test_the_cpu_run_writes_resumes_and_refuses_other_settings(tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    arguments = ("--only", "quantum/float32", "--out", str(path))
    first = run("cpu", *arguments)
    assert first.returncode == 0, first.stderr
    assert "times as fast" in first.stdout
    assert str(path) in first.stdout
    whole = json.loads(path.read_text())
    assert {r["noise"] for r in whole["rows"]} == {"quantum"}

    # a run that was stopped after three rows
    path.write_text(json.dumps({**whole, "rows": whole["rows"][:3]}))
    assert "3 there already" in run("cpu", *arguments).stdout
    resumed = json.loads(path.read_text())
    assert resumed["rows"][:3] == whole["rows"][:3]
    assert [row_key(r) for r in resumed["rows"]] == [row_key(r) for r in whole["rows"]]

    path.write_text(json.dumps({**whole, "settings": {**whole["settings"], "threads": 99}}))
    refused = run("cpu", *arguments)
    assert refused.returncode == 1
    assert "threads: 99 then" in refused.stderr
    assert run("cpu", *arguments, "--fresh").returncode == 0


def test_the_statistics_run_and_become_a_page(tmp_path: Path) -> None:
    done = run("statistics", "--device", "cpu", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("exactness-cpu-*.json")
    reports = {r["sampler"]: r for r in json.loads(path.read_text())["reports"]}
    assert {r["promised"] for r in reports.values()} == {True, None, False}
    assert all(
        r["accepted"] == r["promised"] for r in reports.values() if r["promised"] is not None
    )
    make_page(["--results", str(tmp_path), "--out", str(tmp_path / "docs" / "page.md")])
    page = (tmp_path / "docs" / "page.md").read_text(encoding="utf-8")
    assert all(f"| {name} | " in page for name in reports)
    assert (tmp_path / "docs" / "figures" / "exactness.png").stat().st_size > 0


@pytest.mark.parametrize("contender", CONTENDERS.values(), ids=CONTENDERS)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.filterwarnings("ignore")  # the peers' own
def test_every_contender_does_the_task(contender: Contender, dtype: str) -> None:
    if not is_installed(contender.package):
        pytest.skip(f"{contender.package} is not installed")
    films = make_films(Case(contender.noise, dtype, Size(2, 256), 1.0), "cpu")
    clean = films.clone()
    torch.manual_seed(0)
    noisy = contender.prepare(films, 1.0)()
    assert torch.equal(films, clean)
    assert (noisy.shape, noisy.dtype, type(noisy)) == (films.shape, films.dtype, torch.Tensor)
    if not contender.same_law or dtype == "uint8":
        return
    variances = {"quantum": 0.5 / 1000, "electronic": 0.01, "radiographic": 0.01 + 0.5 / 1000}
    error = (noisy - films).double()
    law = variances.get(contender.noise, 0.0)
    assert abs(error.mean()) <= 5 * math.sqrt(law / error.numel())
    # of a fourth moment no larger than a Laplace distribution's
    assert abs(error.var() - law) <= 5 * law * math.sqrt(5 / error.numel())


def test_contenders_have_names_of_their_own() -> None:
    assert len(CONTENDERS) == len(OURS) + len(CPU_PEERS)
    assert all(contender.draws for contender in CONTENDERS.values())


def test_the_grid_has_every_size_and_every_severity_at_the_base_size() -> None:
    quantum = [c for c in cases(CPU_GRID) if (c.noise, c.dtype) == ("quantum", "uint8")]
    assert {case.size for case in quantum} == set(CPU_GRID.sizes)
    assert {case.severity for case in quantum if case.size == CPU_GRID.base} == {1.0, 4.0, 10.0}
    assert len(cases(QUICK_GRID)) == len(set(map(str, cases(QUICK_GRID))))


def test_timing_keeps_to_its_effort() -> None:
    calls = []
    timing = measure(lambda: calls.append(1), "cpu", Effort(2, least=5, most=9, budget_s=0.0))
    assert (timing.repetitions, len(calls)) == (5, 7)
    timing = measure(lambda: None, "cpu", Effort(0, least=5, most=9, budget_s=60.0))
    assert timing.repetitions == 9


def test_a_repetition_on_a_device_is_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Event:
        def __init__(self, *, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            self.time = clock[0]

        def elapsed_time(self, end: "Event") -> float:
            return 1000 * (end.time - self.time)

    def call() -> None:
        clock[0] += 0.001

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    timing = measure(call, "cuda", Effort(warm_up=0, least=2, most=2, budget_s=0.0))
    assert timing.calls_per_repetition == 5
    assert timing.median == pytest.approx(0.001)


def test_timing_reports_median_and_quartiles() -> None:
    assert summarise([5.0, 1.0, 3.0, 2.0, 4.0], 1)[:3] == (3.0, 2.0, 4.0)


def test_memory_sees_what_a_call_holds_at_its_peak() -> None:
    megabytes = 64 * 2**20

    def call() -> torch.Tensor:
        return torch.ones(megabytes, dtype=torch.uint8) + torch.ones(megabytes, dtype=torch.uint8)

    seen = extra_bytes(call, "cpu")
    if seen is None:
        pytest.skip("this system does not tell its peak")
    assert seen == pytest.approx(3 * megabytes, rel=0.05)


def test_a_result_is_whole_after_every_row(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cpu.json"
    header = result()
    opened = open_result(path, header)
    for severity in (1.0, 4.0):
        add_row(path, opened, row("quantum", "float32", severity, DEFAULT, 1.0))
        assert json.loads(path.read_text())["rows"] == opened["rows"]
    again = open_result(path, header)
    assert [r["severity"] for r in again["rows"]] == [1.0, 4.0]
    assert open_result(path, header, fresh=True)["rows"] == []
    with pytest.raises(SystemExit, match="python: 3 then, 4 now"):
        open_result(path, {**header, "versions": {"python": "4"}})


def test_targets_are_ratios_of_medians() -> None:
    judged = {
        target.what: (target.measured, target.verdict)
        for target in judge(
            result(
                row("quantum", "float32", 1.0, DEFAULT, 10.0),
                row("quantum", "float32", 1.0, CHAIN, 40.0),
                row("quantum", "float32", 1.0, MKL, 9.0),
                row("quantum", "float32", 4.0, DEFAULT, 10.0),
                row("quantum", "float32", 4.0, CHAIN, 39.0),
                row("quantum", "float32", 4.0, SEEDED, 11.5),
            )
        )
    }
    start = "quantum float32 8 × 512², severity"
    assert judged[f"{start} 1: times as fast as {CHAIN}"] == (4.0, "met")
    assert judged[f"{start} 4: times as fast as {CHAIN}"] == (3.9, "not met")
    assert judged[f"{start} 1: times as fast as {MKL}"] == (0.9, "not met")
    assert judged[f"{start} 10: times as fast as {CHAIN}"][1] == "not measured"
    seeded = "quantum float32 8 × 512²: time of a seeded call in units of an unseeded one"
    assert judged[seeded] == (1.15, "not met")


def test_cuda_targets_look_at_bandwidth_and_memory() -> None:
    judged = {
        target.what.partition(": ")[2]: target.verdict
        for target in judge(
            result(
                row("copy", "float32", 4.0, "copy", 1.0),
                row("quantum", "float32", 4.0, DEFAULT, 1.9),
                row("quantum", "float32", 4.0, CHAIN, 20.0),
                kind="cuda",
            )
        )
        if "quantum" in target.what and "severity 1" not in target.what
    }
    assert judged["share of the copy's bytes/s"] == "met"
    assert judged[f"times as fast as {CHAIN}"] == "met"
    assert judged["extra memory in units of the output"] == "not met"


def test_a_missing_row_is_not_measured_and_a_failed_one_is_told() -> None:
    failed = {**row("quantum", "uint8", 4.0, CHAIN, 1.0), "error": "ValueError: no"}
    del failed["ns_per_pixel"]
    page = build([result(row("quantum", "uint8", 4.0, DEFAULT, 1.0), failed)], [])
    assert "not measured" in page
    assert f"{CHAIN}: ValueError: no" in page
    assert "| failed |" in page
    assert "Not installed, so not measured: deepinv" in page
    assert "nan" not in page


def test_losses_are_listed_the_worst_first() -> None:
    rows = [
        row("quantum", "float32", 4.0, DEFAULT, 10.0),
        row("quantum", "float32", 4.0, SEEDED, 1.0),
        row("quantum", "float32", 4.0, CHAIN, 8.0),
        row("quantum", "float32", 4.0, MKL, 5.0),
        row("quantum", "float32", 1.0, CHAIN, 5.0),
    ]
    assert [loss.peer for loss in tables.find_losses(result(*rows))] == [MKL, CHAIN]
    assert tables.losses(result(rows[0])) == "At none of the tasks measured."
    assert f"| {MKL} | 5 | 10 | 0.50 |" in build([result(*rows)], [])


def test_the_page_shows_medians_spread_and_targets(tmp_path: Path) -> None:
    timed = result(row("quantum", "float32", 4.0, DEFAULT, 12.0))
    page = build([timed], [])
    assert f"| {DEFAULT} | 12 (10.8–13.2) |" in page
    assert table(judge(timed)) in page
    assert "1.50" in page
    (tmp_path / "cpu.json").write_text(json.dumps(timed))
    make_page(["--results", str(tmp_path), "--out", str(tmp_path / "page.md")])
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    assert (tmp_path / "figures" / "performance.png").stat().st_size > 0


def test_a_machine_names_its_file() -> None:
    assert machine_slug({"cpu": "AMD EPYC", "cores": 2}) == "amd-epyc-2-cores"
    assert machine_slug({"cpu": "x", "cores": 2, "gpu": "NVIDIA H200"}) == "nvidia-h200"


def refused(sampler: Sampler) -> set[str]:
    """The laws that a sampler breaks in the quick report."""
    rows = exactness.report(sampler, "cpu", exactness.QUICK)["rows"]
    return {r["law"] for r in rows if r["p_holm"] < exactness.LEVEL}


def test_the_report_accepts_the_counter_based_sampler() -> None:
    assert refused(ours("numpy", common=True)) == set()


def test_the_report_refuses_a_rounded_gaussian() -> None:
    assert {"counts", "moments"} <= refused(Sampler("wrong", rounded_gaussian))


def repeated(rates: torch.Tensor, seed: int | None) -> torch.Tensor:
    """Every call draws the same."""
    return torch_count(rates, 0 if seed is None else seed)


def one_field(rates: torch.Tensor, seed: int | None) -> torch.Tensor:
    """One field for the whole batch."""
    return torch_count(rates[:1], seed).expand_as(rates)


def smeared(rates: torch.Tensor, seed: int | None) -> torch.Tensor:
    """The lower half repeats the upper half: white nearby, not white at all shifts."""
    drawn = torch_count(rates, seed)
    half = drawn.shape[-2] // 2
    return torch.cat([drawn[..., :half, :], drawn[..., :half, :]], dim=-2)


def neighbours(rates: torch.Tensor, seed: int | None) -> torch.Tensor:
    """Each second column repeats the one before."""
    return torch_count(rates, seed)[..., ::2].repeat_interleave(2, -1)


@pytest.mark.parametrize(
    ("wrong", "law"),
    [
        (repeated, "calls"),
        (repeated, "consecutive"),
        (one_field, "images"),
        (smeared, "whiteness"),
        (neighbours, "whiteness"),
    ],
)
def test_the_report_refuses_dependence(wrong: Any, law: str) -> None:
    assert law in refused(Sampler("wrong", wrong))


def test_common_random_numbers_are_not_taken_on_trust() -> None:
    assert "severities" in refused(Sampler("wrong", torch_count, common=True))


def test_a_read_out_that_knows_the_photons_is_refused() -> None:
    def exposure(rates: torch.Tensor, seed: int | None) -> torch.Tensor:
        counts = torch_count(rates, seed)
        return counts + 0.01 * (counts - rates) / rates.sqrt()

    assert "exposure" in refused(Sampler("wrong", torch_count, exposure=exposure))


def test_p_values_are_uniform_under_the_law() -> None:
    generator = np.random.default_rng(0)
    p_values = []
    for _ in range(200):
        counts = generator.poisson(7.0, (2, 64, 64)).astype(np.float64)
        first, second = (counts - 7.0) / math.sqrt(7.0)
        p_values.append(
            [
                laws.poisson_fit(counts[0], 7.0),
                laws.skellam_fit(counts[0], counts[1], 7.0),
                laws.poisson_moment(counts[0], 7.0, 2) or 0.0,
                laws.nearby(first),
                laws.anywhere(first, second),
                laws.independence(first, second),
            ]
        )
    # the largest gap of 200 uniforms' distribution function is this wide once in 1e5
    width = math.sqrt(-math.log(0.5e-5) / (2 * 200))
    for column in np.sort(p_values, axis=0).T:
        assert np.abs(column - (np.arange(200) + 0.5) / 200).max() < width


def test_chi_square_pools_what_is_rare() -> None:
    expected = np.array([0.1, 0.2, 50.0, 50.0, 3.0])
    assert laws.chi_square(np.array([0, 0, 50, 50, 3]), expected) > 0.9
    assert laws.chi_square(np.array([0, 0, 90, 10, 3]), expected) < 1e-10


def test_holm() -> None:
    assert laws.holm([0.01, 0.5, 0.02]) == pytest.approx([0.03, 0.5, 0.04])
