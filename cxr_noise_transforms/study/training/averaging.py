"""Stochastic weight averaging over the last epochs of a training."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim.swa_utils import AveragedModel, update_bn

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.processes import rank


class WeightAveraging:
    """Average the weights after every epoch from ``start`` on and save them at the end.

    Before saving, the averaged network's batch normalisation is estimated anew on the training
    films, prepared as the trainer prepares them.

    Args:
        network: to average, without a wrapper for distributed training.
        start: first epoch that counts, from 1; ``None`` averages nothing. Early stopping may end
            the training before.
        path: file of the averaged weights, a state dict.
        loader: training films.

    Warns:
        UserWarning: the training ended before ``start``; no file is written.

    References:
        Izmailov et al., UAI 2018, arXiv:1803.05407.
    """

    def __init__(
        self, network: nn.Module, start: int | None, path: str | Path, loader: Iterable[Any]
    ) -> None:
        if start is not None and start < 1:
            raise ValueError(f"swa_start must be an epoch, at least 1, or null, got {start}")
        self.start = start
        self.path = Path(path)
        self.network = network
        self.loader = loader
        self.average = AveragedModel(network)

    @property
    def epochs(self) -> int:
        """How many epochs are in the average."""
        return int(self.average.n_averaged)

    def attach(self, engine: Engine) -> None:
        """Average after every epoch, save after the last."""
        if self.start is None:
            return
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._update)
        engine.add_event_handler(Events.COMPLETED, self._save)

    def _update(self, engine: Engine) -> None:
        if engine.state.epoch >= (self.start or 1):
            self.average.update_parameters(self.network)

    def _save(self, engine: Engine) -> None:
        if not self.epochs:
            warnings.warn(
                f"weight averaging never began: training ended after epoch {engine.state.epoch}, "
                f"swa_start is {self.start}",
                stacklevel=2,
            )
            return
        if rank() == 0:
            update_bn(self._images(engine), self.average)
            with whole_file(self.path) as beside:
                torch.save(self.average.module.state_dict(), beside)

    def _images(self, engine: Engine) -> Iterator[torch.Tensor]:
        for batch in self.loader:
            yield engine.prepare_batch(batch, engine.state.device, engine.non_blocking)[0]
