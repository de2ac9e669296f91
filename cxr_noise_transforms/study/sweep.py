"""The severity sweep: train each network once on clean films, then evaluate it in every cell.

Everything finished is a file, so a sweep that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import monai
import pandas as pd
import torch
from monai.bundle import ConfigWorkflow
from tqdm import tqdm

from cxr_noise_transforms import LADDER, RadiographicNoise, __version__

from .files import whole_file

METRICS = ("dice", "iou")


@dataclass(frozen=True)
class Sweep:
    """One task under the severity ladder.

    Args:
        bundle: folder of a MONAI bundle with ``configs/train.yaml`` and ``configs/evaluate.yaml``.
        out: folder of the results.
        options: bundle keys for training and evaluation (``dataset_dir``, ``organs``, ``size``,
            ``encoder``, ``phantoms``, ``seed``).
        training: bundle keys for training alone (``encoder_weights``, ``epochs``, ...).
        device: name of a torch device, ``None`` for CUDA where there is one.
        cells: severities ``(sq, se)``.
        noise_seeds: repetitions of the noise.
    """

    bundle: Path
    out: Path
    options: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    cells: Sequence[tuple[float, float]] = LADDER
    noise_seeds: Sequence[int] = (0,)

    def run(self, architectures: Sequence[str]) -> pd.DataFrame:
        """Train and evaluate what is not finished yet.

        Returns:
            One row per network, cell, noise seed, film, organ and metric, for these networks and
            for others that former calls finished; also written to ``per_image.csv``, with
            settings, versions and machine in ``run.json``.

        Raises:
            ConnectionError: pretrained weights are out of reach.
            FileNotFoundError: films, landmarks or weights are not there.
            ValueError: ``out`` holds a sweep with other settings; films, weights or options are
                not what they should be.
        """
        self._check_settings()
        for number, arch in enumerate(architectures, start=1):
            print(f"[{number}/{len(architectures)}] {arch}")  # noqa: T201 (progress)
            with own_errors():
                self._train(arch)
                self._evaluate(arch)
        # and the networks of former calls
        others = sorted(record.parent.name for record in self.out.glob("*/training.json"))
        finished = [*architectures, *(o for o in others if o not in architectures)]
        finished = [arch for arch in finished if not self._missing_cells(arch)]
        table = pd.concat(
            [
                pd.read_csv(self._cell_file(arch, sq, se, seed))
                for arch, seed, (sq, se) in product(finished, self.noise_seeds, self.cells)
            ],
            ignore_index=True,
        )
        with whole_file(self.out / "per_image.csv") as beside:
            table.to_csv(beside, index=False)
        self._write_provenance(finished)
        return table

    def evaluation(self, arch: str) -> ConfigWorkflow:
        """The bundle's evaluation of a trained network, initialised."""
        return self._workflow("evaluate", arch, handlers=[])

    def _train(self, arch: str) -> None:
        record, model = self.out / arch / "training.json", self.out / arch / "model.pt"
        if record.is_file() and model.is_file():
            print(f"  trained already: {model}")  # noqa: T201
            return
        # what a former network left does not belong to the new one
        for left in (record, model, *(self.out / arch / "cells").glob("*.csv")):
            left.unlink(missing_ok=True)
        workflow = self._workflow("train", arch, **self.training)
        films = len(workflow.parser.get_parsed_content("split")["train"])
        if films < workflow.parser.get_parsed_content("batch_size"):
            raise ValueError(f"batch size must be at most the {films} films to train on")
        self._keep_settings()
        workflow.run()
        evaluator = workflow.parser.get_parsed_content("validate#evaluator")
        trainer = workflow.parser.get_parsed_content("train#trainer")
        workflow.finalize()
        if not model.is_file():
            raise ValueError(
                f"{arch} has no checkpoint after {trainer.state.epoch} epochs: "
                f"the validation loss was never a number"
            )
        with whole_file(record) as beside:
            beside.write_text(
                json.dumps(
                    {
                        "epochs": trainer.state.epoch,
                        "best_epoch": evaluator.state.best_metric_epoch,
                        "best_validation_loss": evaluator.state.best_metric,
                    }
                )
            )

    def _evaluate(self, arch: str) -> None:
        missing = self._missing_cells(arch)
        if not missing:
            print(f"  evaluated already: {self.out / arch / 'cells'}")  # noqa: T201
            return
        workflow = self.evaluation(arch)
        for seed, sq, se in tqdm(missing, desc=arch, unit="cell"):
            rows = pd.DataFrame(self._cell_rows(workflow, arch, sq, se, seed))
            with whole_file(self._cell_file(arch, sq, se, seed)) as beside:
                rows.to_csv(beside, index=False)

    def _missing_cells(self, arch: str) -> list[tuple[int, float, float]]:
        return [
            (seed, sq, se)
            for seed, (sq, se) in product(self.noise_seeds, self.cells)
            if not self._cell_file(arch, sq, se, seed).is_file()
        ]

    def _cell_rows(
        self, workflow: ConfigWorkflow, arch: str, sq: float, se: float, seed: int
    ) -> Iterator[dict[str, Any]]:
        evaluator = workflow.evaluator
        evaluator.prepare_batch.noise = RadiographicNoise(sq, se, bits=8)
        evaluator.prepare_batch.seed = seed
        evaluator.run()
        films = workflow.parser.get_parsed_content("split")["test"]
        organs = workflow.parser.get_parsed_content("organ_names")
        for metric in METRICS:
            details = evaluator.state.metric_details[metric]
            for film, values in zip(films, details.tolist(), strict=True):
                for organ, value in zip(organs, values, strict=True):
                    yield {
                        "task": self.options["organs"],
                        "network": arch,
                        "encoder": self.options["encoder"],
                        "weights": self.training.get("encoder_weights"),
                        "training_seed": self.options["seed"],
                        "sq": sq,
                        "se": se,
                        "noise_seed": seed,
                        "image": film["id"],
                        "patient": film["patient"],
                        "source": film["source"],
                        "organ": organ,
                        "metric": metric,
                        "value": value,
                    }

    def _workflow(self, name: str, arch: str, **overrides: Any) -> ConfigWorkflow:
        # MONAI warns about the logging configuration that is switched off here
        logging.getLogger("monai.bundle.workflows").setLevel(logging.ERROR)
        workflow = ConfigWorkflow(
            config_file=str(self.bundle / "configs" / f"{name}.yaml"),
            workflow_type="train" if name == "train" else "infer",
            logging_file=False,
            bundle_root=str(self.bundle),
            ckpt_dir=str(self.out / arch),
            split_file=str(self.out / "split.json"),
            arch=arch,
            **({} if self.device is None else {"device": f"$torch.device({self.device!r})"}),
            **self.options,
            **overrides,
        )
        workflow.initialize()
        return workflow

    def _cell_file(self, arch: str, sq: float, se: float, seed: int) -> Path:
        return self.out / arch / "cells" / f"sq{sq:g}_se{se:g}_seed{seed}.csv"

    def _write_provenance(self, architectures: Sequence[str]) -> None:
        run = {
            "settings": self._settings(),
            "networks": {
                arch: json.loads((self.out / arch / "training.json").read_text())
                for arch in architectures
            },
            "package": __version__,
            "torch": torch.__version__,
            "monai": monai.__version__,
            "python": platform.python_version(),
            "machine": _machine(),
        }
        with whole_file(self.out / "run.json") as beside:
            beside.write_text(json.dumps(run, indent=1))

    def _dataset_name(self) -> str:
        # a folder's place on one machine means nothing on another
        folder = self.options["dataset_dir"]
        return "phantom" if folder is None else Path(folder).name

    def _settings(self) -> dict[str, Any]:
        settings = {**self.options, **self.training, "dataset_dir": self._dataset_name()}
        return dict(json.loads(json.dumps(settings)))

    def _keep_settings(self) -> None:
        with whole_file(self.out / "settings.json") as beside:
            beside.write_text(json.dumps(self._settings(), indent=1))

    def _check_settings(self) -> None:
        path = self.out / "settings.json"
        # a sweep that never finished a network binds nobody
        if not path.is_file() or not any(self.out.glob("*/training.json")):
            (self.out / "split.json").unlink(missing_ok=True)
            return
        stored, settings = json.loads(path.read_text()), self._settings()
        other = [
            f"{key} {stored.get(key)} there, {settings.get(key)} now"
            for key in sorted(stored.keys() | settings.keys())
            if stored.get(key) != settings.get(key)
        ]
        if other:
            raise ValueError(
                f"{self.out} holds a sweep with other settings ({'; '.join(other)}): "
                "choose another folder with --out, or the same settings"
            )


@contextmanager
def own_errors() -> Iterator[None]:
    """What this package refused, without the layers that MONAI's configuration wraps it in."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConnectionError | FileNotFoundError | ValueError):
                raise cause from None
            cause = cause.__cause__
        raise


def _machine() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {os.cpu_count()} cores"
