"""Does training with noise help, and does something cheaper? Every arm of a comparison."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from cxr_noise_transforms import LogUniform, RadiographicNoise, image_seeds
from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.devices import usable_device
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.processes import world
from cxr_noise_transforms.study.progress import Progress
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.table import LongTable, write_long_table
from cxr_noise_transforms.study.training.batch_norm import has_statistics, reestimated
from cxr_noise_transforms.study.training.denoiser import Denoiser, train_denoiser

from .degradations import degradation_of, degraded
from .errors import own_errors
from .sweep import Sweep

_RADIOGRAPHIC = "cxr_noise_transforms.RadiographicNoise"
_LADDER = {"_target_": "cxr_noise_transforms.LogUniform", "low": 0.5, "high": 10}

# what a network is trained with, as its bundle says it; half of the films get it
NOISES: dict[str, dict[str, Any] | None] = {
    "clean": None,
    "mild": {"_target_": _RADIOGRAPHIC, "sq": [0, 2], "se": [0, 2], "bits": 8},
    "ladder": {"_target_": _RADIOGRAPHIC, "sq": _LADDER, "se": _LADDER, "bits": 8},
    "top": {"_target_": _RADIOGRAPHIC, "sq": [6, 10], "se": [6, 10], "bits": 8},
}
SHARE = 0.5
# low contrast and low resolution: what noise in training may make worse
CONTROLS = ("contrast=0.5", "resolution=2")
_CLEAN = (0.0, 0.0)


class Arm(NamedTuple):
    """One way to a prediction.

    Args:
        noise: what the network is trained with, a name of :data:`NOISES`.
        films: how many unlabelled noisy validation films its batch normalisation sees; 0 for none,
            ``None`` for all.
        denoised: whether a denoiser stands in front of it.
    """

    noise: str
    films: int | None = 0
    denoised: bool = False

    @property
    def name(self) -> str:
        """As the column ``weights`` of the long table has it."""
        films = {0: "", None: ", all films"}.get(self.films, f", {self.films} films")
        return f"{self.noise}{films}{', denoised' if self.denoised else ''}"


@dataclass(frozen=True)
class Hardening:
    """One task's networks, trained on clean films and with noise, and measured in every arm.

    Args:
        sweep: how a network is trained and measured; the trainings are folders below its ``out``.
        networks: architectures.
        trainings: how often every network is trained, on the same split.
        noises: what is trained with: names of :data:`NOISES`, ``"clean"`` the first.
        films: how many unlabelled films batch normalisation is re-estimated from, ``None`` for all.
        denoiser_epochs: of the denoiser's training; 0 leaves that arm out.
    """

    sweep: Sweep
    networks: Sequence[str]
    trainings: int = 3
    noises: Sequence[str] = field(default_factory=lambda: list(NOISES))
    films: Sequence[int | None] = (8, 32, None)
    denoiser_epochs: int = 10

    @property
    def arms(self) -> list[Arm]:
        """All of them; the first is the network as the paper has it."""
        arms = [Arm(noise) for noise in self.noises]
        arms += [Arm("clean", films) for films in self.films]
        if "ladder" in self.noises and self.films:
            arms.append(Arm("ladder", self.films[-1]))
        return [*arms, *([Arm("clean", denoised=True)] if self.denoiser_epochs else [])]

    def trained(self, noise: str, number: int) -> Sweep:
        """The training of this number with this noise."""
        noisy: Mapping[str, Any] = {"noise": NOISES[noise], "noise_prob": SHARE}
        return replace(
            self.sweep,
            out=self.sweep.out / f"{noise}-{number}",
            options={**self.sweep.options, "seed": number, "split_seed": 0},
            training={**self.sweep.training, **(noisy if NOISES[noise] else {})},
        )

    def train(self) -> None:
        """Train what is not trained yet."""
        for number in range(self.trainings):
            for noise in self.noises:
                print(f"training {number + 1} of {self.trainings}, {noise}")  # noqa: T201
                self.trained(noise, number).train(self.networks)

    def run(self) -> pd.DataFrame:
        """Train and measure what is not finished yet.

        Returns:
            The long table of all arms (see :func:`.stress.stress_test`), whose names are its
            ``weights``; also written as of :meth:`Sweep.run`, with settings and machine in
            ``run.json``.

        Raises:
            ConnectionError, FileNotFoundError, ValueError: as :meth:`Sweep.run`; too few
                validation films; a network without batch normalisation.
        """
        if world() > 1:
            raise ValueError(f"a hardening runs in one process, got {world()}")
        self.train()
        tables: list[LongTable] = []
        for number in range(self.trainings):
            for arch in self.networks:
                for arm in self.arms:
                    with own_errors():
                        tables += self._measure(arm, arch, number)
        table = LongTable.joined(tables)
        write_long_table(self.sweep.out, table, csv=self.sweep.csv)
        self._write_run()
        return table.frame()

    def predictor(
        self, arm: Arm, arch: str, number: int, cell: tuple[float, float]
    ) -> Callable[[Tensor], Tensor]:
        """What an arm predicts for noisy grey films ``(B, 1, H, W)`` of a cell."""
        made = self._open(arm, arch, number)
        network = made.network(cell, UNDEGRADED).eval()

        @torch.inference_mode()
        def predict(noisy: Tensor) -> Tensor:
            seen = noisy if made.front_end is None else made.front_end(noisy)
            logits: Tensor = network(seen.expand(-1, 3, -1, -1))
            return logits

        return predict

    def _measure(self, arm: Arm, arch: str, number: int) -> Iterator[LongTable]:
        """An arm in all cells, and without noise under every control."""
        made = self._open(arm, arch, number)
        if arm.films != 0 and not has_statistics(made.trained):
            print(f"{arch} has no batch normalisation to re-estimate: {arm.name} is left out")  # noqa: T201
            return
        sweep = self.trained(arm.noise, number)
        ladder = (self.sweep.cells, self.sweep.noise_seeds, [UNDEGRADED])
        steps = [ladder, ([_CLEAN], [0], list(CONTROLS))]
        if arm.films != 0:
            # a network that has seen noisy films is another one in every cell
            steps = [
                ([cell], seeds, [degradation])
                for cells, seeds, degradations in steps
                for degradation in degradations
                for cell in cells
            ]
        with Progress(f"{arch} {number + 1}, {arm.name}", len(steps), "step") as progress:
            for cells, seeds, degradations in steps:
                yield sweep.stress(
                    arch,
                    made.network(cells[0], degradations[0]),
                    self.content("test"),
                    sweep.out / arch / "arms" / arm.name,
                    cells=cells,
                    noise_seeds=seeds,
                    degradations=degradations,
                    front_end=made.front_end,
                    about={"weights": arm.name},
                    progress=False,
                )
                progress.step()

    def _open(self, arm: Arm, arch: str, number: int) -> _Made:
        workflow = self.trained(arm.noise, number).evaluation(arch)
        network = workflow.parser.get_parsed_content("network")
        films = None if arm.films == 0 else self._unlabelled(arm.films)
        return _Made(network, films, self._denoiser(number) if arm.denoised else None)

    def content(self, part: str) -> Callable[[str], Any]:
        """What the evaluation of ``"train"``, ``"val"`` or ``"test"`` films makes of its keys.

        The films are the same in every training and arm, and read once.
        """
        if part not in self._contents:
            workflow = self.trained("clean", 0).evaluation(self.networks[0], part=part)
            self._contents[part] = workflow.parser.get_parsed_content
        return self._contents[part]

    @cached_property
    def _contents(self) -> dict[str, Callable[[str], Any]]:
        return {}

    def _unlabelled(self, count: int | None) -> Unlabelled:
        """Validation films, of which no label is kept: a test film cannot be named here."""
        content = self.content("val")
        batches = list(content("dataloader"))
        ids = [film for batch in batches for film in batch["id"]]
        images = torch.cat([batch["image"] for batch in batches])
        if count is not None and count > len(ids):
            raise ValueError(
                f"there are {len(ids)} validation films, and {count} are asked for to re-estimate "
                "batch normalisation: ask for fewer"
            )
        # in an order that has nothing to do with what is on them
        order = image_seeds(0, ids).argsort()[:count]
        chosen = [ids[place] for place in order.tolist()]
        return Unlabelled(images[order], chosen, content("device"))

    def _denoiser(self, number: int) -> Denoiser:
        """Of this training's number, from the training films, whatever network stands behind."""
        noise = RadiographicNoise(LogUniform(0.1, 10), LogUniform(0.1, 10), bits=8)
        return train_denoiser(
            self.sweep.out / f"denoiser-{number}.pt",
            _Images(lambda: self.content("train")("dataloader")),
            noise,
            epochs=self.denoiser_epochs,
            seed=number,
        )

    def _write_run(self) -> None:
        run = {
            "task": self.sweep.task,
            "networks": list(self.networks),
            "trainings": self.trainings,
            "noises": {name: NOISES[name] for name in self.noises},
            "share_of_films_with_noise": SHARE,
            "arms": [arm.name for arm in self.arms],
            "controls": list(CONTROLS),
            "denoiser_epochs": self.denoiser_epochs,
            "settings": self.sweep.settings(),
            **provenance(usable_device(self.sweep.device)),
        }
        with whole_file(self.sweep.out / "run.json") as beside:
            beside.write_text(json.dumps(run, indent=1))


@dataclass(frozen=True)
class Unlabelled:
    """Films without their labels.

    Args:
        images: ``(n, 1, H, W)`` in [0, 1].
        ids: one per film.
        device: where networks see them.
    """

    images: Tensor
    ids: Sequence[str]
    device: torch.device

    def seen_by(self, network: nn.Module, cell: tuple[float, float], degradation: str) -> nn.Module:
        """The network, re-estimated from these films as they are in a cell."""
        worse = degradation_of(degradation)
        images = self.images if worse is None else degraded(self.images, worse)
        noise = NoisyBatch(RadiographicNoise(*cell, bits=8), seed=0, channels=3)
        return reestimated(network, noise({"image": images, "id": self.ids}, self.device)[0])


class _Made(NamedTuple):
    """An arm at hand: its trained network, and what changes it."""

    trained: nn.Module
    films: Unlabelled | None
    front_end: Denoiser | None

    def network(self, cell: tuple[float, float], degradation: str) -> nn.Module:
        """As it is in a cell."""
        if self.films is None:
            return self.trained
        return self.films.seen_by(self.trained, cell, degradation)


class _Images:
    """The images of a loader's batches."""

    def __init__(self, loader: Callable[[], Any]) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self.loader():
            yield batch["image"]
