"""The severity sweep: train each network once on clean films, then measure it in every cell.

Everything finished is a file, so a sweep that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from monai.bundle import ConfigWorkflow

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.devices import usable_device
from cxr_noise_transforms.study.files import alone_in, whole_file
from cxr_noise_transforms.study.processes import (
    agreed,
    rank,
    wait,
    world,
)
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.table import LongTable, write_long_table

from .batches import Later
from .errors import own_errors
from .model import Model
from .records import FILMS, bind_to_films, check_record, split_hash
from .stressing import stress_cells

CHECKPOINTS = {"best": "model.pt", "swa": "model_swa.pt"}
# folders of what is measured on each part of the films
_MEASURED = {"train": "training", "val": "validation", "test": "cells"}


@dataclass(frozen=True)
class Sweep:
    """One task under the severity ladder.

    What is finished in ``out`` is used only for the same films: a training for its training and
    validation films, whose files are all read to know them, a cell for its test films.

    Args:
        bundle: folder of a MONAI bundle with ``configs/train.yaml`` and ``configs/evaluate.yaml``.
        out: folder of the results.
        task: name of the task in the table.
        measure: ``"segmentation"``, ``"binary"`` or ``"multilabel"``.
        labels: names of the network's outputs.
        options: bundle keys for training and evaluation (``dataset_dir``, ``size``, ``seed``, ...).
        training: bundle keys for training alone (``epochs``, ``learning_rate``, ...).
        loading: bundle keys that change no result (``cache``, ``num_workers``).
        device: name of a torch device, ``None`` for CUDA where there is one.
        cells: severities ``(sq, se)``.
        noise_seeds: repetitions of the noise.
        cells_at_once: cells measured in one reading of the films.
        share: ``(i, n)``: measure only the i-th of n shares of the cells, and write no tables.
        variant: of the bundle: ``train_<variant>.yaml`` and so on lie on top of its own files.
        csv: write the long table as CSV too.
    """

    bundle: Path
    out: Path
    task: str
    measure: str
    labels: Sequence[str]
    options: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    loading: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    cells: Sequence[tuple[float, float]] = LADDER
    noise_seeds: Sequence[int] = (0,)
    cells_at_once: int = 1
    share: tuple[int, int] = (0, 1)
    variant: str | None = None
    csv: bool = False

    def run(self, architectures: Sequence[str]) -> LongTable:
        """Train and measure what is not finished yet.

        Returns:
            The long table (see :func:`.stress.stress_test`) of these networks, each with its best
            and its averaged weights, in the files of its cells; also written to
            ``per_image.parquet``, with ``csv`` to ``per_image.csv`` too, with settings, versions
            and machine in ``run.json``. Scores of clean validation films are in
            ``validation.parquet``.

        Raises:
            ConnectionError: pretrained weights are out of reach.
            FileNotFoundError: films, landmarks or weights are not there.
            ValueError: ``out`` holds a sweep with other settings; films, weights or options are
                not what they should be.
        """
        tables, validation = [], []
        for number, arch in enumerate(architectures, start=1):
            if rank() == 0:
                print(f"[{number}/{len(architectures)}] {arch}")  # noqa: T201 (progress)
            with own_errors():
                self._train(arch)
                for weights in self.checkpoints(arch):
                    tables.append(self._measure(arch, weights, "test"))
                    if self.measure != "segmentation" and self.share[0] == 0:
                        validation.append(self._measure(arch, weights, "val"))
        films = [frozenset(table.distinct("image").image) for table in tables]
        if self.share == (0, 1) and len(set(films)) > 1:
            raise ValueError(
                f"the networks in {self.out} were trained and measured on different splits: "
                "choose another folder with --out"
            )
        if rank() == 0 and self.share == (0, 1):
            write_long_table(self.out, LongTable.joined(tables), csv=self.csv)
            if validation:
                LongTable.joined(validation).write(self.out / "validation.parquet")
            self._write_run(architectures)
        return LongTable.joined(tables)

    def train(self, architectures: Sequence[str]) -> None:
        """Train what is not trained yet, and measure nothing; raises as :meth:`run`."""
        for arch in architectures:
            with own_errors():
                self._train(arch)

    def checkpoints(self, arch: str) -> list[str]:
        """The checkpoints of a trained network: ``"best"``, and ``"swa"`` if averaging began."""
        return [name for name, file in CHECKPOINTS.items() if (self.out / arch / file).is_file()]

    def evaluation(self, arch: str, weights: str = "best", part: str = "test") -> ConfigWorkflow:
        """The bundle's evaluation of a trained network, initialised."""
        checkpoint = str(self.out / arch / CHECKPOINTS[weights])
        return self._workflow("evaluate", arch, handlers=[], checkpoint=checkpoint, part=part)

    def clean_scores(self, arch: str, part: str) -> pd.DataFrame:
        """The long table of a trained network's best weights on the films of "train" or "val"."""
        with own_errors():
            return self._measure(arch, "best", part).frame()

    def _train(self, arch: str) -> None:
        folder = self.out / arch
        record, model = folder / "training.json", folder / CHECKPOINTS["best"]
        if record.is_file() and model.is_file():
            check_record(folder, self.settings())
            self._bind_to_films(self.evaluation(arch), folder, anew=False)
            if rank() == 0:
                print(f"  trained already: {model}")  # noqa: T201
            return
        if self.share != (0, 1):
            raise ValueError(f"{arch} is not trained in {self.out}: train first, with --train-only")
        with alone_in(folder) if rank() == 0 else nullcontext():
            self._train_anew(arch, folder)

    def _train_anew(self, arch: str, folder: Path) -> None:
        model = folder / CHECKPOINTS["best"]
        anew = agreed(not (folder / "resume.pt").is_file())
        if rank() == 0 and anew:
            # what a former network left does not belong to the new one; its split may
            for name in (*CHECKPOINTS.values(), "training.json", FILMS):
                (folder / name).unlink(missing_ok=True)
            for name in (*_MEASURED.values(), "tensorboard"):
                shutil.rmtree(folder / name, ignore_errors=True)
        wait()
        workflow = self._workflow("train", arch, **self.training)
        films = len(workflow.parser.get_parsed_content("split")["train"])
        if films < workflow.parser.get_parsed_content("batch_size"):
            raise ValueError(f"batch size must be at most the {films} films to train on")
        self._bind_to_films(workflow, folder, anew=anew)
        workflow.run()
        evaluator = workflow.parser.get_parsed_content("validate#evaluator")
        trainer = workflow.parser.get_parsed_content("train#trainer")
        averaging = workflow.parser.get_parsed_content("train#averaging")
        workflow.finalize()
        # the first process writes
        wait()
        if not model.is_file():
            found = evaluator.state.best_metric
            why = (
                "the validation loss was never a number"
                if math.isnan(found)
                else f"it was removed; remove {folder} to train anew"
            )
            raise ValueError(f"{arch} has no checkpoint after {trainer.state.epoch} epochs: {why}")
        about = {
            "epochs": trainer.state.epoch,
            "best_epoch": evaluator.state.best_metric_epoch,
            "best_validation_loss": evaluator.state.best_metric,
            "averaged_epochs": averaging.epochs,
            "settings": self.settings(),
            "split_sha256": split_hash(folder),
            **provenance(trainer.state.device),
        }
        if rank() == 0:
            with whole_file(folder / "training.json") as beside:
                beside.write_text(json.dumps(about, indent=1))
        wait()

    def stress(
        self, arch: str, model: Model, content: Callable[[str], Any], out: Path, **how: Any
    ) -> LongTable:
        """A model in some cells, on the films of an evaluation.

        Args:
            arch: name of the network in the table.
            model: grey films in three equal channels to logits.
            content: what the evaluation's bundle makes of its keys.
            out: folder of the finished cells.
            **how: as in :func:`.stress.stress_test`; ``about`` is added to what is known of the
                sweep.
        """
        about = {
            "task": self.task,
            "network": arch,
            "training_seed": self.options["seed"],
            "size": self.options["size"],
            **how.pop("about", {}),
        }
        return stress_cells(
            model,
            Later(lambda: content("dataloader")),
            self.measure,
            outputs="logits",
            labels=self.labels,
            channels=3,
            device=content("device"),
            out=out,
            cells_at_once=self.cells_at_once,
            about=about,
            **how,
        )

    def _measure(self, arch: str, weights: str, part: str) -> LongTable:
        content = self.evaluation(arch, weights, part).parser.get_parsed_content
        clean = part != "test"
        return self.stress(
            arch,
            content("network"),
            content,
            self.out / arch / _MEASURED[part] / weights,
            cells=[(0.0, 0.0)] if clean else self.cells,
            noise_seeds=[0] if clean else self.noise_seeds,
            share=(0, 1) if clean else self.share,
            about={"weights": weights},
        )

    def _workflow(self, name: str, arch: str, **overrides: Any) -> ConfigWorkflow:
        # MONAI warns about the logging configuration that is switched off here
        logging.getLogger("monai.bundle.workflows").setLevel(logging.ERROR)
        variants = [f"{name}_{self.variant}"] if self.variant else []
        configs = [str(self.bundle / "configs" / f"{one}.yaml") for one in (name, *variants)]
        if world() > 1:
            configs.append(str(self.bundle / "configs" / f"multi_gpu_{name}.yaml"))
            # the processes have joined already, and part later
            seeded = ["$monai.utils.set_determinism(seed=@seed)"] if name == "train" else []
            overrides = {"initialize": seeded, "finalize": [], **overrides}
        workflow = ConfigWorkflow(
            config_file=configs,
            workflow_type="train" if name == "train" else "infer",
            logging_file=False,
            bundle_root=str(self.bundle),
            ckpt_dir=str(self.out / arch),
            split_file=str(self.out / arch / "split.json"),
            arch=arch,
            **({} if self.device is None else {"device": f"$torch.device({self.device!r})"}),
            **self.options,
            **self.loading,
            **overrides,
        )
        workflow.initialize()
        return workflow

    def _write_run(self, architectures: Sequence[str]) -> None:
        files = {arch: self.out / arch / "training.json" for arch in architectures}
        records = {arch: json.loads(file.read_text()) for arch, file in files.items()}
        for record in records.values():
            del record["settings"], record["split_sha256"]
        run = {
            "task": self.task,
            "settings": self.settings(),
            "networks": records,
            **provenance(usable_device(self.device)),
        }
        with whole_file(self.out / "run.json") as beside:
            beside.write_text(json.dumps(run, indent=1))

    def settings(self) -> dict[str, Any]:
        """By what a finished training is known."""
        settings = {**self.options, **self.training}
        # a place on one machine means nothing on another
        for name in {"dataset_dir", "encoder_weights", "pretrained", "teacher"} & settings.keys():
            settings[name] = settings[name] and Path(settings[name]).resolve().name
        settings["dataset_dir"] = settings["dataset_dir"] or "phantom"
        return dict(json.loads(json.dumps(settings)))

    def _bind_to_films(self, workflow: ConfigWorkflow, folder: Path, *, anew: bool) -> None:
        if rank() == 0:
            content = workflow.parser.get_parsed_content
            films = content("split")["train"] + content("split")["val"]
            bind_to_films(folder, films, content("load_film"), anew=anew)
