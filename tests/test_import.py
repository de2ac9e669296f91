"""The front door: what importing the package loads, and what it offers."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import cxr_noise_transforms as cxr
from cxr_noise_transforms import study

FRAMEWORKS = {"PIL", "kornia", "matplotlib", "monai", "pandas", "scipy", "torchvision"}


def fresh(script: str) -> str:
    """What a script prints in an interpreter of its own."""
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def loaded_by(script: str) -> set[str]:
    """Top-level modules of other packages in an interpreter that has run one line."""
    names = fresh(f"import sys\n{script}\nprint(*sys.modules)").split()
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def test_importing_loads_nothing_heavy() -> None:
    ours = loaded_by("import cxr_noise_transforms.study") - loaded_by("")
    assert ours == {"cxr_noise_transforms", "lazy_loader"}


def test_using_needs_torch_alone() -> None:
    ours = loaded_by("from cxr_noise_transforms import *") - loaded_by("import torch")
    assert ours == {"cxr_noise_transforms", "lazy_loader"}
    assert not ours & FRAMEWORKS


@pytest.mark.parametrize("package", [cxr, study])
def test_what_is_offered_is_what_is_typed(package: ModuleType) -> None:
    stub = Path(package.__file__).with_suffix(".pyi").read_text()
    listed = next(
        ast.literal_eval(node.value)
        for node in ast.parse(stub).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    assert sorted(listed) == package.__all__ == dir(package)
    everything: dict[str, object] = {}
    exec(f"from {package.__name__} import *", everything)  # noqa: S102 (that is the test)
    assert set(listed) == everything.keys() - {"__builtins__"}
    with pytest.raises(AttributeError, match="no_such_noise"):
        package.no_such_noise  # noqa: B018 (that is the test)


def test_noise_is_unpickled_where_nothing_was_imported(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(pickle.dumps(cxr.QuantumNoise(4.0)))
    script = f"import pickle; print(pickle.load(open({str(tmp_path / 'noise')!r}, 'rb')).sq)"
    assert fresh(script) == "4.0\n"


def test_a_saved_program_needs_a_name_of_the_package(tmp_path: Path) -> None:
    image, seed = torch.rand(2, 1, 8, 8), torch.tensor([1, 2])

    class Model(torch.nn.Module):
        def forward(self, image: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
            return cxr.radiographic_noise(image, 4, 1, seed=seed)

    torch.export.save(torch.export.export(Model(), (image, seed)), tmp_path / "program.pt2")
    torch.save((image, seed, Model()(image, seed)), tmp_path / "expected.pt")
    script = f"""
import torch
from cxr_noise_transforms import RadiographicNoise
program = torch.export.load({str(tmp_path / "program.pt2")!r}).module()
image, seed, expected = torch.load({str(tmp_path / "expected.pt")!r})
print(torch.equal(program(image, seed), expected))
"""
    assert fresh(script) == "True\n"


@pytest.mark.parametrize("name", cxr.__all__)
def test_public_names_say_what_they_are(name: str) -> None:
    value = getattr(cxr, name)
    assert not callable(value) or value.__doc__


def test_version_is_the_distributions() -> None:
    assert cxr.__version__ == importlib.metadata.version("cxr_noise_transforms")


def test_types_are_published() -> None:
    assert (importlib.resources.files(cxr) / "py.typed").is_file()
