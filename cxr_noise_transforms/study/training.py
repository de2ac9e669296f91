"""Training handlers that MONAI and ignite do not have."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents
from tqdm import tqdm


class ClipGradNorm:
    """Scale gradients down to a total norm of ``max_norm`` before every optimizer step.

    Attach to a ``SupervisedTrainer``. Under mixed precision the gradients are unscaled first.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        """Run after every backward pass."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Clip the gradients of the engine's network."""
        if engine.amp and engine.scaler is not None:
            engine.scaler.unscale_(engine.optimizer)
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)


class EpochProgress:
    """One progress bar over a trainer's epochs, showing the evaluator's latest metrics."""

    def __init__(self, description: str, evaluator: Engine) -> None:
        self.description = description
        self.evaluator = evaluator
        self._bar: tqdm | None = None

    def attach(self, engine: Engine) -> None:
        """Open the bar at the start, advance it after every epoch, close it at the end."""
        engine.add_event_handler(Events.STARTED, self._open)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._advance)
        engine.add_event_handler(Events.COMPLETED | Events.TERMINATE, self._close)

    def _open(self, engine: Engine) -> None:
        self._bar = tqdm(total=engine.state.max_epochs, desc=self.description, unit="epoch")

    def _advance(self) -> None:
        if self._bar is not None:
            metrics = self.evaluator.state.metrics
            self._bar.set_postfix({name: f"{value:.3f}" for name, value in metrics.items()})
            self._bar.update()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
