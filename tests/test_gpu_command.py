"""Every part of what needs a GPU runs, here on the CPU, and stands in docs/gpu.md."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nox")
pytest.importorskip("pytest_benchmark")

from noxfile import GPU

ROOT = Path(__file__).parents[1]

PAGE = (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
STUDY = [name for name in GPU if name.startswith("study")]


def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    _, *arguments = shlex.split(command)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_page_names_every_part_and_its_command() -> None:
    for name, command in GPU.items():
        assert f"`{name}`" in PAGE
        assert f"    {command}\n" in PAGE


def test_the_page_says_whether_anything_was_measured() -> None:
    results = map(Path.read_text, (ROOT / "benchmarks" / "results").glob("*-cuda.json"))
    waits = "Nothing has been measured on a GPU yet" in PAGE
    assert waits == (not any(json.loads(result)["rows"] for result in results))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["timings", "throughput", "evaluation", "exactness"])
def test_a_measured_part_runs_on_a_cpu(part: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    command = GPU[part].replace("cuda", "cpu") + " --quick"
    command += f" --out {path}" if part == "exactness" else f" --benchmark-json={path}"
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(path.read_text(encoding="utf-8"))["rows"]


@pytest.mark.slow
def test_the_kernels_part_runs_in_the_interpreter() -> None:
    pytest.importorskip("triton", minversion="3.2")
    done = run(f"{GPU['kernels']} -k 'words or extreme or no_pixels'", TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("part", STUDY)
def test_a_sweep_knows_its_options(part: str, tmp_path: Path) -> None:
    done = run(GPU[part].replace("cuda", "cpu").replace("$CXR_DATA", str(tmp_path)))
    # what is missing is the films
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_what_follows_a_study_knows_its_options() -> None:
    done = run(GPU["explain-heart"])
    assert done.returncode == 1
    assert "runs/gpu/study-hardened-heart must hold finished trainings" in done.stderr
    done = run(f"{GPU['uncertain-labels']} --help")
    assert done.returncode == 0
