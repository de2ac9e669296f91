"""Radiographic noise is one exposure: photons counted, then read out, then digitised once."""

from __future__ import annotations

from functools import partial

import laws
import pytest
import torch

from cxr_noise_transforms import (
    LADDER,
    RadiographicNoise,
    electronic_noise,
    quantum_noise,
    radiographic_noise,
)

# quantum and electronic variance are alike in the first and apart in the others
CELLS = ((10.0, 2.0), (1.0, 1.0), (10.0, 0.1))


@pytest.mark.parametrize(("sq", "se"), CELLS)
def test_moments_along_a_grey_wedge(sq: float, se: float, device: str) -> None:
    noise = partial(radiographic_noise, sq=sq, se=se, seed=0)
    laws.check_moments(noise, laws.wedge(device=device), sq=sq, se=se)


def test_moments_with_other_constants(device: str) -> None:
    law = {"sq": 2.0, "se": 3.0, "n0": 100.0, "sigma0": 0.05}
    noise = partial(radiographic_noise, **law, seed=0)
    laws.check_moments(noise, laws.wedge(pixels=2**16, device=device), **law)


def test_moments_of_every_cell_of_the_ladder(device: str) -> None:
    image = laws.wedge(pixels=2**14, device=device)
    batch = image.expand(len(LADDER), 1, *image.shape)
    sq, se = torch.tensor(LADDER).unbind(1)
    noisy = radiographic_noise(batch, sq, se, seed=0)
    for one, cell in zip(noisy, LADDER, strict=True):
        laws.check_moments(lambda _, one=one: one, image, sq=cell[0], se=cell[1])


def test_noise_is_white(device: str) -> None:
    image = laws.wedge(pixels=2**16, device=device)
    noise = partial(radiographic_noise, sq=10.0, se=2.0, seed=0)
    laws.check_whiteness(noise, image, sq=10.0, se=2.0)


def test_images_channels_calls_and_seeds_are_independent(device: str) -> None:
    torch.manual_seed(1)
    image = torch.full((2, 3, 128, 128), 0.5, device=device)
    law = {"sq": 10.0, "se": 2.0}
    global_generator = partial(radiographic_noise, **law)
    seeded = [partial(radiographic_noise, **law, seed=seed) for seed in (1, 2, 2**32, -1)]
    laws.check_independence(global_generator, global_generator, *seeded, image=image, **law)


def test_its_two_sources_are_independent_under_one_seed(device: str) -> None:
    image = torch.full((1, 1, 512, 512), 0.5, device=device)
    # the read-out of an exposure is what its photons do not explain
    counted = quantum_noise(image, 10.0, seed=0)
    read_out = radiographic_noise(image, 10.0, 2.0, seed=0) - counted
    photons = laws.standardised(counted, image, sq=10.0)
    electrons = laws.standardised(image + read_out, image, se=2.0)
    error = torch.tensor(image.numel()).rsqrt().to(photons)
    laws.within((photons * electrons).mean(), 0 * error, error, "covariance of the sources")
    laws.check_moments(lambda x: x + read_out.view_as(x), image.view(1, 512, 512), greys=1, se=2.0)


@pytest.mark.parametrize("digitiser", [{}, {"bits": 8}, {"clip": True}], ids=str)
def test_one_source_alone_is_that_noise(digitiser: dict[str, object], device: str) -> None:
    image = torch.rand(3, 2, 17, 19, device=device)
    quantum = radiographic_noise(image, 4.0, 0.0, **digitiser, seed=9)
    assert torch.equal(quantum, quantum_noise(image, 4.0, **digitiser, seed=9))
    electronic = radiographic_noise(image, 0.0, 4.0, **digitiser, seed=9)
    assert torch.equal(electronic, electronic_noise(image, 4.0, **digitiser, seed=9))


def test_an_exposure_saturates_once(device: str) -> None:
    image = laws.wedge(pixels=2**10, device=device)
    exposed = radiographic_noise(image, 10.0, 2.0, clip=True, seed=0)
    assert torch.equal(exposed, radiographic_noise(image, 10.0, 2.0, seed=0).clamp(0, 1))
    assert not torch.equal(
        exposed,
        electronic_noise(quantum_noise(image, 10.0, clip=True, seed=0), 2.0, clip=True, seed=0),
    )


@pytest.mark.parametrize("digitiser", [{}, {"clip": True}, {"bits": 3}], ids=str)
def test_module_and_function_agree(digitiser: dict[str, object], device: str) -> None:
    image = torch.rand(2, 1, 8, 8, device=device)
    arguments = {"n0": 500.0, "sigma0": 0.2, "value_range": (0.0, 2.0), **digitiser}
    made = RadiographicNoise(3.0, 2.0, **arguments)(image, seed=5)
    assert torch.equal(made, radiographic_noise(image, 3.0, 2.0, **arguments, seed=5))
