"""A noise's record, by way of JSON, is the same noise bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cxr_noise_transforms import (
    ElectronicNoise,
    Exposure,
    LogExposure,
    NoiseModule,
    QuantumNoise,
    RadiographicNoise,
    noise_record,
    replay_record,
)

FILMS = torch.rand(3, 1, 17, 19, generator=torch.Generator().manual_seed(0))
SCALES = {torch.uint8: 255, torch.uint16: 65535, torch.float16: 1, torch.float64: 1}


def by_json(noise: NoiseModule) -> dict[str, Any]:
    return json.loads(json.dumps(noise_record(noise)))


class Fog(NoiseModule):
    """A noise of somebody's own, with an argument that is no severity."""

    def __init__(self, fog: object, depth: float = 1.0, **options: Any) -> None:
        super().__init__({"fog": fog}, **options)
        self.depth = depth

    def exposure(self, _: Tensor, fog: Tensor) -> Exposure:
        return Exposure(sigma=0.05 * self.depth * fog)


severity = st.one_of(
    st.floats(0, 10),
    st.tuples(st.floats(0, 5), st.floats(5, 10)),
    st.lists(st.floats(0, 10), min_size=3, max_size=3).map(torch.tensor),
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    kind=st.sampled_from([QuantumNoise, ElectronicNoise, Fog]),
    strength=severity,
    dtype=st.sampled_from([torch.float32, *SCALES]),
    options=st.fixed_dictionaries(
        {},
        optional={"bits": st.integers(1, 16), "clip": st.just(True), "gradient": st.just("none")},
    ),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
)
def test_every_noise_is_replayed(
    kind: type[NoiseModule],
    strength: object,
    dtype: torch.dtype,
    options: dict[str, Any],
    seed: int | None,
) -> None:
    if kind is ElectronicNoise:
        options = {name: value for name, value in options.items() if name != "gradient"}
    films = (FILMS * SCALES.get(dtype, 1)).to(dtype)
    noise = kind(strength, **options)
    noisy = noise(films, seed=seed)
    assert torch.equal(replay_record(films, by_json(noise)), noisy)


@pytest.mark.parametrize("film", [FILMS[0], FILMS[0, 0], FILMS[:, 0], FILMS[None]])
def test_one_film_and_films_of_any_axes_are_replayed(film: Tensor) -> None:
    noise = RadiographicNoise((0, 4), (0, 1), n0=500, sigma0=0.2, value_range=(0, 1))
    noisy = noise(film)
    record = by_json(noise)
    assert record["arguments"]["n0"] == 500
    assert torch.equal(replay_record(film, record), noisy)


@pytest.mark.parametrize("film", [(0.7, 0.1), (torch.tensor([0.7, 0.0, 0.9]), 0.1)], ids=str)
def test_a_film_with_noise_and_its_domain_are_replayed(film: tuple[Any, Any]) -> None:
    options = {"film": film, "blur": 1.5, "domain": LogExposure(decades=1.5)}
    # most severities are drawn below the film's, which no float32 holds
    noise = RadiographicNoise((0, 1), (0, 1), **options)
    noisy = noise(FILMS)
    assert torch.equal(replay_record(FILMS, by_json(noise)), noisy)
    alone = QuantumNoise((0, 4), film=film[0])
    noisy = alone(FILMS)
    assert torch.equal(replay_record(FILMS, by_json(alone)), noisy)


def test_two_calls_have_two_records() -> None:
    noise = QuantumNoise(4)
    noisy, record = noise(FILMS), noise_record(noise)
    assert not torch.equal(noise(FILMS), noisy)
    assert noise_record(noise)["seed"] != record["seed"]
    assert torch.equal(replay_record(FILMS, record), noisy)


def test_the_reference_is_replayed_with_a_seed_and_refused_without() -> None:
    noise = RadiographicNoise(4, 1, backend="torch")
    noisy = noise(FILMS, seed=3)
    assert torch.equal(replay_record(FILMS, by_json(noise)), noisy)
    noise(FILMS)
    with pytest.raises(ValueError, match="must have been called with a seed, or with a backend"):
        noise_record(noise)


def test_clean_films_are_replayed() -> None:
    noise = RadiographicNoise(0, 0, backend="torch")
    noise(FILMS)
    assert noise_record(noise)["seed"] is None
    assert torch.equal(replay_record(FILMS, by_json(noise)), FILMS)


def test_compiled_noise_is_replayed() -> None:
    noise = QuantumNoise((1, 4))
    noisy = torch.compile(noise, fullgraph=True, backend="eager")(FILMS)
    assert torch.equal(replay_record(FILMS, by_json(noise)), noisy)


def in_monai(noise: nn.Module) -> Tensor:
    monai = pytest.importorskip("cxr_noise_transforms.monai")
    return monai.RandNoise(noise, prob=1).set_random_state(seed=2)(FILMS[0])


def in_kornia(noise: nn.Module) -> Tensor:
    return pytest.importorskip("cxr_noise_transforms.kornia").RandomNoise(noise, p=1)(FILMS)


def in_torchvision(noise: nn.Module) -> Tensor:
    return pytest.importorskip("cxr_noise_transforms.torchvision").Noise(noise)(FILMS)


@pytest.mark.parametrize("pipeline", [in_monai, in_kornia, in_torchvision])
def test_noise_of_a_pipeline_is_replayed_without_it(pipeline: Callable[..., Tensor]) -> None:
    noise = QuantumNoise((1, 4))
    noisy = pipeline(noise)
    film = FILMS[0] if noisy.ndim == 3 else FILMS
    assert torch.equal(replay_record(film, by_json(noise)), noisy.as_subclass(Tensor))


# refusals


class Forgetful(NoiseModule):
    def __init__(self, fog: float, haze: float) -> None:
        super().__init__({"fog": fog})
        self.sum = fog + haze

    def exposure(self, _: Tensor, fog: Tensor) -> Exposure:
        return Exposure(sigma=fog + self.sum)


def test_what_cannot_be_recorded_is_refused() -> None:
    with pytest.raises(TypeError, match=r"noise must be a noise module .*, got Identity"):
        noise_record(nn.Identity())
    with pytest.raises(ValueError, match="QuantumNoise must have been called"):
        noise_record(QuantumNoise(4))
    forgetful, deep = Forgetful(1, 2), Fog(1, torch.ones(()))
    for noise in (forgetful, deep):
        noise(FILMS, seed=0)
    with pytest.raises(TypeError, match="Forgetful must keep its argument haze under this name"):
        noise_record(forgetful)
    with pytest.raises(TypeError, match=r"depth of Fog must be a number, .*, got Tensor$"):
        noise_record(deep)


def test_what_is_no_record_is_refused() -> None:
    noise = QuantumNoise(4)
    noise(FILMS)
    record = noise_record(noise)
    for wrong in ([], {}, {**record, "more": 1}):
        with pytest.raises(ValueError, match="record must be one of noise_record, got"):
            replay_record(FILMS, wrong)
    with pytest.raises(ValueError, match=r"a noise that is imported, .*QuantumNoise.*, got 'os'"):
        replay_record(FILMS, {**record, "noise": "os"})
    with pytest.raises(ValueError, match="seed must have one value per image, 2 for an image"):
        replay_record(FILMS[:2], record)
