"""Training handlers, each on engines that really run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.data import DataLoader as MonaiLoader
from monai.data import Dataset as MonaiDataset
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.transforms import Compose, RandGaussianNoised
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler
from trainings import Training

from cxr_noise_transforms import QuantumNoise
from cxr_noise_transforms.monai import RandNoised
from cxr_noise_transforms.study.predictions import refuse_nan
from cxr_noise_transforms.study.training.handlers import (
    ClipGradNorm,
    EarlyStop,
    EpochProgress,
    EpochSeeds,
    RefuseNaN,
    SameBuffers,
    rank,
)


def gradient_norms(*handlers: ClipGradNorm) -> list[float]:
    """Norm of the gradients that the optimizer saw, one per step, of a real trainer."""
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 1)
    batches = [{"image": 100 * torch.randn(4), "label": torch.zeros(1)} for _ in range(6)]
    norms = []

    class Recorder(torch.optim.SGD):
        def step(self) -> None:  # type: ignore[override]
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.cat([g.flatten() for g in gradients]).norm()))

    SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=DataLoader(batches, batch_size=2),
        network=network,
        optimizer=Recorder(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        decollate=False,
        train_handlers=list(handlers),
    ).run()
    return norms


def test_gradients_are_clipped_before_the_step() -> None:
    assert min(gradient_norms()) > 1
    assert all(abs(norm - 0.5) < 1e-4 for norm in gradient_norms(ClipGradNorm(0.5)))


def test_small_gradients_are_left_alone() -> None:
    assert gradient_norms(ClipGradNorm(1e9)) == gradient_norms()


# epochs are a function of their number


def epochs(
    first: int = 1,
    last: int = 3,
    *,
    seed: int = 5,
    workers: int = 0,
    sampler: DistributedSampler | None = None,
    history: int = 0,
) -> dict[int, list[np.ndarray]]:
    """What a training sees in each epoch that it runs; 0 is what happens after the last."""
    noises = [RandGaussianNoised("image", prob=0.5), RandNoised("image", QuantumNoise(4), prob=0.5)]
    transform = Compose(noises)
    films = [{"id": number, "image": torch.full((1, 4, 4), number / 10)} for number in range(10)]
    torch.manual_seed(history)
    loader = MonaiLoader(
        MonaiDataset(films, transform),
        batch_size=4,
        shuffle=sampler is None,
        sampler=sampler,
        num_workers=workers,
    )
    seen: dict[int, list[np.ndarray]] = {}

    def look(engine: Engine, batch: dict[str, torch.Tensor]) -> None:
        # dropout and noise on the device draw from torch
        drawn = [batch["image"].numpy().copy(), batch["id"].numpy(), torch.rand(3).numpy()]
        seen.setdefault(engine.state.epoch, []).extend(drawn)

    engine = Engine(look)
    EpochSeeds(seed, transform, sampler).attach(engine)

    @engine.on(Events.STARTED)
    def go_on(engine: Engine) -> None:
        engine.state.epoch = first - 1
        engine.state.iteration = (first - 1) * len(loader)

    @engine.on(Events.COMPLETED)
    def after() -> None:
        seen[0] = [next(iter(loader))["image"].numpy(), torch.rand(3).numpy()]

    engine.run(loader, max_epochs=last)
    return seen


def equal(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_the_same_wherever_the_training_began(workers: int) -> None:
    through = epochs(workers=workers)
    assert sorted(through) == [0, 1, 2, 3]
    for first in (2, 3, 4):
        started = epochs(first, workers=workers, history=first)
        assert sorted(started) == [0, *range(first, 4)]
        assert all(equal(batches, through[epoch]) for epoch, batches in started.items())


def test_epochs_and_seeds_differ() -> None:
    seen = [*epochs().values(), *epochs(seed=6).values()]
    assert len({epoch[0].tobytes() for epoch in seen}) == 8


def test_a_distributed_sampler_is_told_the_epoch() -> None:
    def sampler() -> DistributedSampler:
        return DistributedSampler(range(10), num_replicas=2, rank=1, seed=3)

    through, started = epochs(sampler=sampler()), epochs(2, sampler=sampler(), history=1)
    assert all(equal(batches, through[epoch]) for epoch, batches in started.items())
    orders = {np.concatenate(through[epoch][1::3]).tobytes() for epoch in (1, 2, 3)}
    assert len(orders) == 3


# stopping early


def stopped_after(losses: Sequence[float], patience: int) -> tuple[int, list[bool]]:
    """The last epoch, and after each whether patience had run out."""
    trainer, evaluator = Engine(lambda *_: None), Engine(lambda *_: None)
    stop = EarlyStop(evaluator, patience, "val_loss")
    assert not stop.exhausted
    stop.attach(trainer)
    exhausted = []

    @evaluator.on(Events.EPOCH_COMPLETED)
    def measure() -> None:
        evaluator.state.metrics["val_loss"] = losses[trainer.state.epoch - 1]

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate() -> None:
        evaluator.run([0])
        exhausted.append(stop.exhausted)

    trainer.run([0], max_epochs=len(losses))
    return trainer.state.epoch, exhausted


@pytest.mark.parametrize(
    ("losses", "patience", "last"),
    [
        ([1, 2, 2, 0], 2, 3),
        ([1, 1, 0, 0], 1, 2),
        ([2, 3, 1, 3, 3, 3, 3], 2, 5),
        ([3, 2, 1, 2, 2, 2], 3, 6),
        ([1, math.nan, math.nan, 0], 2, 3),
        ([math.nan, math.nan, math.nan, 0], 2, 3),
        ([math.nan, 2, 1, 2, 2, 2], 3, 6),
        ([5, math.nan, 6, 0], 2, 3),
    ],
)
def test_training_ends_when_patience_does(losses: list[float], patience: int, last: int) -> None:
    epoch, exhausted = stopped_after(losses, patience)
    assert epoch == last
    assert exhausted == [False] * (last - 1) + [True]


def test_training_that_improves_runs_to_its_end() -> None:
    assert stopped_after([4, 3, 2, 1], 1) == (4, [False] * 4)


# predictions that are no numbers


def test_a_prediction_that_is_no_number_names_its_film() -> None:
    prediction = torch.zeros(4, 2, 3, 3)
    refuse_nan(prediction, ["a", "b", "c", "d"])
    prediction[1] = torch.inf
    refuse_nan(prediction, ["a", "b", "c", "d"])
    prediction[2, 1, 0, 0] = prediction[3] = torch.nan
    with pytest.raises(ValueError, match=r"NaN for film c \(2 of 4 in its batch\)$"):
        refuse_nan(prediction, ["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"^3 films gave 4 predictions$"):
        refuse_nan(prediction, ["a", "b", "c"])


def test_an_evaluator_stops_at_a_prediction_that_is_no_number() -> None:
    image = torch.ones(6, 1, 4, 4)
    image[4, 0, 2, 2] = torch.nan
    films = [{"id": f"film{number}", "image": one} for number, one in enumerate(image)]

    def run(films: list[dict[str, Any]]) -> int:
        evaluator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=DataLoader(films, batch_size=2),
            network=nn.Conv2d(1, 1, 3),
            val_handlers=[RefuseNaN()],
            decollate=False,
        )
        evaluator.run()
        return evaluator.state.iteration

    assert run(films[:4]) == 2
    with pytest.raises(ValueError, match=r"predicts NaN for film film4 \(1 of 2"):
        run(films)


# several processes


def test_alone_there_is_one_rank_and_nothing_to_share() -> None:
    assert rank() == 0
    network = nn.BatchNorm2d(2)
    network.running_mean += 1
    SameBuffers(network)()
    assert network.running_mean.tolist() == [1, 1]


def _process(number: int, folder: str) -> None:
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=number, world_size=2)
    assert rank() == number
    network = nn.BatchNorm2d(2)
    network(torch.randn(4, 2, 3, 3) + number)
    before = {name: value.clone() for name, value in network.named_buffers()}
    engine = Engine(lambda *_: None)
    SameBuffers(network).attach(engine)
    engine.run([0])
    after = dict(network.named_buffers())
    seen = {epoch: batches[0] for epoch, batches in epochs().items()}
    torch.save((before, after), f"{folder}/buffers{number}.pt")
    np.savez(f"{folder}/epochs{number}.npz", **{str(epoch): one for epoch, one in seen.items()})
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_one_rank_each(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(_process, (str(tmp_path),), nprocs=2)
    zero, one = (torch.load(tmp_path / f"buffers{number}.pt") for number in (0, 1))
    assert not torch.equal(zero[0]["running_mean"], one[0]["running_mean"])
    for name, value in zero[0].items():
        assert torch.equal(zero[1][name], value)
        assert torch.equal(one[1][name], value)
    # every rank has random numbers of its own
    first, second = (np.load(tmp_path / f"epochs{number}.npz") for number in (0, 1))
    assert all(np.array_equal(first[str(epoch)], epochs()[epoch][0]) for epoch in range(4))
    assert not any(np.array_equal(first[epoch], second[epoch]) for epoch in first)


def test_progress_over_the_epochs_goes_on_where_the_training_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for total, first in ((2, 1), (4, 3)):
        # the settings of both are the same, so that the second goes on
        training = Training(tmp_path, epochs=total, settings={"epochs": None})
        EpochProgress("Unet", training.evaluator).attach(training.trainer)
        training.run()
        shown = capsys.readouterr().err.splitlines()
        assert len(shown) == 2
        loss = training.evaluator.state.metrics["val_loss"]
        assert shown[0].startswith(f"Unet: epoch {first} of {total}, val_loss=")
        assert shown[1].startswith(f"Unet: epoch {total} of {total}, val_loss={loss:.3f}, ")
