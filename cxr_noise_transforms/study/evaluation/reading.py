"""One reading of the loader: every film under some noises, or under none to know the films."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import pandas as pd
import torch
from torch import Tensor

from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.devices import out_of_memory
from cxr_noise_transforms.study.groups import Grouping
from cxr_noise_transforms.study.predictions import refuse_nan

from .batches import Content, Scale, batches, contents
from .degradations import Degradation, degraded
from .measures import Measure
from .model import Model, pass_front_end, predict
from .tables import gathered, rows_of


class Reading(NamedTuple):
    """What one reading found.

    Attributes:
        tables: one per noise, ordered by film.
        films: SHA-256 of all films with their labels, patients, sources and groups.
        bounded: whether every prediction lay in [0, 1].
    """

    tables: list[pd.DataFrame]
    films: str
    bounded: bool


class Noise(NamedTuple):
    """What makes a film worse: noise, and before it a degradation or none."""

    noise: NoisyBatch
    degradation: Degradation | None = None


@dataclass(frozen=True)
class Reader:
    """What stays the same from reading to reading.

    Args:
        loader: of batches.
        scale: what the values of films may be.
        model: as it is at work.
        measure: of prediction and label.
        labels: names of the masks or classes; ``None`` for their numbers.
        device: of the model.
        front_end: what noisy images pass before all else, as it is at work.
        after: channels and normalisation of what the model sees.
        groupings: of the films.
    """

    loader: Iterable[Any]
    scale: Scale
    model: Model
    measure: Measure
    labels: Sequence[str] | None
    device: torch.device
    front_end: Model | None = None
    after: NoisyBatch = field(default_factory=NoisyBatch)
    groupings: Sequence[Grouping] = ()

    @torch.inference_mode()
    def read(self, noises: Sequence[Noise] = ()) -> Reading:
        """Measure every film under every noise; without noises the model is not asked.

        Raises:
            TypeError: a batch of another form, or a prediction that is no tensor.
            ValueError: no films, films that are refused, or a model that fails.
        """
        films: dict[str, Content] = {}
        parts: list[list[pd.DataFrame]] = [[] for _ in noises]
        bounded = True
        for batch in batches(self.loader, self.scale, self.groupings):
            for film, content in contents(batch):
                if film in films:
                    raise ValueError(f"the loader yields image {film} twice: ids must be unique")
                films[film] = content
            for noise, rows in zip(noises, parts, strict=True):
                prediction, measured = self._measured(noise, batch)
                bounded = bounded and bool(((prediction >= 0) & (prediction <= 1)).all())
                rows.append(measured)
        tables = [pd.concat(rows, ignore_index=True) if rows else pd.DataFrame() for rows in parts]
        tables, films = gathered(tables, films)
        if not films:
            raise ValueError("the loader yields no images")
        ordered = [table.sort_values("image", kind="stable", ignore_index=True) for table in tables]
        listed = repr(sorted((film, tuple(content)) for film, content in films.items()))
        return Reading(ordered, hashlib.sha256(listed.encode()).hexdigest(), bounded)

    def _measured(self, noise: Noise, batch: Mapping[str, Any]) -> tuple[Tensor, pd.DataFrame]:
        try:
            if noise.degradation is not None:
                batch = {**batch, "image": degraded(batch["image"], noise.degradation)}
            image, label = noise.noise(batch, self.device)
            if self.front_end is not None:
                image = pass_front_end(self.front_end, image)
            image, _ = self.after({"image": image, "label": label})
            if batch["channels"] > 1 and self.after.channels is None:
                image = image.expand(-1, batch["channels"], *image.shape[2:])
            prediction = predict(self.model, image)
            refuse_nan(prediction, batch["id"])
            measured = self.measure(prediction, cast("Tensor", label))
        # wherever it happens
        except Exception as error:
            if out_of_memory(error):
                raise ValueError(
                    f"{self.device} has no memory left for a batch of images "
                    f"{tuple(batch['image'].shape)}: give smaller batches"
                ) from error
            raise
        return prediction, rows_of(measured, batch, self.labels)
