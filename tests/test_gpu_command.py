"""One command for everything that needs a GPU: what it runs, skips, stops and writes."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from benchmarks import gpu
from benchmarks.make_performance import build
from benchmarks.parts import INTERRUPTED, Part, count_tests, digest, judge, run

ROOT = Path(__file__).parents[1]

Outcome = tuple[int, str, dict[str, Any]]
Command = Callable[..., Outcome]


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run the command with these parts instead of its own: exit code, output and record."""
    monkeypatch.setattr(gpu, "_pages", lambda *_, **__: [])
    out = tmp_path / "out"

    def call(parts: list[Part], *arguments: str) -> Outcome:
        monkeypatch.setattr(gpu, "NAMES", tuple(part.name for part in parts))
        monkeypatch.setattr(gpu, "list_parts", lambda *_: parts)
        try:
            gpu.main([*arguments, "--device", "cpu", "--quick", "--out", str(out)])
            code = 0
        except SystemExit as ended:
            code = ended.code
        (path,) = out.glob("gpu-*.json")
        return code, capsys.readouterr().out, json.loads(path.read_text())["parts"]

    return call


def part(name: str, code: str = "print('ran')", **more: Any) -> Part:
    return Part(name, ["-c", f"import pathlib, sys, time; {code}"], (), **more)


def row(printed: str, name: str) -> str:
    return next(line for line in printed.splitlines() if line.startswith(f"| {name} |"))


@pytest.mark.slow
def test_the_whole_command_on_a_cpu(tmp_path: Path) -> None:
    asked = [*gpu.NAMES[:6], "study-lungs", "study-tb"]
    options = ["--device", "cpu", "--quick", "--out", str(tmp_path)]
    page = gpu.PAGE.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *asked, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("gpu-*.json")
    parts = json.loads(path.read_text())["parts"]
    assert {name: entry["outcome"] for name, entry in parts.items()} == dict.fromkeys(
        asked, "passed"
    )
    assert parts["kernels"]["passed"] > 5
    built = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert all(f"\n## {head}\n" in built for head in ("Time", "Training", "Exactness"))
    assert "pytorch#136750" in built
    assert (tmp_path / "work" / "study-lungs" / "per_image.csv").is_file()
    assert gpu.PAGE.read_text(encoding="utf-8") == page


@pytest.mark.slow
@pytest.mark.parametrize("name", gpu.STUDY)
def test_the_sweeps_know_the_recipes_options(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("landmark", "tb"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("CXR_DATA", str(tmp_path))
    options = Namespace(device="cpu", quick=False, weights="none")
    parts = {p.name: p for p in gpu.list_parts(options, tmp_path, tmp_path, "x")}
    ended = run(parts[name], tmp_path / "log", 60)
    # what is missing is the films
    assert ended.last.startswith("error: ")
    assert str(tmp_path) in ended.last


def test_absent_films_are_a_reason_to_skip(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXR_DATA", str(tmp_path / "nowhere"))
    options = Namespace(device="cuda", quick=False, weights="none")
    parts = [p for p in gpu.list_parts(options, tmp_path, tmp_path, "x") if p.name in gpu.STUDY]
    code, printed, record = command([part("tests"), *parts])
    assert (code, list(record)) == (0, ["tests"])
    for name in gpu.STUDY:
        assert "| skipped |" in row(printed, name)
        assert "set CXR_DATA" in row(printed, name)


def test_a_finished_part_is_skipped_until_something_changes(
    command: Command, tmp_path: Path
) -> None:
    file, source = tmp_path / "result", tmp_path / "source.py"
    source.write_text("1")
    made = part("timings", f"pathlib.Path({str(file)!r}).write_text(str(sys.argv))")
    made = made._replace(files=[file], fresh=["--fresh"], sources=[str(source)])

    def outcome(*arguments: str) -> str:
        code, printed, _ = command([made], *arguments)
        assert code == 0
        return row(printed, "timings").split(" | ")[1]

    assert outcome() == "passed"
    assert "--fresh" not in file.read_text()
    assert outcome() == "finished before"
    assert outcome("--again") == "passed"
    assert "--fresh" in file.read_text()
    source.write_text("2")
    assert outcome() == "passed"
    file.unlink()
    assert outcome() == "passed"


def test_a_failing_part_does_not_stop_the_others(command: Command) -> None:
    parts = [part("tests", "sys.exit('no such thing')"), part("kernels")]
    code, printed, record = command(parts)
    assert code == 1
    assert [entry["outcome"] for entry in record.values()] == ["failed", "passed"]
    assert "exit status 1: no such thing" in row(printed, "tests")
    # and it is tried again
    assert "| failed |" in row(command(parts)[1], "tests")


def test_a_part_that_takes_too_long_is_stopped_and_goes_on(
    command: Command, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    code = f"""
path = pathlib.Path({str(begun)!r})
if not path.exists():
    path.touch()
    time.sleep(20)
"""
    slow = Part("study-lungs", ["-c", f"import pathlib, time{code}"], (), folder=tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    status, printed, record = command([slow], "--minutes", "0.05")
    assert status == 1
    assert "stopped after 0.05 minutes" in row(printed, "study-lungs")
    first = record["study-lungs"]["seconds"]
    status, _, record = command([slow], "--minutes", "1")
    assert (status, record["study-lungs"]["outcome"]) == (0, "passed")
    assert record["study-lungs"]["seconds"] >= first
    assert (tmp_path / "kept").is_dir()


def test_ctrl_c_ends_the_command_and_keeps_its_table(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.parts._pass_on", interrupt)
    code, printed, record = command([part("tests", "time.sleep(60)"), part("kernels")])
    assert code == 1
    assert record["tests"]["detail"] == INTERRUPTED
    assert list(record) == ["tests"]
    assert INTERRUPTED in row(printed, "tests")


def test_tests_are_counted(tmp_path: Path) -> None:
    checks = tmp_path / "test_it.py"
    checks.write_text(
        "import pytest\ndef test_good(): pass\ndef test_bad(): assert False\n"
        "@pytest.mark.skip\ndef test_none(): pass\n"
    )
    report = tmp_path / "report.xml"
    tested = Part(
        "tests",
        ["-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", str(tmp_path), str(checks)],
        (),
        places=[f"--junitxml={report}"],
        junit=report,
    )
    judged = judge(tested, run(tested, tmp_path / "log", 60))
    assert judged["outcome"] == "failed"
    assert judged["detail"] == "1 passed, 1 failed, 1 skipped"
    assert judged["failures"] == ["test_it::test_bad"]
    assert count_tests(report)["skipped"] == 1

    checks.write_text("import pytest\n@pytest.mark.skip\ndef test_none(): pass\n")
    judged = judge(tested, run(tested, tmp_path / "log", 60))
    assert judged["outcome"] == "failed"
    assert judged["detail"] == "nothing was tested: 0 passed, 0 failed, 1 skipped"


def test_a_part_that_writes_nothing_has_failed(tmp_path: Path) -> None:
    silent = part("timings", files=[tmp_path / "result.json"])
    judged = judge(silent, run(silent, tmp_path / "log", 60))
    assert (judged["outcome"], judged["detail"]) == ("failed", "did not write result.json")


def test_results_are_no_source(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("1")
    before = digest([str(tmp_path)])
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "some.json").write_text("{}")
    assert digest([str(tmp_path)]) == before
    (tmp_path / "more.py").write_text("")
    assert digest([str(tmp_path)]) != before


def test_what_cannot_be_done_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"unknown part 'kernel': the parts are tests, kernels"):
        gpu.main(["kernel"])
    with pytest.raises(SystemExit, match=r"--device cpu needs --quick"):
        gpu.main(["--device", "cpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"no CUDA device: torch .* finds none"):
        gpu.main([])


def entry(outcome: str) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "detail": "812 passed, 0 failed, 3 skipped",
        "seconds": 90.0,
        "date": "2026-01-01",
        "driver": "550.1",
        "versions": {"torch": "2.9"},
    }


def test_the_page_tells_what_is_measured_and_what_waits(tmp_path: Path) -> None:
    record = {
        "kind": "gpu",
        "device": "cuda",
        "machine": {"gpu": "NVIDIA X", "gpu_memory_gib": 80},
        "parts": {"tests": entry("passed"), "kernels": entry("failed")},
    }
    page = tmp_path / "gpu.md"
    page.write_text(f"before\n{gpu.BEGIN}\nold\n{gpu.END}\nafter\n")
    (tmp_path / "gpu-nvidia-x.json").write_text(json.dumps(record))
    (tmp_path / "gpu-cpu.json").write_text(json.dumps({**record, "device": "cpu"}))
    gpu.write_page(tmp_path, page)
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n")
    assert written.endswith("\nafter\n")
    assert "old" not in written
    assert written.count("### NVIDIA X, 80 GiB") == 1
    assert "driver 550.1, torch 2.9" in written
    assert "| tests | passed | 812 passed, 0 failed, 3 skipped | 1.5 | 2026-01-01 |" in written
    assert "Still waits: kernels, timings, exactness" in written


def test_the_committed_page_shows_the_committed_results() -> None:
    page = gpu.PAGE.read_text(encoding="utf-8")
    records = [json.loads(p.read_text()) for p in sorted(gpu.RESULTS.glob("gpu-*.json"))]
    shown = page.partition(gpu.BEGIN)[2].partition(gpu.END)[0].strip()
    assert shown == gpu.build_page(records)
    assert all(f"`{name}`" in page for name in gpu.NAMES)


def test_training_is_a_table_of_the_performance_page() -> None:
    rates = {"no noise": 200.0, "NoisyBatch, on the device": 190.0}
    trained = {
        "kind": "throughput",
        "device": "cuda",
        "machine": {
            "cpu": "C",
            "gpu": "G",
            "gpu_memory_gib": 80,
            "cores": 8,
            "ram_gib": 64,
            "os": "L",
        },
        "versions": {"torch": "2.9"},
        "settings": {
            "quick": False,
            "network": "Unet with resnet34",
            "workers": 8,
            "side": 512,
            "batch": 16,
            "rounds": 9,
            "sq": [0.0, 4.0],
            "se": [0.0, 1.0],
        },
        "date": "2026-01-01",
        "rows": [
            {"way": way, "films_per_second": rate, "q1": rate - 1, "q3": rate + 1}
            for way, rate in rates.items()
        ],
    }
    page = build([], [], [trained])
    assert "| no noise | 200 (199–201) | 1.00 |" in page
    assert "| NoisyBatch, on the device | 190 (189–191) | 0.95 |" in page
