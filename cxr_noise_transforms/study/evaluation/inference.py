"""A trained network on a folder of films: masks as PNG, scores as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ignite.engine import Engine, Events
from monai.transforms import Transform
from PIL import Image

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films.folders import LoadFolderFilm
from cxr_noise_transforms.study.films.reader import margins, stored_size


class LoadOrTell(Transform):
    """A folder's film; one that cannot be read is black, and its ``error`` says why.

    One bad film does not cost the others their results: :class:`SaveMasks` and
    :class:`SaveScores` leave it out, and :class:`TellUnread` names it at the end.

    Args:
        load: reads a film.

    Returns:
        What ``load`` returns, and ``error``, empty for a film that was read.
    """

    def __init__(self, load: LoadFolderFilm) -> None:
        self.load = load

    def __call__(self, film: Mapping[str, Any]) -> dict[str, Any]:
        """The film, or why there is none."""
        try:
            return {**self.load(film), "error": ""}
        except ValueError as error:
            black = torch.zeros(1, self.load.size, self.load.size, dtype=torch.uint8)
            return {"id": film["id"], "file": film["image"], "image": black, "error": str(error)}


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
        for place in _read(batch):
            width, height = stored_size(Path(batch["file"][place]))
            for organ, mask in zip(self.organs, masks[place], strict=True):
                with whole_file(self.folder / f"{batch['id'][place]}_{organ}.png") as beside:
                    _unpadded(mask, width, height).save(beside)

    def _report(self) -> None:
        print(f"wrote masks to {self.folder}")  # noqa: T201


class SaveScores:
    """Write ``<folder>/scores.csv``: one row per film with the probability of every class.

    What an evaluation that fails has finished before is written too.

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
        # ignite takes an exception that has a handler for dealt with
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._give_up)

    def __call__(self, engine: Engine) -> None:
        """Collect the scores of one batch."""
        scores = engine.state.output["pred"].float().sigmoid().tolist()
        for place in _read(engine.state.batch):
            row = dict(zip(self.classes, scores[place], strict=True))
            self._rows.append({"film": engine.state.batch["id"][place], **row})

    def _write(self) -> None:
        if not self._rows:
            return
        with whole_file(self.path) as beside:
            pd.DataFrame(self._rows).to_csv(beside, index=False)
        print(f"wrote the scores of {len(self._rows)} films to {self.path}")  # noqa: T201
        # what another handler raises at the end does not have them written again
        self._rows = []

    def _give_up(self, error: BaseException) -> None:
        self._write()
        raise error


class TellUnread:
    """At the end, refuse the films that could not be read; list it after what writes results."""

    def __init__(self) -> None:
        self._films = 0
        self._errors: list[str] = []

    def attach(self, engine: Engine) -> None:
        """Collect after every batch, raise at the end."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._tell)

    def __call__(self, engine: Engine) -> None:
        """Note the films of one batch that could not be read."""
        errors = engine.state.batch["error"]
        self._films += len(errors)
        self._errors += [error for error in errors if error]

    def _tell(self) -> None:
        if self._errors:
            raise ValueError(
                f"no result for {len(self._errors)} of {self._films} films: "
                f"{'; '.join(self._errors)}"
            )


def _read(batch: Mapping[str, Any]) -> Iterator[int]:
    """The places in a batch of the films that could be read."""
    errors = batch.get("error", [""] * len(batch["id"]))
    return (place for place, error in enumerate(errors) if not error)


def _unpadded(mask: np.ndarray, width: int, height: int) -> Image.Image:
    """The mask of a padded film at the film's own size."""
    side = max(width, height)
    square = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (side, side), Image.Resampling.NEAREST
    )
    left, top = margins(width, height)
    return square.crop((left, top, left + width, top + height))
