"""A training that was killed goes on as if it had not been."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from trainings import Training, loaded, same


def killed(training: Training, point: str, epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run until the process is killed in an epoch: in a batch, validated, or while saving."""

    def kill(_: Any = None) -> None:
        if training.trainer.state.epoch == epoch:
            raise KeyboardInterrupt

    save = torch.save

    def save_or_kill(state: Any, path: Path) -> None:
        if "resume" in path.name:
            kill()
        save(state, path)

    if point == "batch":
        second = Events.ITERATION_COMPLETED(event_filter=lambda _, event: event % 3 == 2)
        training.trainer.add_event_handler(second, kill)
    elif point == "validated":
        training.evaluator.add_event_handler(Events.COMPLETED, kill)
    else:
        monkeypatch.setattr(torch, "save", save_or_kill)
    with pytest.raises(KeyboardInterrupt):
        training.run()
    monkeypatch.undo()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, dict[str, Any]]:
    """A training that ran through."""
    folder = tmp_path_factory.mktemp("whole")
    torch.manual_seed(0)
    return Training(folder).run(), loaded(folder)


@pytest.mark.parametrize("epoch", [1, 2, 4])
@pytest.mark.parametrize("point", ["batch", "validated", "model saved"])
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(
    whole: tuple[Training, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    epoch: int,
) -> None:
    torch.manual_seed(0)
    first = Training(tmp_path)
    start = {name: value.clone() for name, value in first.network.state_dict().items()}
    killed(first, point, epoch, monkeypatch)
    assert (tmp_path / "resume.pt").is_file() == (epoch > 1)
    # another process starts with other random numbers
    torch.manual_seed(99)
    again = Training(tmp_path)
    if epoch == 1:
        again.network.load_state_dict(start)
        again.averaging.average.module.load_state_dict(start)
    again.run()
    assert again.epochs == list(range(epoch, 5))
    training, files = whole
    assert set(files) == {"model.pt", "model_swa.pt", "resume.pt"}
    assert same(loaded(tmp_path), files)
    assert same(again.network.state_dict(), training.network.state_dict())
    assert same(again.optimizer.state_dict(), training.optimizer.state_dict())
    assert same(again.averaging.average.state_dict(), training.averaging.average.state_dict())
    for name in ("best_metric", "best_metric_epoch"):
        assert getattr(again.evaluator.state, name) == getattr(training.evaluator.state, name)
    assert again.trainer.state.iteration == training.trainer.state.iteration


def test_the_comparison_sees_a_training_of_another_seed(
    whole: tuple[Training, dict[str, Any]], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    Training(tmp_path).run()
    other = loaded(tmp_path)
    assert not any(same(other[name], file) for name, file in whole[1].items())


def test_workers_resume_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "killed"):
        torch.manual_seed(0)
        training = Training(tmp_path / name, epochs=3, workers=2)
        if name == "whole":
            training.run()
        else:
            killed(training, "validated", 2, monkeypatch)
            Training(tmp_path / name, epochs=3, workers=2).run()
    assert same(loaded(tmp_path / "whole"), loaded(tmp_path / "killed"))


def test_the_best_network_is_kept(tmp_path: Path) -> None:
    training = Training(tmp_path, losses=[3, 1, 2, 2]).run()
    assert training.evaluator.state.best_metric_epoch == 2
    assert same(loaded(tmp_path)["model.pt"], training.weights[1])


def test_the_best_network_may_be_from_before_the_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Training(tmp_path, losses=[3, 1, 2, 2])
    killed(first, "batch", 4, monkeypatch)
    again = Training(tmp_path, losses=[3, 1, 2, 2]).run()
    assert (again.epochs, again.evaluator.state.best_metric_epoch) == ([4], 2)
    assert same(loaded(tmp_path)["model.pt"], first.weights[1])


def test_a_loss_that_is_no_number_is_never_best(tmp_path: Path) -> None:
    training = Training(tmp_path, losses=[math.nan, 2, math.nan, 3]).run()
    assert training.evaluator.state.best_metric_epoch == 2
    assert same(loaded(tmp_path)["model.pt"], training.weights[1])


def test_without_any_number_there_is_no_best_network(tmp_path: Path) -> None:
    Training(tmp_path, epochs=2, losses=[math.nan] * 2).run()
    assert set(loaded(tmp_path)) == {"model_swa.pt", "resume.pt"}


def test_a_finished_training_does_not_train_again(tmp_path: Path) -> None:
    first = Training(tmp_path).run()
    files = loaded(tmp_path)
    again = Training(tmp_path).run()
    assert again.epochs == []
    assert again.trainer.state.epoch == 4
    assert same(again.network.state_dict(), first.network.state_dict())
    assert same(loaded(tmp_path), files)


def test_a_kill_before_the_average_is_saved_costs_no_training(tmp_path: Path) -> None:
    Training(tmp_path).run()
    files = loaded(tmp_path)
    (tmp_path / "model_swa.pt").unlink()
    assert Training(tmp_path).run().epochs == []
    assert same(loaded(tmp_path), files)


def test_an_early_stop_is_final(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 9, "patience": 2, "losses": [2, 1, 3, 1, 0, 0, 0, 0, 0]}
    assert Training(tmp_path, **options).run().epochs == [1, 2, 3, 4]
    files = loaded(tmp_path)
    again = Training(tmp_path, **options).run()
    assert again.epochs == []
    assert again.early_stop.exhausted
    assert same(loaded(tmp_path), files)


def test_epochs_without_improvement_are_counted_across_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"epochs": 9, "patience": 3, "losses": [1, 2, 2, 2, 0, 0, 0, 0, 0]}
    killed(Training(tmp_path, **options), "batch", 4, monkeypatch)
    assert Training(tmp_path, **options).run().epochs == [4]


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_file_that_was_cut_off_is_refused_in_one_sentence(tmp_path: Path, share: float) -> None:
    Training(tmp_path, epochs=2).run()
    path = tmp_path / "resume.pt"
    os.truncate(path, int(share * path.stat().st_size))
    training = Training(tmp_path, epochs=2)
    with pytest.raises(ValueError, match=r"^cannot go on from .*resume.pt \(\w+\): remove") as no:
        training.run()
    assert "\n" not in str(no.value)
    assert training.epochs == []


@pytest.mark.parametrize("content", [b"epoch,loss\n", {"epoch": 3}, [1, 2]])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "resume.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"cannot go on from .*resume.pt \(\w+\): remove it"):
        Training(tmp_path).run()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    split = {"train": [f"film{number}" for number in range(50)]}
    settings = {"arch": "Unet", "noise": None, "split": split, "size": 64}
    Training(tmp_path, epochs=1, start=1, settings=settings).run()
    other = {**settings, "arch": "FPN", "split": {"train": ["film0"]}, "rate": 0.1}
    with pytest.raises(ValueError, match="is of a training with other settings") as refused:
        Training(tmp_path, epochs=2, start=1, settings=other).run()
    message = str(refused.value)
    for part in ("arch Unet there, FPN now", "epochs 1 there, 2 now", "rate None there, 0.1 now"):
        assert part in message
    # what is long is named by its digest
    assert "film0" not in message
    assert message.count(";") == 3
    assert "size" not in message
    # the order of what means the same does not matter
    Training(tmp_path, epochs=1, start=1, settings=dict(reversed(settings.items()))).run()
