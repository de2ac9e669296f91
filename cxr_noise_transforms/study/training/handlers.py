"""Training handlers that MONAI and ignite do not have."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping
from monai.engines import IterationEvents
from monai.transforms import Compose
from torch import nn

from cxr_noise_transforms.study.predictions import refuse_nan
from cxr_noise_transforms.study.processes import rank, world
from cxr_noise_transforms.study.progress import Progress


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


class EpochSeeds:
    """Make every epoch's randomness a function of ``(seed, epoch)`` alone.

    Shuffling, augmentation, dropout and noise of an epoch are then the same whether the training
    ran through or went on after an interruption. In a distributed run every rank draws its own.

    Args:
        seed: of the training, 0 to 2**32 - 1.
        transform: random transform of the training films.
        sampler: distributed sampler of the training films, if there is one.
    """

    def __init__(
        self,
        seed: int,
        transform: Compose,
        sampler: torch.utils.data.DistributedSampler | None = None,
    ) -> None:
        self.seed = seed
        self.transform = transform
        self.sampler = sampler

    def attach(self, engine: Engine) -> None:
        """Seed at the start of every epoch, before the loader's iterator exists, and at the end."""
        engine.add_event_handler(Events.EPOCH_STARTED | Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed torch and the transform."""
        # 0 names what happens after the last epoch
        epoch = 0 if engine.last_event_name == Events.COMPLETED else engine.state.epoch
        entropy = np.random.SeedSequence([self.seed, epoch, rank()])
        seed = int(entropy.generate_state(1)[0])
        torch.manual_seed(seed)
        self.transform.set_random_state(seed=seed)
        if self.sampler is not None:
            self.sampler.set_epoch(epoch)


class EarlyStop:
    """ignite's ``EarlyStopping`` on the evaluator's metric, which must fall.

    Args:
        evaluator: runs on every rank and has the same metric on every rank.
        patience: epochs without improvement.
        metric: name of a metric of the evaluator, lower is better.
    """

    def __init__(self, evaluator: Engine, patience: int, metric: str) -> None:
        self.evaluator = evaluator
        self.patience = patience
        self.metric = metric
        self.stopping: EarlyStopping | None = None

    def attach(self, engine: Engine) -> None:
        """Stop this trainer."""
        self.stopping = EarlyStopping(
            patience=self.patience,
            score_function=self._score,
            trainer=engine,
        )
        self.evaluator.add_event_handler(Events.COMPLETED, self.stopping)

    def _score(self, evaluator: Engine) -> float:
        value = evaluator.state.metrics[self.metric]
        # NaN is no improvement, though no comparison says so
        return -math.inf if math.isnan(value) else -value

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.stopping is not None and self.stopping.counter >= self.patience


class RefuseNaN:
    """Stop an evaluator at a prediction that is not a number, before it enters a metric."""

    def attach(self, engine: Engine) -> None:
        """Check after every batch."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Raise ``ValueError`` naming the first film whose prediction holds NaN."""
        refuse_nan(engine.state.output["pred"], engine.state.batch["id"])


class SameBuffers:
    """Give every rank the first rank's running statistics before validation."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Run after every epoch; list it before the validation."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self) -> None:
        """Broadcast the buffers."""
        if world() > 1:
            for buffer in self.network.buffers():
                dist.broadcast(buffer, src=0)


class EpochProgress:
    """Says after every epoch how far a trainer is, with the evaluator's latest metrics."""

    def __init__(self, description: str, evaluator: Engine) -> None:
        self.description = description
        self.evaluator = evaluator
        self._progress: Progress | None = None

    def attach(self, engine: Engine) -> None:
        """Begin at the first epoch, advance after every epoch, close at the end."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._open)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._advance)
        engine.add_event_handler(Events.COMPLETED | Events.TERMINATE, self._close)
        # ignite takes an exception that has a handler for dealt with
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._give_up)

    def _open(self, engine: Engine) -> None:
        if self._progress is None:
            done, total = engine.state.epoch - 1, engine.state.max_epochs
            self._progress = Progress(
                self.description, total, "epoch", done=done, hidden=rank() != 0
            )

    def _advance(self) -> None:
        if self._progress is not None:
            metrics = self.evaluator.state.metrics
            self._progress.step(", ".join(f"{name}={value:.3f}" for name, value in metrics.items()))

    def _give_up(self, error: BaseException) -> None:
        self._close()
        raise error

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.close()
