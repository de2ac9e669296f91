"""A noise of a user's own: the one of docs/pipelines.md, by itself and in every adapter."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import laws
import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms import (
    Exposure,
    LogExposure,
    NoiseModule,
    QuantumNoise,
    RadiographicNoise,
    quantum_noise,
)

PIPELINES = Path(__file__).parents[1] / "docs" / "pipelines.md"
UPPER, LOWER = 2.0, 8.0
FILMS = torch.full((3, 1, 256, 256), 0.5)

Adapted = Callable[[Tensor], Tensor]


def of_the_docs() -> type[NoiseModule]:
    snippets = re.findall(r"```python\n(.*?)```", PIPELINES.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    for snippet in snippets:
        if "class HalvesNoise" in snippet:
            exec(compile(snippet, PIPELINES.name, "exec"), names)  # noqa: S102 (as a reader would)
    return names["HalvesNoise"]


HalvesNoise = of_the_docs()


def in_monai(noise: nn.Module) -> tuple[Adapted, Adapted]:
    adapter = pytest.importorskip("cxr_noise_transforms.monai")
    transform = adapter.RandNoise(noise, prob=1.0).set_random_state(0)

    def replay(films: Tensor) -> Tensor:
        transform.set_random_state(0)
        return draw(films)

    def draw(films: Tensor) -> Tensor:
        return torch.stack([transform(film).as_tensor() for film in films])

    return draw, replay


def in_kornia(noise: nn.Module) -> tuple[Adapted, Adapted]:
    adapter = pytest.importorskip("cxr_noise_transforms.kornia")
    transform = adapter.RandomNoise(noise, p=1.0)
    return transform, lambda films: transform(films, params=transform._params)


def in_torchvision(noise: nn.Module) -> tuple[Adapted, Adapted]:
    adapter = pytest.importorskip("cxr_noise_transforms.torchvision")
    transform, state = adapter.Noise(noise), torch.get_rng_state()

    def replay(films: Tensor) -> Tensor:
        torch.set_rng_state(state)
        return transform(films)

    return transform, replay


def seeded(noise: nn.Module) -> tuple[Adapted, Adapted]:
    return lambda films: noise(films, seed=5), lambda films: noise(films, seed=5)


WAYS = (seeded, in_monai, in_kornia, in_torchvision)
ELSEWHERE = {"film": (0.5, 0.0), "blur": 0.8, "domain": LogExposure()}


@pytest.mark.parametrize("way", WAYS)
def test_each_half_follows_the_law_of_its_severity(way: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    draw, _ = way(HalvesNoise(UPPER, LOWER))
    noisy = draw(FILMS)
    for half, sq in ((noisy[..., :128, :], UPPER), (noisy[..., 128:, :], LOWER)):
        laws.check_moments(lambda _, half=half: half, FILMS[..., :128, :], greys=1, sq=sq)
    with pytest.raises(AssertionError, match="variance"):
        laws.check_moments(lambda _: noisy, FILMS, greys=1, sq=(UPPER + LOWER) / 2)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "noise",
    [HalvesNoise((1.0, 4.0), (4.0, 8.0)), RadiographicNoise((1.0, 4.0), (0.0, 0.1), **ELSEWHERE)],
    ids=["halves", "radiographic"],
)
def test_its_noise_is_replayed_bit_for_bit(noise: NoiseModule, way: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    draw, replay = way(noise)
    noisy = draw(FILMS)
    assert torch.equal(replay(FILMS), noisy)
    assert not torch.equal(noisy[0], noisy[1])


def test_severities_per_image_and_ranges_are_drawn_apart() -> None:
    noise = HalvesNoise((0.0, 1.0), (0.0, 1.0))
    noise(FILMS, seed=1)
    assert noise.drawn["upper"].shape == noise.drawn["lower"].shape == (3,)
    assert not torch.equal(noise.drawn["upper"], noise.drawn["lower"])
    again = HalvesNoise(**noise.drawn)
    assert torch.equal(again(FILMS, seed=1), noise(FILMS, seed=1))


def test_it_says_what_it_is_and_copies() -> None:
    noise = HalvesNoise(1, (0, 4), bits=8)
    assert repr(noise) == "HalvesNoise(upper=1.0, lower=(0.0, 4.0), bits=8)"
    assert torch.equal(copy.deepcopy(noise)(FILMS, seed=2), noise(FILMS, seed=2))


def test_its_severities_are_checked_under_their_names() -> None:
    with pytest.raises(ValueError, match="lower must be finite and not negative, got -1"):
        HalvesNoise(1, -1)


def test_a_severity_that_turns_bad_is_refused_at_the_call() -> None:
    noise = QuantumNoise(torch.tensor([1.0, 2.0, 3.0]))
    noise.sq[1] = -1
    with pytest.raises(ValueError, match=r"sq must be finite and not negative, got -1\.0"):
        noise(FILMS)


def test_a_noise_without_severities_is_drawn() -> None:
    class FixedNoise(NoiseModule):
        def __init__(self) -> None:
            super().__init__({}, {"gain": 0.016})

        def exposure(self, _: Tensor) -> Exposure:
            return Exposure(gain=torch.tensor(self.gain))

    noisy = FixedNoise()(FILMS, seed=0)
    assert torch.equal(noisy, quantum_noise(FILMS, 4.0, seed=0))


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_no_strength_is_the_identity_on_every_way(backend: str) -> None:
    """The square of so small a severity is 0."""
    image = torch.rand(4, 1, 17, 19)
    noise = QuantumNoise(1e-25, bits=2, backend=backend)
    assert torch.equal(noise(image, seed=1), image)
    assert torch.equal(noise(image.clone().requires_grad_(), seed=1).detach(), image)
