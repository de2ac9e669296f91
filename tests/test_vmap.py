"""torch.vmap over films, seeds and severities gives the bits of the batch."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, vmap
from torch._subclasses import FakeTensorMode

from cxr_noise_transforms import QuantumNoise, quantum_noise

Noise = Callable[..., Tensor]

DTYPES = (
    torch.uint8,
    torch.uint16,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
)
SEEDS = torch.tensor([3, 1, 2])
SEVERITIES = torch.tensor([0.0, 2.0, 5.0])
backends = pytest.mark.parametrize("backend", [None, "torch"])


def films(dtype: torch.dtype = torch.float32) -> Tensor:
    greys = torch.rand(3, 1, 8, 9, generator=torch.Generator().manual_seed(0))
    return (greys * (1 if dtype.is_floating_point else torch.iinfo(dtype).max)).to(dtype)


@backends
@pytest.mark.parametrize("digitiser", [{}, {"bits": 5}, {"value_range": (-1.0, 2.0)}], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_seeds_and_severities_per_film(
    noise: Noise, dtype: torch.dtype, digitiser: dict[str, object], backend: str | None
) -> None:
    def one(film: Tensor, severity: Tensor, seed: Tensor) -> Tensor:
        return noise(film, severity, seed=seed, backend=backend, **digitiser)

    images = films(dtype)
    batch = noise(images, SEVERITIES, seed=SEEDS, backend=backend, **digitiser)
    assert torch.equal(vmap(one)(images, SEVERITIES, SEEDS), batch)
    loop = [one(*given) for given in zip(images, SEVERITIES, SEEDS, strict=True)]
    assert torch.equal(torch.stack(loop), batch)


@backends
@pytest.mark.parametrize("severity", [2.0, (1.0, 4.0)], ids=str)
def test_a_number_or_a_range_for_all(noise: Noise, severity: object, backend: str | None) -> None:
    mapped = vmap(lambda film, seed: noise(film, severity, seed=seed, backend=backend))
    batch = noise(films(), severity, seed=SEEDS, backend=backend)
    assert torch.equal(mapped(films(), SEEDS), batch)


@backends
def test_one_film_under_many_seeds(noise: Noise, backend: str | None) -> None:
    film = films()[0]
    mapped = vmap(lambda seed: noise(film, 2.0, seed=seed, backend=backend))(SEEDS)
    assert torch.equal(mapped, noise(film.expand(3, -1, -1, -1), 2.0, seed=SEEDS, backend=backend))


@backends
def test_batches_of_batches_along_any_axis(noise: Noise, backend: str | None) -> None:
    batches, seeds = torch.stack([films(), films() / 2], 1), torch.stack([SEEDS, SEEDS + 9], 1)
    mapped = vmap(
        lambda images, seeds: noise(images, SEVERITIES, seed=seeds, backend=backend),
        in_dims=1,
        out_dims=1,
    )(batches, seeds)
    for images, own, found in zip(
        batches.unbind(1), seeds.unbind(1), mapped.unbind(1), strict=True
    ):
        assert torch.equal(found, noise(images, SEVERITIES, seed=own, backend=backend))


def test_a_module_is_mapped_over_films() -> None:
    noise = QuantumNoise(2.0)
    mapped = vmap(lambda film, seed: noise(film, seed=seed))(films(), SEEDS)
    assert torch.equal(mapped, noise(films(), seed=SEEDS))


@pytest.mark.parametrize("severity", [(1.0, 3.0), 2.0], ids=str)
def test_what_a_transform_draws_is_not_kept(severity: object) -> None:
    noise = QuantumNoise(severity)
    vmap(lambda film, seed: noise(film, seed=seed))(films(), SEEDS)
    assert copy.deepcopy(noise)(films()[:1]).shape == films()[:1].shape
    pickle.dumps(noise)
    with FakeTensorMode():
        noise(torch.empty(3, 1, 8, 9))
    pickle.dumps(copy.deepcopy(noise))


@backends
def test_without_a_seed_torch_asks_what_randomness_is_meant(backend: str | None) -> None:
    def one(film: Tensor) -> Tensor:
        return quantum_noise(film, 2.0, backend=backend)

    with pytest.raises(RuntimeError, match="randomness"):
        vmap(one)(films())
    twins = films()[:1].expand(3, -1, -1, -1)
    assert len(vmap(one, randomness="different")(twins).unique(dim=0)) == 3


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_vmap_compiles(noise: Noise, backend: str) -> None:
    def mapped(images: Tensor) -> Tensor:
        return vmap(lambda film, se, seed: noise(film, se, seed=seed))(images, SEVERITIES, SEEDS)

    compiled = torch.compile(mapped, backend=backend, fullgraph=True)
    assert torch.equal(compiled(films()), noise(films(), SEVERITIES, seed=SEEDS))
