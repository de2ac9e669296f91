"""What a measurement was made on: machine, operating system, versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

import torch

import cxr_noise_transforms


def describe_machine(device: str) -> dict[str, str | int]:
    """CPU, cores, memory and operating system; with ``device="cuda"`` the GPU too."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    described: dict[str, str | int] = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 1,
        "ram_gib": round(memory / 2**30),
        "os": _operating_system(),
    }
    if device == "cuda":
        gpu = torch.cuda.get_device_properties(0)
        described["gpu"] = gpu.name
        described["gpu_memory_gib"] = round(gpu.total_memory / 2**30)
    return described


def describe_versions(modules: Iterable[str]) -> dict[str, str]:
    """Versions of Python, of this package with a digest of its source, and of installed modules."""
    versions = {
        "python": platform.python_version(),
        "cxr_noise_transforms": f"{cxr_noise_transforms.__version__} (source {_source_digest()})",
    }
    distributions = importlib.metadata.packages_distributions()
    for module in sorted(set(modules) - {"cxr_noise_transforms"}):
        if is_installed(module):
            named = distributions.get(module, [module])[0]
            versions[module] = importlib.metadata.version(named)
    return versions


def is_installed(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


def machine_slug(machine: dict[str, str | int]) -> str:
    """The machine in a file name: its GPU, or else its CPU and cores.

    Example:
        >>> machine_slug({"cpu": "AMD EPYC", "cores": 2})
        'amd-epyc-2-cores'
    """
    name = machine.get("gpu") or f"{machine['cpu']} {machine['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", str(name).lower()).strip("-")


def _source_digest() -> str:
    # a result of other code must not be continued under the same version number
    digest = hashlib.sha256()
    for path in sorted(Path(cxr_noise_transforms.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        if named:
            return named[1].strip()
    return platform.processor() or platform.machine()


def _operating_system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = f"{platform.system()} {platform.release()}"
    return f"{name}, {platform.machine()}"
