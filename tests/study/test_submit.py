"""A sweep as jobs, run by submitit's local executor."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cxr_noise_transforms.study import read_table

pytest.importorskip("submitit")
EXAMPLES = Path(__file__).parents[2] / "examples"


def submit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    options = ["--cluster", "local", "--logs", str(folder / "logs"), *arguments]
    return subprocess.run(
        [sys.executable, str(EXAMPLES / "submit.py"), *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


@pytest.mark.slow
def test_jobs_end_in_the_table_of_one_process(tmp_path: Path) -> None:
    sweep = [str(EXAMPLES / "seg_sweep.py"), "--size", "32", "--epochs", "1", "--phantoms", "20"]
    done = submit(tmp_path, "--shares", "2", "--arch", "FPN", "--", *sweep, "--out", "jobs")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\njob ") + done.stdout.startswith("job ") == 4
    subprocess.run(
        [sys.executable, *sweep, "--arch", "FPN", "--out", "alone"],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    tables = [read_table(tmp_path / folder / "per_image.parquet") for folder in ("jobs", "alone")]
    pd.testing.assert_frame_equal(*tables, atol=1e-6)


@pytest.mark.slow
def test_a_failing_job_is_one_sentence(tmp_path: Path) -> None:
    done = submit(tmp_path, "--", str(EXAMPLES / "seg_sweep.py"), "--data", "nowhere")
    assert done.returncode != 0
    assert "error: a job failed, see " in done.stderr
    assert "Traceback" not in done.stderr
