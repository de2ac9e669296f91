"""A checkpoint under the settings that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cxr_noise_transforms.study.training.networks import load_checkpoint
from cxr_noise_transforms.study.training.resume import short


def trained_network(
    network: nn.Module, path: str | Path, description: str, settings: Mapping[str, Any]
) -> nn.Module:
    """Put a checkpoint's weights into ``network``, if they were trained with these settings.

    The settings of a training are in ``resume.pt`` beside its checkpoints; a state dict without
    that file beside it is taken as it is.

    Args:
        network: to fill.
        path: file written by ``torch.save``, a state dict.
        description: of the network, for messages.
        settings: what must be as in the training, by the names of the bundle's keys.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, one of another network, or one of other settings.
    """
    record = Path(path).with_name("resume.pt")
    if record.is_file():
        stored = _settings(record)
        other = [
            f"{name} {stored.get(name)} there, {value} now"
            for name, value in settings.items()
            if stored.get(name) != short(value)
        ]
        if other:
            raise ValueError(
                f"{path} was trained with other settings ({'; '.join(other)}): give the same, or "
                f"name a copy of it without {record.name} beside it"
            )
    return load_checkpoint(network, path, description)


def _settings(record: Path) -> dict[str, Any]:
    try:
        # mapped: beside the settings lie weights and optimizer
        settings: dict[str, Any] = torch.load(record, weights_only=True, mmap=True)["settings"]
    # a file of another kind fails in the unpickler in any way
    except Exception as error:
        raise ValueError(
            f"cannot read the settings of the training in {record} ({type(error).__name__}): "
            "remove it to use its checkpoints without"
        ) from error
    return settings
