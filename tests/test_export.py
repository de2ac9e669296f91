"""torch.export of a noise, and tensors without values: fake ones and those of the meta device."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.export import Dim, export, load, save

from cxr_noise_transforms import QuantumNoise, quantum_noise, radiographic_noise

Module = Callable[..., nn.Module]

BATCH = Dim("batch", min=2, max=64)
FILMS, MORE = torch.rand(4, 1, 16, 16), torch.rand(7, 1, 24, 20)
SEEDS, MORE_SEEDS = torch.arange(4), torch.arange(7) + 3
DTYPES = (torch.uint8, torch.uint16, torch.float16, torch.float32, torch.float64)
SEVERITIES = (2.0, (1.0, 3.0), torch.tensor([0.0, 1.0, 2.0, 3.0]))

stricts = pytest.mark.parametrize("strict", [False, True], ids=["", "strict"])
severities = pytest.mark.parametrize("severity", SEVERITIES[:2], ids=str)


class Seeded(nn.Module):
    """A model whose forward pass is one call."""

    def __init__(self, noise: Callable[..., Tensor]) -> None:
        super().__init__()
        self.noise = noise

    def forward(self, films: Tensor, seeds: Tensor) -> Tensor:
        return self.noise(films, seed=seeds)


class Unseeded(Seeded):
    """The same with noise of its own at every call."""

    def forward(self, films: Tensor) -> Tensor:  # type: ignore[override]
        return self.noise(films)


def skip_where_strict_modules_do_not_export(strict: bool) -> None:
    if strict and not hasattr(torch.compiler, "is_exporting"):
        pytest.skip("with torch 2.6 a module in strict mode must not note what it drew")


@stricts
@severities
@pytest.mark.parametrize("backend", [None, "torch"])
def test_a_module_exports_for_any_batch(
    module: Module, severity: object, backend: str | None, strict: bool
) -> None:
    skip_where_strict_modules_do_not_export(strict)
    model = Seeded(module(severity, bits=8, backend=backend))
    program = export(model, (FILMS, SEEDS), dynamic_shapes=({0: BATCH}, {0: BATCH}), strict=strict)
    films = MORE[..., :16, :16]
    assert torch.equal(program.module()(films, MORE_SEEDS), model(films, MORE_SEEDS))


@stricts
def test_a_function_exports_for_any_batch_and_size(strict: bool) -> None:
    def noise(films: Tensor, seed: Tensor) -> Tensor:
        return radiographic_noise(films, (0.0, 4.0), 1.0, seed=seed)

    shapes = ({0: BATCH, 2: Dim("rows", min=2), 3: Dim("columns", min=2)}, {0: BATCH})
    program = export(Seeded(noise), (FILMS, SEEDS), dynamic_shapes=shapes, strict=strict)
    assert torch.equal(program.module()(MORE, MORE_SEEDS), noise(MORE, MORE_SEEDS))


@stricts
def test_a_severity_per_film_exports(strict: bool) -> None:
    def noise(films: Tensor, seed: Tensor) -> Tensor:
        return quantum_noise(films, seed.float(), seed=seed)

    shapes = ({0: BATCH}, {0: BATCH})
    program = export(Seeded(noise), (FILMS, SEEDS), dynamic_shapes=shapes, strict=strict)
    films = MORE[..., :16, :16]
    assert torch.equal(program.module()(films, MORE_SEEDS), noise(films, MORE_SEEDS))


@severities
def test_noise_without_a_seed_exports(module: Module, severity: object) -> None:
    model = Unseeded(module(severity))
    program = export(model, (FILMS,), dynamic_shapes=({0: BATCH},), strict=False).module()
    films = MORE[..., :16, :16]
    first, second = program(films), program(films)
    assert first.shape == films.shape
    assert not torch.equal(first, second)


def test_a_program_is_saved_and_loaded() -> None:
    model, file = Seeded(QuantumNoise(4.0)), io.BytesIO()
    save(export(model, (FILMS, SEEDS), strict=False), file)
    file.seek(0)
    assert torch.equal(load(file).module()(FILMS, SEEDS), model(FILMS, SEEDS))


@pytest.mark.parametrize("seed", [None, 3, SEEDS], ids=str)
@pytest.mark.parametrize("severity", SEVERITIES, ids=str)
@pytest.mark.parametrize("backend", [None, "torch"])
def test_tensors_without_values(
    module: Module, severity: object, seed: object, backend: str | None
) -> None:
    noise = module(severity, backend=backend)
    for dtype in DTYPES:
        films = torch.empty(4, 1, 16, 16, dtype=dtype, device="meta")
        noisy = noise(films, seed=seed)
        assert (noisy.shape, noisy.dtype, noisy.device) == (films.shape, dtype, films.device)
        with FakeTensorMode(allow_non_fake_inputs=True):
            films = torch.empty(4, 1, 16, 16, dtype=dtype)
            noisy = noise(films, seed=seed)
            assert (noisy.shape, noisy.dtype, noisy.device) == (films.shape, dtype, films.device)


def test_fake_severities_and_seeds(module: Module) -> None:
    with FakeTensorMode():
        films, severity, seeds = torch.empty(4, 1, 16, 16), torch.ones(4), torch.arange(4)
        assert module(severity)(films, seed=seeds).shape == films.shape
