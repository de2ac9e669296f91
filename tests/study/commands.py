"""The command ``cxr-noise`` as a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

CXR_NOISE = [sys.executable, "-m", "cxr_noise_transforms.study"]


def cxr_noise(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What a call says, and its status."""
    return subprocess.run(
        [*CXR_NOISE, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
