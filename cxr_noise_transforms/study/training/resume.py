"""Go on with a training where it was killed, as if it had not been."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.processes import rank, world

from .averaging import WeightAveraging
from .handlers import EarlyStop


class Resume:
    """Save the best network and the whole state of the training after every epoch.

    ``model.pt`` is the network with the evaluator's best metric, ``resume.pt`` everything else:
    weights, optimizer, schedule, loss scale, average, epoch, best value and the epochs without
    improvement. When a training starts and ``resume.pt`` is there, it goes on from it. List this
    handler last, so that an epoch's other handlers have done their work when it is saved.

    Args:
        folder: of the two files.
        network: the network, without a wrapper for distributed training.
        optimizer: its optimizer.
        lr_scheduler: its schedule.
        evaluator: its validation, whose best metric decides.
        early_stop: its early stopping.
        averaging: its weight averaging.
        settings: what a training must have in common with the one it goes on from.

    Raises:
        ValueError: ``resume.pt`` cannot be read or is of other settings.
    """

    def __init__(
        self,
        folder: str | Path,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        lr_scheduler: torch.optim.lr_scheduler.LRScheduler,
        evaluator: Engine,
        early_stop: EarlyStop,
        averaging: WeightAveraging,
        settings: Mapping[str, Any],
    ) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "resume.pt"
        self.parts: dict[str, Any] = {
            "network": network,
            "optimizer": optimizer,
            "lr_scheduler": lr_scheduler,
            "average": averaging.average,
        }
        self.network = network
        self.evaluator = evaluator
        self.early_stop = early_stop
        self.settings = {name: short(value) for name, value in settings.items()}
        self.settings["processes"] = world()

    def attach(self, engine: Engine) -> None:
        """Load at the start, save after every epoch."""
        engine.add_event_handler(Events.STARTED, self._load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)

    def _save(self, engine: Engine) -> None:
        if rank() != 0:
            return
        best = self.evaluator.state
        # NaN is no best value
        if best.best_metric_epoch == engine.state.epoch and best.best_metric == best.best_metric:
            with whole_file(self.folder / "model.pt") as beside:
                torch.save(self.network.state_dict(), beside)
        stopping = self.early_stop.stopping
        state = {
            "settings": self.settings,
            "epoch": engine.state.epoch,
            "iteration": engine.state.iteration,
            "best_metric": best.best_metric,
            "best_metric_epoch": best.best_metric_epoch,
            "early_stop": None if stopping is None else dict(stopping.state_dict()),
            "scaler": engine.scaler.state_dict() if engine.scaler else None,
            **{name: part.state_dict() for name, part in self.parts.items()},
        }
        with whole_file(self.path) as beside:
            torch.save(state, beside)

    def _load(self, engine: Engine) -> None:
        if not self.path.is_file():
            return
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            stored = state["settings"]
        # a file of another kind fails in the unpickler in any way
        except Exception as error:
            raise ValueError(
                f"cannot go on from {self.path} ({type(error).__name__}): remove it to train anew"
            ) from error
        other = [
            f"{name} {stored.get(name)} there, {self.settings.get(name)} now"
            for name in sorted(stored.keys() | self.settings.keys())
            if stored.get(name) != self.settings.get(name)
        ]
        if other:
            raise ValueError(
                f"{self.path} is of a training with other settings ({'; '.join(other)}): "
                "remove it to train anew, or choose another ckpt_dir"
            )
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["iteration"]
        self.evaluator.state.best_metric = state["best_metric"]
        self.evaluator.state.best_metric_epoch = state["best_metric_epoch"]
        if engine.scaler and state["scaler"]:
            engine.scaler.load_state_dict(state["scaler"])
        if self.early_stop.stopping is not None:
            self.early_stop.stopping.load_state_dict(state["early_stop"])
        if self.early_stop.exhausted:
            engine.terminate()


def short(value: Any) -> Any:
    """The value where it is one word or number, the digest of anything longer."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if isinstance(value, str) and len(text) <= 80:
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:12]
