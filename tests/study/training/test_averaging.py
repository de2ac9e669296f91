"""The average of the last epochs' weights."""

from pathlib import Path

import pytest
import torch
from torch import nn
from trainings import Training, loaded

from cxr_noise_transforms.study.training.averaging import WeightAveraging


def test_weights_are_the_mean_of_the_epochs(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=5, start=3).run()
    assert training.averaging.epochs == 3
    average = loaded(tmp_path)["model_swa.pt"]
    assert average.keys() == training.network.state_dict().keys()
    for name, _ in training.network.named_parameters():
        epochs = torch.stack([weights[name].double() for weights in training.weights[2:]])
        assert torch.allclose(average[name].double(), epochs.mean(0), atol=1e-6)
        assert not torch.allclose(average[name], training.weights[-1][name], atol=1e-4)


def test_batch_normalisation_is_estimated_for_the_average(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=3, start=1, random=False).run()
    average = loaded(tmp_path)["model_swa.pt"]
    convolution = nn.Conv2d(1, 3, 3)
    convolution.load_state_dict({name: average[f"0.{name}"] for name in ("weight", "bias")})
    with torch.no_grad():
        batches = [convolution(batch["image"]) for batch in training.loader]
    mean = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variance = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    assert torch.allclose(average["1.running_mean"], mean, atol=1e-6)
    assert torch.allclose(average["1.running_var"], variance, atol=1e-6)
    assert not torch.allclose(mean, training.network[1].running_mean, atol=1e-3)


def test_the_network_itself_is_left_alone(tmp_path: Path) -> None:
    training = Training(tmp_path).run()
    state = training.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in training.weights[-1].items())


def test_an_early_stop_ends_the_average_too(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=9, start=2, patience=2, losses=range(9)).run()
    assert (training.epochs, training.averaging.epochs) == ([1, 2, 3], 2)
    assert (tmp_path / "model_swa.pt").is_file()


def test_an_average_that_never_began_says_so(tmp_path: Path) -> None:
    training = Training(tmp_path, epochs=2, start=3)
    message = "^weight averaging never began: training ended after epoch 2, swa_start is 3$"
    with pytest.warns(UserWarning, match=message):
        training.run()
    assert not (tmp_path / "model_swa.pt").exists()
    assert training.averaging.epochs == 0


@pytest.mark.parametrize("start", [0, -1])
def test_a_start_before_the_first_epoch_is_refused(tmp_path: Path, start: int) -> None:
    with pytest.raises(
        ValueError, match=f"swa_start must be an epoch, at least 1, or null, got {start}"
    ):
        WeightAveraging(nn.Linear(1, 1), start, tmp_path / "model_swa.pt", [])
