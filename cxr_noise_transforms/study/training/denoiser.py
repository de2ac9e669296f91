"""A small denoiser, trained with this package's noise, to stand in front of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.progress import Progress


class Denoiser(nn.Module):
    """Noisy films to films: convolutions that predict the noise, which is subtracted.

    Args:
        layers: convolutions of 3 x 3, at least 2.
        width: channels between them.

    References:
        Zhang et al. 2017, IEEE TIP 26:3142 (residual learning of a denoiser).
    """

    def __init__(self, layers: int = 6, width: int = 24) -> None:
        super().__init__()
        widths = [1, *[width] * (layers - 1), 1]
        parts: list[nn.Module] = []
        for before, after in pairwise(widths):
            parts += [nn.Conv2d(before, after, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        # no normalisation: its statistics are what noise makes stale
        self.noise = nn.Sequential(*parts[:-1])

    def forward(self, films: Tensor) -> Tensor:
        """The films ``(B, 1, H, W)`` without what is taken for noise."""
        clean: Tensor = films - self.noise(films)
        return clean


def train_denoiser(
    path: Path,
    films: Iterable[Tensor],
    noise: Callable[[Tensor], Tensor],
    *,
    epochs: int,
    seed: int = 0,
    learning_rate: float = 1e-3,
) -> Denoiser:
    """The denoiser in a file; trained and written there if the file does not exist yet.

    The mean squared error of restored noisy films is minimised by Adam; the learning rate falls
    along a cosine. A training that is interrupted begins anew, and ends in the same weights.

    Args:
        path: file of the weights and of the settings.
        films: batches ``(B, 1, H, W)`` in [0, 1], read once per epoch.
        noise: films to noisy films.
        epochs: of the training.
        seed: of weights and noise.
        learning_rate: of Adam.

    Raises:
        ValueError: the file holds something else, or a denoiser of other settings.
    """
    torch.manual_seed(seed)
    denoiser = Denoiser()
    settings = {"epochs": epochs, "seed": seed, "learning_rate": learning_rate, "noise": str(noise)}
    if path.is_file():
        _load(denoiser, path, settings)
        return denoiser.eval()
    optimizer = torch.optim.Adam(denoiser.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    with Progress("denoiser", epochs, "epoch") as progress:
        for _ in range(epochs):
            for batch in films:
                loss = nn.functional.mse_loss(denoiser(noise(batch)), batch)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
            progress.step(f"loss={loss.item():.4f}")
    with whole_file(path) as beside:
        torch.save({"settings": settings, "weights": denoiser.state_dict()}, beside)
    return denoiser.eval()


def _load(denoiser: Denoiser, path: Path, settings: Mapping[str, Any]) -> None:
    try:
        found = torch.load(path, weights_only=True)
        stored = dict(found["settings"])
        denoiser.load_state_dict(found["weights"])
    # a file of another kind fails in the unpickler in any way
    except Exception as error:
        raise ValueError(f"{path} must hold a denoiser: remove it to train anew") from error
    other = [
        f"{name} {stored.get(name)} there, {now} now"
        for name, now in settings.items()
        if stored.get(name) != now
    ]
    if other:
        raise ValueError(
            f"{path} was trained with other settings ({'; '.join(other)}): remove it to train anew"
        )
