"""A small training with the handlers of the bundles, for the tests of what goes wrong in one."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Loss, Metric
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import LrScheduleHandler, ValidationHandler
from monai.transforms import Compose, EnsureTyped, RandFlipd
from torch import nn

from cxr_noise_transforms import QuantumNoise
from cxr_noise_transforms.monai import NoisyBatch, RandNoised
from cxr_noise_transforms.study.training.averaging import WeightAveraging
from cxr_noise_transforms.study.training.handlers import ClipGradNorm, EarlyStop, EpochSeeds
from cxr_noise_transforms.study.training.resume import Resume

CPU = torch.device("cpu")


class Scripted(Metric):
    """A validation loss that is told in advance, one value per epoch."""

    def __init__(self, values: Sequence[float], epoch: Callable[[], int]) -> None:
        self.values = values
        self.epoch = epoch
        super().__init__(output_transform=lambda _: None)

    def reset(self) -> None:
        pass

    def update(self, output: Any) -> None:
        pass

    def compute(self) -> float:
        return self.values[self.epoch() - 1]


class Training:
    """Everything of one training; making it anew is what another process would do.

    Args:
        folder: of its files.
        epochs: to train.
        start: first epoch of the weight average.
        patience: of the early stopping.
        losses: validation losses by epoch instead of the true ones.
        random: shuffle, augment, add noise, drop out.
        workers: of the loader.
        settings: that must be the same to go on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        epochs: int = 4,
        start: int = 2,
        patience: int = 10,
        losses: Sequence[float] | None = None,
        random: bool = True,
        workers: int = 0,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.network = nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.Dropout(0.3 if random else 0.0),
            nn.Flatten(),
            nn.Linear(108, 1),
        )
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.05)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)
        image = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        films = [
            {"id": f"film{number}", "image": one, "label": one.mean().reshape(1) * 4}
            for number, one in enumerate(image)
        ]
        noise = RandNoised("image", QuantumNoise(sq=4), prob=0.5)
        flip = RandFlipd("image", prob=0.5, spatial_axis=1)
        typed = EnsureTyped(["image", "label"], track_meta=False)
        transform = Compose([flip, noise, typed] if random else [typed])
        self.loader = DataLoader(
            Dataset(films, transform), batch_size=4, shuffle=random, num_workers=workers
        )
        self.epochs: list[int] = []
        self.weights: list[dict[str, torch.Tensor]] = []
        measure: Metric = Loss(
            nn.MSELoss(), output_transform=lambda output: (output["pred"], output["label"])
        )
        if losses is not None:
            measure = Scripted(losses, lambda: self.trainer.state.epoch)
        self.evaluator = SupervisedEvaluator(
            device=CPU,
            val_data_loader=DataLoader(Dataset(films, typed), batch_size=5),
            network=self.network,
            key_val_metric={"val_loss": measure},
            metric_cmp_fn=lambda current, best: current < best or math.isnan(best),
            decollate=False,
        )
        self.early_stop = EarlyStop(self.evaluator, patience, "val_loss")
        self.averaging = WeightAveraging(self.network, start, folder / "model_swa.pt", self.loader)
        self.resume = Resume(
            folder,
            self.network,
            self.optimizer,
            self.schedule,
            self.evaluator,
            self.early_stop,
            self.averaging,
            {"epochs": epochs, "patience": patience, **(settings or {})},
        )
        self.trainer = SupervisedTrainer(
            device=CPU,
            max_epochs=epochs,
            train_data_loader=self.loader,
            network=self.network,
            optimizer=self.optimizer,
            loss_function=nn.MSELoss(),
            prepare_batch=NoisyBatch(QuantumNoise(sq=(0, 4)) if random else None),
            decollate=False,
            train_handlers=[
                EpochSeeds(7, transform),
                LrScheduleHandler(self.schedule, print_lr=False),
                ClipGradNorm(0.5),
                self.early_stop,
                ValidationHandler(1, self.evaluator),
                self.averaging,
                self,
                self.resume,
            ],
        )

    def attach(self, engine: Engine) -> None:
        """Note every finished epoch and its weights."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._note)

    def _note(self, engine: Engine) -> None:
        self.epochs.append(engine.state.epoch)
        state = self.network.state_dict()
        self.weights.append({name: value.clone() for name, value in state.items()})

    def run(self) -> "Training":
        """Train."""
        self.trainer.run()
        return self


def loaded(folder: Path) -> dict[str, Any]:
    """What a training wrote, by file."""
    return {path.name: torch.load(path, weights_only=True) for path in sorted(folder.iterdir())}


def same(one: Any, other: Any) -> bool:
    """Whether two nested states are equal bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
