"""Why does it fail? Trained networks under noises of equal RMS, and under single bands of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.devices import usable_device
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import ORGANS
from cxr_noise_transforms.study.films.lungs import lung_masks
from cxr_noise_transforms.study.progress import Progress
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.table import LongTable, write_long_table
from cxr_noise_transforms.study.training.networks import GROUP_NORM

from .attention import has_map
from .compressed import PRUNED, pruned, quantised
from .grid import BAND_CELLS, BAND_NOISES, EQUAL_VARIANCE, RMS_LADDER, UNCLIPPED_PAIR
from .looking import Maps, attention, example_maps, noisy, shifts
from .sweep import Sweep

# settings of a training that its evaluation does not have
_OF_TRAINING = (
    "epochs", "swa_start", "learning_rate", "batch_size", "encoder_weights", "pretrained", "noise",
    "noise_prob",
)  # fmt: skip


CLEAN = "clean"
_GROUPED = f"+{GROUP_NORM}"


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
    def arm(self) -> str:
        """How it was made: ``"clean"`` or the noise of its training; and its normalisation."""
        noise = self.run.name.rpartition("-")[0] if self.settings.get("noise") else CLEAN
        return f"{noise}, group norm" if self.network.endswith(_GROUPED) else noise

    @property
    def name(self) -> str:
        """Of the architecture, whatever its normalisation."""
        return self.network.removesuffix(_GROUPED)

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
        ValueError: there is none, or they are of several tasks, sizes or splits.
    """
    files = sorted(folder.rglob("training.json"))
    records = [json.loads(path.read_text()) for path in files]
    found = [
        Trained(path.parents[1], path.parent.name, record["settings"])
        for path, record in zip(files, records, strict=True)
    ]
    tasks = {one.task for one in found}
    if len(tasks) != 1:
        raise ValueError(
            f"{folder} must hold finished trainings of one task, as the example sweeps leave them, "
            f"got {', '.join(sorted(tasks)) or 'none'}"
        )
    if len({(one["settings"].get("size"), one.get("split_sha256")) for one in records}) > 1:
        raise ValueError(
            f"the trainings in {folder} must be of one size and one split, so that all of them are "
            "measured on the same films: name one of its folders"
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
        lungs: folder of the Landmark dataset that a classifier's films are in too, for the share
            of its maps inside the lungs.
        noise_seeds: repetitions of the noise.
        loading: as of :class:`Sweep`.
        csv: as of :class:`Sweep`.
    """

    trained: Sequence[Trained]
    bundles: Path
    out: Path
    data: Path | None = None
    lungs: Path | None = None
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
        first = self._sweep(self.trained[0])
        table = LongTable.joined(part for one in self.trained for part in self._measure(one))
        write_long_table(self.out, table, csv=self.csv)
        run = {
            "task": first.task,
            "networks": list(dict.fromkeys(one.name for one in self.trained)),
            "settings": first.settings() | {"training": dict(self.trained[0].settings)},
            **provenance(usable_device(None)),
        }
        with whole_file(self.out / "run.json") as beside:
            beside.write_text(json.dumps(run, indent=1))
        return table.frame()

    def look(self, failed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Attention and the shift of batch normalisation's statistics, of first trainings.

        Networks of tokens have no maps, and networks without batch normalisation no shifts.

        Args:
            failed: trainings that are left out, by ``weights``, ``network``, ``training_seed``.

        Returns:
            The long table of :func:`.looking.attention`, also in ``attention.csv``, and the table
            of :func:`.looking.shifts`, also in ``shifts.csv``.
        """
        content, masks = self._films("test"), self._lungs()
        maps, layers = [], []
        looked_at = self._firsts(failed)
        with Progress("attention", len(looked_at), "network") as progress:
            for one in looked_at:
                network = self._network(one).eval()
                about = {
                    "task": one.task, "network": one.name, "weights": one.arm,
                    "training_seed": one.settings["seed"],
                }  # fmt: skip
                loader, device = content("dataloader"), content("device")
                if has_map(network):
                    label = self._sweep(one).labels[0]
                    maps.append(attention(network, loader, label, about, device, masks))
                layers.append(shifts(network, loader, about, device))
                progress.step()
        found = pd.concat(maps, ignore_index=True), pd.concat(layers, ignore_index=True)
        for name, table in zip(("attention", "shifts"), found, strict=True):
            with whole_file(self.out / f"{name}.csv") as beside:
                table.to_csv(beside, index=False)
        return found

    def examples(self, failed: pd.DataFrame, images: Sequence[str], se: float) -> list[Maps]:
        """Maps of the first network of :meth:`look` on some films; none without a map.

        Args:
            failed: as there.
            images: ids of test films.
            se: severity of the electronic noise.
        """
        content = self._films("test")
        for one in self._firsts(failed):
            network = self._network(one).eval()
            if has_map(network):
                return example_maps(network, content("dataloader"), images, se, content("device"))
        return []

    def _firsts(self, failed: pd.DataFrame) -> list[Trained]:
        """The first training of every arm and network that did not fail."""
        left_out = set(failed[["weights", "network", "training_seed"]].itertuples(index=False))
        firsts: dict[tuple[str, str], Trained] = {}
        for one in self.trained:
            if (one.arm, one.name, one.settings["seed"]) not in left_out:
                firsts.setdefault((one.arm, one.name), one)
        return list(firsts.values())

    def _measure(self, one: Trained) -> Iterator[LongTable]:
        """A network under every kind of noise, and its compressed copies at equal RMS."""
        network = self._network(one)
        folder = self.out / "cells" / one.run.name / one.network
        pair = (RMS_LADDER, EQUAL_VARIANCE)
        for steps in (pair, (RMS_LADDER, UNCLIPPED_PAIR), (BAND_CELLS[1:], BAND_NOISES[1:])):
            yield self._stress(one, network, one.arm, folder, *steps)
        if one.arm == CLEAN:
            for name, copy in self._compressed(network).items():
                yield self._stress(one, copy, f"{CLEAN}, {name}", folder / name, *pair)

    def _compressed(self, network: nn.Module) -> dict[str, nn.Module]:
        """Copies of a network by how they are compressed; ranges are those of validation films."""
        content = self._films("val")
        device = content("device")
        network = network.to(device).eval()
        clean = (noisy(batch, UNDEGRADED, 0.0, device) for batch in content("dataloader"))
        found = {"8 bits": quantised(network, clean)}
        return found | {f"{share:.0%} pruned": pruned(network, share) for share in PRUNED}

    def _stress(
        self,
        one: Trained,
        network: nn.Module,
        arm: str,
        folder: Path,
        cells: Sequence[tuple[float, float]],
        kinds: Sequence[str],
    ) -> LongTable:
        return self._sweep(one).stress(
            one.name,
            network,
            self._films("test"),
            folder,
            cells=cells,
            degradations=kinds,
            noise_seeds=self.noise_seeds,
            about={"weights": arm},
        )

    def _lungs(self) -> dict[str, NDArray[np.uint8]]:
        if self.lungs is None:
            return {}
        images = [film["id"] for film in self._films("test")("split")["test"]]
        return lung_masks(self.lungs, images, self.trained[0].settings["size"])

    def _sweep(self, one: Trained) -> Sweep:
        return one.sweep(self.bundles, self.data, self.loading)

    def _network(self, one: Trained) -> nn.Module:
        found = self._sweep(one).evaluation(one.network).parser.get_parsed_content("network")
        return cast("nn.Module", found)

    def _films(self, part: str) -> Callable[[str], Any]:
        """What an evaluation makes of its keys; the films are the same for all, and read once."""
        if part not in self._contents:
            first = self.trained[0]
            workflow = self._sweep(first).evaluation(first.network, part=part)
            self._contents[part] = workflow.parser.get_parsed_content
        return self._contents[part]

    @cached_property
    def _contents(self) -> dict[str, Callable[[str], Any]]:
        return {}
