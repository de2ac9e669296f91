"""The warning of an image whose values lie outside the value range."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.export import export

from cxr_noise_transforms import quantum_noise

Noise = Callable[..., Tensor]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OUTSIDE = r"most values of the image lie outside value_range \(0\.0, 1\.0\)"
GREYS = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_grey_levels_as_floats_are_told(noise: Noise, dtype: torch.dtype) -> None:
    films = (GREYS * 255).to(dtype)
    for severity in (2.0, (1.0, 2.0), torch.tensor([1.0, 2.0])):
        with pytest.warns(UserWarning, match=OUTSIDE):
            noise(films, severity)


@pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64), (3, 1, 64, 64), (1, 1, 2, 64, 64)])
def test_images_of_every_shape_are_told(noise: Noise, shape: tuple[int, ...]) -> None:
    with pytest.warns(UserWarning, match=OUTSIDE):
        noise(torch.full(shape, 100.0), 2.0)


def test_normalised_films_and_hounsfield_units_are_told() -> None:
    for films in ((GREYS - 0.485) / 0.229, GREYS * 2048 - 1024):
        with pytest.warns(UserWarning, match=OUTSIDE):
            quantum_noise(films, 2.0)


def test_a_film_with_a_black_border_is_told() -> None:
    films = torch.zeros(2, 1, 64, 64)
    films[..., 8:56, 8:56] = 90.0
    with pytest.warns(UserWarning, match=OUTSIDE):
        quantum_noise(films, 2.0)


@pytest.mark.parametrize(
    ("films", "value_range"),
    [
        (GREYS, (0, 1)),
        (GREYS * 255, (0, 255)),
        (GREYS * 2048 - 1024, (-1024, 1024)),
        ((GREYS * 255).to(torch.uint8), (0, 1)),
        (torch.full((2, 1, 64, 64), -1e-3), (0, 1)),
        (torch.full((2, 1, 64, 64), torch.nan), (0, 1)),
        (torch.where(GREYS < 0.25, GREYS * 255, GREYS), (0, 1)),
        (torch.rand(0, 1, 64, 64), (0, 1)),
    ],
    ids=["in", "255", "HU", "uint8", "overshoot", "nan", "few", "none"],
)
def test_no_false_alarm(noise: Noise, films: Tensor, value_range: tuple[float, float]) -> None:
    noise(films, 2.0, value_range=value_range)


def test_no_noise_is_no_alarm(noise: Noise) -> None:
    noise(GREYS * 255, 0.0)


def test_it_is_told_once() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            quantum_noise(GREYS * 255, 2.0)
    assert len(told) == 1


def test_nothing_is_told_where_nothing_can_be_read(noise: Noise) -> None:
    films, seeds = GREYS * 255, torch.arange(2)
    torch.vmap(lambda film, seed: noise(film, 2.0, seed=seed))(films, seeds)
    torch.compile(lambda films: noise(films, 2.0), backend="eager", fullgraph=True)(films)
    noise(films.to("meta"), 2.0)
    with FakeTensorMode():
        noise(torch.empty(2, 1, 64, 64), 2.0)


def test_nothing_is_told_while_exporting(module: Callable[..., torch.nn.Module]) -> None:
    export(module(2.0), (GREYS * 255,), strict=False)
