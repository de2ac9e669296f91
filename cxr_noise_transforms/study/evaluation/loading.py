"""A trained model by its name on a command line: an exported program, TorchScript, or Python."""

from __future__ import annotations

import hashlib
import importlib
import logging
import sys
import zipfile
from pathlib import Path

import torch
from torch.export.passes import move_to_device_pass

from cxr_noise_transforms.study.devices import first_line

from .model import Model


def load_model(name: str, device: torch.device) -> tuple[Model, dict[str, str]]:
    """A model, and by what it is known besides its name: the hash of its file.

    Args:
        name: a ``.pt2`` file of ``torch.export.save``, a TorchScript file, or ``module:name`` of
            a callable from images to predictions.
        device: to load to.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: what is imported is not callable.
        ValueError: the file holds something else, or the callable cannot be imported.
    """
    path = Path(name)
    # a path may hold a colon too
    if ":" in name and not path.is_file():
        return _imported(name)
    if not path.is_file():
        raise FileNotFoundError(f"model {name} does not exist; name a file or module:name")
    model = _exported(path, device) if path.suffix == ".pt2" else _scripted(path, device)
    # the file is all of its content
    return model, {"model": _sha256(path)}


def _exported(path: Path, device: torch.device) -> Model:
    # torch logs the whole traceback of a file that it cannot read
    logging.getLogger("torch.export").setLevel(logging.CRITICAL)
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no archive, or was cut off")  # noqa: TRY301
        program = torch.export.load(path)
    # a file of another kind fails in any way
    except Exception as error:
        raise ValueError(
            f"{path} must be a program that torch.export.save wrote: {first_line(error)}"
        ) from error
    if device.type != "cpu":
        program = move_to_device_pass(program, device)
    return program.module()


def _scripted(path: Path, device: torch.device) -> Model:
    try:
        return torch.jit.load(path, map_location=device)
    # a file of another kind fails in any way
    except Exception as error:
        raise ValueError(
            f"{path} must be a program of torch.export, named .pt2, or TorchScript: "
            f"{first_line(error)}"
        ) from error


def _imported(name: str) -> tuple[Model, dict[str, str]]:
    module, _, attribute = name.partition(":")
    # a script beside the shell's folder
    sys.path.insert(0, "")
    try:
        home = importlib.import_module(module)
        model = getattr(home, attribute)
    # a module fails in any way
    except Exception as error:
        raise ValueError(f"cannot import {name}: {first_line(error)}") from error
    if not callable(model):
        raise TypeError(f"{name} must be callable, got {type(model).__name__}")
    source = getattr(home, "__file__", None)
    return model, {} if source is None else {"source": _sha256(Path(source))}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
