"""A trained network on a folder of films: masks as PNG, scores as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ignite.engine import Engine, Events
from PIL import Image

from cxr_noise_transforms.study.files import whole_file


class SaveMasks:
    """Write every predicted mask as ``<folder>/<film>_<organ>.png``, 0 and 255, at the film's size.

    Args:
        folder: to write to.
        organs: names of the network's channels.
    """

    def __init__(self, folder: str | Path, organs: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.organs = organs

    def attach(self, engine: Engine) -> None:
        """Write after every batch, and say where at the end."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._report)

    def __call__(self, engine: Engine) -> None:
        """Write the masks of one batch."""
        masks = (engine.state.output["pred"] > 0).cpu().numpy()
        batch = engine.state.batch
        for film, file, channels in zip(batch["id"], batch["file"], masks, strict=True):
            with Image.open(file) as original:
                width, height = original.size
            for organ, mask in zip(self.organs, channels, strict=True):
                with whole_file(self.folder / f"{film}_{organ}.png") as beside:
                    _unpadded(mask, width, height).save(beside)

    def _report(self) -> None:
        print(f"wrote masks to {self.folder}")  # noqa: T201


class SaveScores:
    """Write ``<folder>/scores.csv``: one row per film with the probability of every class.

    Args:
        folder: to write to.
        classes: names of the network's outputs.
    """

    def __init__(self, folder: str | Path, classes: Sequence[str]) -> None:
        self.path = Path(folder) / "scores.csv"
        self.classes = classes
        self._rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Collect after every batch, write at the end."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def __call__(self, engine: Engine) -> None:
        """Collect the scores of one batch."""
        scores = engine.state.output["pred"].float().sigmoid().tolist()
        for film, row in zip(engine.state.batch["id"], scores, strict=True):
            self._rows.append({"film": film, **dict(zip(self.classes, row, strict=True))})

    def _write(self) -> None:
        with whole_file(self.path) as beside:
            pd.DataFrame(self._rows).to_csv(beside, index=False)
        print(f"wrote the scores of {len(self._rows)} films to {self.path}")  # noqa: T201


def _unpadded(mask: np.ndarray, width: int, height: int) -> Image.Image:
    """The mask of a padded film at the film's own size."""
    side = max(width, height)
    square = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (side, side), Image.Resampling.NEAREST
    )
    left, top = (side - width) // 2, (side - height) // 2
    return square.crop((left, top, left + width, top + height))
