"""The front door: what importing the package loads, and what it offers."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import subprocess
import sys
from types import ModuleType

import pytest

import cxr_noise_transforms as cxr

LOADED = "import sys, {}; print(*sys.modules)"
FRAMEWORKS = {"PIL", "kornia", "matplotlib", "monai", "pandas", "scipy", "torchvision"}


def loaded_by(module: str) -> set[str]:
    """Top-level modules of a fresh interpreter after one import."""
    command = [sys.executable, "-c", LOADED.format(module)]
    printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return {name.partition(".")[0] for name in printed.split()}


def test_importing_needs_torch_alone() -> None:
    ours = loaded_by("cxr_noise_transforms") - loaded_by("torch") - sys.stdlib_module_names
    assert ours == {"cxr_noise_transforms"}


def test_importing_loads_no_framework() -> None:
    assert not loaded_by("cxr_noise_transforms") & FRAMEWORKS


def test_all_is_sorted_and_whole() -> None:
    def constants_classes_functions(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert cxr.__all__ == sorted(set(cxr.__all__), key=constants_classes_functions)
    public = {
        name
        for name, value in vars(cxr).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(cxr.__all__) == public


@pytest.mark.parametrize("name", cxr.__all__)
def test_public_names_say_what_they_are(name: str) -> None:
    value = getattr(cxr, name)
    assert not callable(value) or value.__doc__


def test_version_is_the_distributions() -> None:
    assert cxr.__version__ == importlib.metadata.version("cxr_noise_transforms")


def test_types_are_published() -> None:
    assert (importlib.resources.files(cxr) / "py.typed").is_file()
