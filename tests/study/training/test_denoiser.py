"""The denoiser in front of a network."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms import ElectronicNoise
from cxr_noise_transforms.study.films.phantom import chest_phantom
from cxr_noise_transforms.study.training.denoiser import Denoiser, train_denoiser


def films() -> list[Tensor]:
    drawn = [torch.from_numpy(chest_phantom(number, 32).image).float() / 255 for number in range(8)]
    return list(torch.stack(drawn)[:, None].split(4))


def trained(path: Path, epochs: int = 12) -> Denoiser:
    return train_denoiser(path, films(), ElectronicNoise(2.0), epochs=epochs, learning_rate=5e-3)


def test_it_takes_noise_away(tmp_path: Path) -> None:
    denoiser = trained(tmp_path / "denoiser.pt", epochs=40)
    clean = torch.cat(films())
    noisy = ElectronicNoise(2.0)(clean, seed=9)
    with torch.inference_mode():
        restored = denoiser(noisy)
    assert nn.functional.mse_loss(restored, clean) < nn.functional.mse_loss(noisy, clean) / 2


def test_a_training_that_began_anew_ends_in_the_same_weights(tmp_path: Path) -> None:
    first, again = trained(tmp_path / "a.pt", 2), trained(tmp_path / "b.pt", 2)
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))
    # one that is finished is not trained again
    loaded = trained(tmp_path / "a.pt", 2)
    assert all(map(torch.equal, first.state_dict().values(), loaded.state_dict().values()))


@pytest.mark.parametrize("content", [b"", b"nothing", None])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "denoiser.pt"
    if content is None:
        torch.save(nn.Linear(1, 1).state_dict(), path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="must hold a denoiser: remove it to train anew"):
        trained(path)


def test_a_denoiser_of_other_settings_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "denoiser.pt", 1)
    with pytest.raises(ValueError, match=r"other settings \(epochs 1 there, 2 now\): remove it"):
        trained(tmp_path / "denoiser.pt", 2)
