"""Where and with what a result was made."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import monai
import torch

from cxr_noise_transforms import __version__


def provenance(device: torch.device) -> dict[str, Any]:
    """Versions, revision of the source where it is a git checkout, and machine."""
    return {
        "cxr_noise_transforms": __version__,
        "revision": _revision(),
        "torch": torch.__version__,
        "monai": monai.__version__,
        "python": platform.python_version(),
        "machine": _machine(device),
    }


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {os.cpu_count()} cores"


@cache
def _revision() -> str | None:
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    describe = [*git, "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        # a package installed below somebody's repository is not part of it
        for command in ([*git, "ls-files", "--error-unmatch", Path(__file__).name], describe):
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
