"""What a measurement was made on: machine, operating system, versions."""

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cpuinfo
import torch
from pytest_benchmark.utils import get_commit_info

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def provenance(modules: Iterable[str]) -> dict[str, Any]:
    """Machine, commit, date, and the versions of those modules that are installed."""
    found = importlib.metadata.packages_distributions()
    versions = {
        name: importlib.metadata.version(found.get(name, [name])[0])
        for name in sorted({"numpy", "torch", *modules})
        if is_installed(name)
    }
    commit = get_commit_info()
    source = f"commit {commit['id'][:10]}{' and changes' if commit['dirty'] else ''}"
    return {
        "machine": describe_machine(),
        "versions": {"python": platform.python_version(), **versions, "this package": source},
        "date": datetime.now(UTC).date().isoformat(),
    }


def describe_machine() -> dict[str, str | int]:
    """CPU, cores, memory and operating system, and the GPU if there is one."""
    described: dict[str, str | int] = {
        "cpu": cpuinfo.get_cpu_info().get("brand_raw", platform.machine()),
        "cores": os.cpu_count() or 1,
        "ram_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "os": f"{platform.system()} {platform.machine()}",
    }
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        described |= {"gpu": gpu.name, "gpu_memory_gib": round(gpu.total_memory / 2**30)}
    return described


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None
