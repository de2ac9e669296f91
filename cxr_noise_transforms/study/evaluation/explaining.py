"""Why does it fail? Trained networks under noises of equal RMS, and under single bands of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cxr_noise_transforms.study.devices import usable_device
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import ORGANS
from cxr_noise_transforms.study.progress import Progress
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.table import LongTable, write_long_table

from .grid import BAND_CELLS, BAND_NOISES, EQUAL_VARIANCE, RMS_LADDER
from .looking import attention, shifts
from .sweep import Sweep

# settings of a training that its evaluation does not have
_OF_TRAINING = (
    "epochs", "swa_start", "learning_rate", "batch_size", "encoder_weights", "pretrained", "noise",
    "noise_prob",
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """One training of one network, as it lies in a finished sweep.

    Args:
        run: folder of the training, which holds one folder per network.
        network: its name there.
        settings: of the training.
    """

    run: Path
    network: str
    settings: Mapping[str, Any]

    @property
    def noise(self) -> str:
        """What it was trained with: ``"clean"``, or the name of its folder without the number."""
        return self.run.name.rpartition("-")[0] if self.settings.get("noise") else "clean"

    @property
    def task(self) -> str:
        """Organs, or a pair of findings."""
        return str(self.settings.get("organs") or self.settings["pair"])

    def sweep(self, bundles: Path, data: Path | None, loading: Mapping[str, Any]) -> Sweep:
        """How it is opened and measured.

        Args:
            bundles: folder of the bundles.
            data: folder of the films, ``None`` for phantoms.
            loading: as of :class:`Sweep`.
        """
        options = {name: one for name, one in self.settings.items() if name not in _OF_TRAINING}
        options["dataset_dir"] = None if data is None else str(data)
        organs = self.settings.get("organs")
        kind, measure = ("segmentation",) * 2 if organs else ("classification", "binary")
        labels = ORGANS[organs] if organs else [self.task.split("/")[-1].strip()]
        how: dict[str, Any] = {"loading": loading, "cells_at_once": 8}
        return Sweep(bundles / kind, self.run, self.task, measure, labels, options, **how)


def trainings(folder: Path) -> list[Trained]:
    """Every finished training below the folder of a sweep or of a hardening.

    Raises:
        ValueError: there is none, or they are of several tasks.
    """
    found = [
        Trained(path.parents[1], path.parent.name, json.loads(path.read_text())["settings"])
        for path in sorted(folder.rglob("training.json"))
    ]
    tasks = {one.task for one in found}
    if len(tasks) != 1:
        raise ValueError(
            f"{folder} must hold finished trainings of one task, as the example sweeps leave them, "
            f"got {', '.join(sorted(tasks)) or 'none'}"
        )
    return found


@dataclass(frozen=True)
class Explaining:
    """Trained networks under every kind of noise.

    Args:
        trained: what is measured, from :func:`trainings`.
        bundles: folder of the bundles.
        out: folder of the results.
        data: folder of the films, ``None`` for phantoms.
        noise_seeds: repetitions of the noise.
        loading: as of :class:`Sweep`.
        csv: as of :class:`Sweep`.
    """

    trained: Sequence[Trained]
    bundles: Path
    out: Path
    data: Path | None = None
    noise_seeds: Sequence[int] = (0,)
    loading: Mapping[str, Any] = field(default_factory=dict)
    csv: bool = False

    def run(self) -> pd.DataFrame:
        """Measure what is not finished yet.

        Returns:
            The long table, whose ``weights`` are what was trained with and whose ``degradation`` is
            the kind of noise; also written as of :meth:`.sweep.Sweep.run`, with settings and
            machine in ``run.json``.

        Raises:
            ValueError: as :func:`.stress.stress_test`.
        """
        first = self.trained[0].sweep(self.bundles, self.data, self.loading)
        # the films are the same for all, and read once
        films = first.evaluation(self.trained[0].network).parser.get_parsed_content
        table = LongTable.joined(self._measure(one, films) for one in self.trained)
        write_long_table(self.out, table, csv=self.csv)
        run = {
            "task": first.task,
            "networks": list(dict.fromkeys(one.network for one in self.trained)),
            "settings": first.settings() | {"training": dict(self.trained[0].settings)},
            **provenance(usable_device(None)),
        }
        with whole_file(self.out / "run.json") as beside:
            beside.write_text(json.dumps(run, indent=1))
        return table.frame()

    def look(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Attention and the shift of batch normalisation's statistics.

        Returns:
            The long table of :func:`.looking.attention`, also in ``attention.csv``, and the table
            of :func:`.looking.shifts`, also in ``shifts.csv``.
        """
        first = self.trained[0].sweep(self.bundles, self.data, self.loading)
        films = first.evaluation(self.trained[0].network).parser.get_parsed_content
        maps, layers = [], []
        with Progress("attention", len(self.trained), "network") as progress:
            for one in self.trained:
                sweep = one.sweep(self.bundles, self.data, self.loading)
                network = sweep.evaluation(one.network).parser.get_parsed_content("network").eval()
                about = {
                    "task": sweep.task, "network": one.network, "weights": one.noise,
                    "training_seed": one.settings["seed"],
                }  # fmt: skip
                loader, device = films("dataloader"), films("device")
                maps.append(attention(network, loader, sweep.labels[0], about, device))
                layers.append(shifts(network, loader, about, device))
                progress.step()
        found = pd.concat(maps, ignore_index=True), pd.concat(layers, ignore_index=True)
        for name, table in zip(("attention", "shifts"), found, strict=True):
            with whole_file(self.out / f"{name}.csv") as beside:
                table.to_csv(beside, index=False)
        return found

    def _measure(self, one: Trained, films: Any) -> LongTable:
        sweep = one.sweep(self.bundles, self.data, self.loading)
        network = sweep.evaluation(one.network).parser.get_parsed_content("network")
        steps = [(RMS_LADDER, EQUAL_VARIANCE), (BAND_CELLS[1:], BAND_NOISES[1:])]
        tables = [
            sweep.stress(
                one.network,
                network,
                films,
                self.out / "cells" / one.run.name / one.network,
                cells=cells,
                degradations=kinds,
                noise_seeds=self.noise_seeds,
                about={"weights": one.noise},
            )
            for cells, kinds in steps
        ]
        return LongTable.joined(tables)
