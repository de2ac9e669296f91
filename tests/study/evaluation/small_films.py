"""Seven small films, and models for them, as the tests of the stress test measure them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.evaluation.measures import Measured
from cxr_noise_transforms.study.evaluation.stress import stress_test

COUNT = 7
NAMES = ["b", "a", "film 10", "film 9", "007", "x,y", 'say "ah"']
PATIENTS = [3, 3, 1, 1, 2, 7, 8]
CELLS = [(0.0, 0.0), (10.0, 0.0), (0.0, 4.0)]
SHORT = {"cells": CELLS, "device": "cpu"}


def films(count: int = COUNT) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def masks(count: int = COUNT) -> Tensor:
    image = films(count)
    return torch.cat([image > 0.5, image > 0.9], dim=1).float()


class Films(Dataset):
    """Films as MONAI's dictionaries: id, patient, source, image and label."""

    def __init__(self, label: Tensor | None = None, image: Tensor | None = None) -> None:
        self.image = films() if image is None else image
        self.label = masks() if label is None else label
        self.patients = PATIENTS
        self.source = "here"

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {
            "id": NAMES[number],
            "patient": self.patients[number],
            "source": self.source,
            "image": self.image[number],
            "label": self.label[number],
        }


def loader(label: Tensor | None = None, **options: Any) -> DataLoader:
    return DataLoader(Films(label), **{"batch_size": 3, **options})


def triples(label: Tensor) -> list[tuple[Tensor, Tensor, list[str]]]:
    batches = [slice(0, 3), slice(3, 6), slice(6, COUNT)]
    return [(films()[part], label[part], NAMES[part]) for part in batches]


def pixels(prediction: Tensor, _label: Tensor) -> dict[str, Measured]:
    """What the model was given, bit for bit."""
    return {"pixel": Measured(prediction.flatten(1))}


def seen(source: Any, **options: Any) -> pd.DataFrame:
    model = options.pop("model", lambda image: image)
    return stress_test(model, source, pixels, **{**SHORT, **options})


def of_cell(table: pd.DataFrame, sq: float, se: float, seed: int = 0) -> pd.DataFrame:
    return table[(table.sq == sq) & (table.se == se) & (table.noise_seed == seed)]


def as_images(rows: pd.DataFrame) -> Tensor:
    """Films ``(B, 64)`` from a table of pixels, in the order of their names."""
    return torch.tensor(rows.value.to_numpy().reshape(-1, 64))


class Convolution(nn.Module):
    """A network with batch normalisation and dropout, one logit per mask."""

    def __init__(self, inside: bool = False, channels: int = 1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Conv2d(4, 2, 3, padding=1)
        )
        self.inside = inside

    def forward(self, image: Tensor) -> Tensor:
        if self.inside:
            image = (image - 0.4) / 0.2
        return self.rest(self.first(image))


def scores(image: Tensor) -> Tensor:
    return image.flatten(1)[:, :3] * 4 - 2


def classified(out: Path | None, **options: Any) -> pd.DataFrame:
    label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    model = options.pop("model", None) or Scores()
    source = options.pop("loader", None) or loader(label)
    return stress_test(model, source, "binary", out=out, **{**SHORT, **options})


class Scores(nn.Module):
    """One logit."""

    def __init__(self, weight: float = 3.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, image: Tensor) -> Tensor:
        return image.mean((1, 2, 3)) * self.weight - 2


@contextmanager
def stopped_after(batches: int) -> Iterator[None]:
    """The program ends after so many noisy batches, as a killed process does."""
    left = iter(range(batches))

    def prepare(self: NoisyBatch, *args: Any, **options: Any) -> Any:
        if self.noise is not None and next(left, None) is None:
            raise KeyboardInterrupt
        return original(self, *args, **options)

    original = NoisyBatch.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NoisyBatch, "__call__", prepare)
        yield
