"""Settings as a cell's file keeps them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import torch
from torch import Tensor


def storable(name: str, value: object) -> Any:
    """A value as a cell's file keeps it: text, numbers, and lists and mappings of them.

    Arrays and tensors are numbers; paths, devices, types and dates are text.

    Raises:
        TypeError: it is none of these.

    Example:
        >>> from pathlib import Path
        >>> storable("about", {"size": np.int64(512), "file": Path("a.pt"), "mean": torch.ones(2)})
        {'size': 512, 'file': 'a.pt', 'mean': [1.0, 1.0]}
    """
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return storable(name, value.tolist())
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, list | tuple | range):
        return [storable(name, one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): storable(f"{name}[{key!r}]", one) for key, one in value.items()}
    if isinstance(value, os.PathLike | torch.device | torch.dtype | date):
        return str(value)
    raise TypeError(
        f"{name} must be text, numbers, or lists and mappings of them, got {type(value).__name__}"
    )
