"""Exposures as data: drawn whole or step by step, and never in part."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from cxr_noise_transforms import Exposure, NoiseModule, RadiographicNoise, image_seeds
from cxr_noise_transforms._drawers import Drawer, choose_drawer
from cxr_noise_transforms._exposure import expose
from cxr_noise_transforms._random import Randomness
from cxr_noise_transforms._signal import FULL_SCALE, Digitiser

DTYPES = (*FULL_SCALE, torch.float16, torch.bfloat16, torch.float32, torch.float64)
BACKENDS = ("numba", "torch")
SEEDS = image_seeds(0, range(3))
# with one image that is not exposed at all
GAIN = torch.tensor([0.0, 0.016, 0.1]).reshape(3, 1, 1, 1)
SIGMA = torch.tensor([0.0, 0.0, 0.2]).reshape(3, 1, 1, 1)
DIGITISERS = (Digitiser(), Digitiser(bits=3), Digitiser((-1.0, 2.0), clip=True))


def films(dtype: torch.dtype) -> Tensor:
    greys = torch.rand(3, 1, 9, 16, generator=torch.Generator().manual_seed(0))
    return (greys * FULL_SCALE.get(dtype, 1.0)).to(dtype)


def drawer(backend: str, seeds: Tensor = SEEDS) -> Drawer:
    randomness = Randomness(seeds, None, torch.device("cpu"), len(seeds))
    return choose_drawer(backend, randomness, torch.float32)


def drawn(
    images: Tensor,
    exposure: Exposure,
    backend: str = "numba",
    digitiser: Digitiser = Digitiser(),  # noqa: B008
) -> Tensor:
    return expose(images, exposure, drawer(backend), digitiser, "pathwise")


@pytest.mark.parametrize("digitiser", DIGITISERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_map_that_is_constant_is_one_per_image(
    backend: str, dtype: torch.dtype, digitiser: Digitiser
) -> None:
    images = films(dtype)
    per_image = drawn(images, Exposure(GAIN, SIGMA), backend, digitiser)
    for shape in (images.shape, (3, 1, 9, 1)):
        maps = Exposure(GAIN.expand(shape), SIGMA.expand(shape))
        assert torch.equal(drawn(images, maps, backend, digitiser), per_image)
    assert torch.equal(per_image[0], images[0])
    assert not torch.equal(per_image[1], images[1])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_step_by_step_is_the_whole(dtype: torch.dtype) -> None:
    images = films(dtype)
    whole = drawn(images, Exposure(GAIN, SIGMA))
    stepped = drawn(images, Exposure(GAIN.clone().requires_grad_(), SIGMA))
    assert torch.equal(stepped, whole)


@pytest.mark.parametrize("backend", BACKENDS)
def test_pixels_that_are_not_exposed_stay_as_they_are(backend: str) -> None:
    images = films(torch.float32)
    right = torch.arange(16) >= 8
    noisy = drawn(images, Exposure(gain=0.05 * right), backend, Digitiser(bits=3))
    assert torch.equal(noisy[..., :8], images[..., :8])
    assert len(noisy[..., 8:].unique()) <= 8


@pytest.mark.parametrize("gain", [0.0, 1e-42, 1e-6, 0.1, 1e30, torch.inf])
def test_hostile_pixels_under_a_map(gain: float) -> None:
    values = torch.tensor([0.5, -1.0, torch.nan, torch.inf, -torch.inf, 1e30])
    images, strength = values.expand(3, 1, 6, 6), torch.tensor(gain)
    per_image, mapped = (
        drawn(images, Exposure(gain=part)) for part in (strength, strength.expand(6, 6))
    )
    torch.testing.assert_close(mapped, per_image, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("step", [1.5, 4.0])
def test_counts_under_a_map_rise_with_the_dose(step: float) -> None:
    images = films(torch.float64)
    gain = 0.01 + 0.1 * torch.rand(9, 16, dtype=torch.float64)
    fewer, more = (drawn(images, Exposure(gain=g)) / g for g in (step * gain, gain))
    assert (fewer.round() <= more.round()).all()


def test_derivatives_under_a_map() -> None:
    images = films(torch.float64)
    gain = (0.01 + 0.1 * torch.rand(9, 16, dtype=torch.float64)).requires_grad_()
    noisy = drawn(images, Exposure(gain=gain))
    (by_gain,) = torch.autograd.grad(noisy.sum(), gain)
    torch.testing.assert_close(by_gain, ((noisy - images) / (2 * gain)).sum((0, 1)).detach())


def test_nothing_described_changes_nothing() -> None:
    images = films(torch.float32)
    for backend in BACKENDS:
        assert torch.equal(drawn(images, Exposure(), backend), images)


@dataclass(frozen=True)
class LaterExposure(Exposure):
    """What an exposure may become: with a part that today's drawers do not know."""

    scatter: Tensor | None = None


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_part_that_nobody_draws_is_not_lost(backend: str) -> None:
    images, scattered = films(torch.float32), LaterExposure(GAIN, scatter=torch.ones(3, 3))
    assert drawer(backend).whole(images, scattered, Digitiser()) is None
    with pytest.raises(TypeError, match="scatter"):
        drawn(images, scattered, backend)
    assert torch.equal(drawn(images, LaterExposure(GAIN)), drawn(images, Exposure(GAIN)))


@pytest.mark.parametrize("name", ["gain", "sigma"])
@pytest.mark.parametrize(
    ("part", "error", "message"),
    [
        (0.1, TypeError, r"must be a tensor .* images \(3, 1, 9, 16\), got float"),
        (torch.ones(4), ValueError, r"must broadcast over the images .* got shape \(4,\)"),
        (torch.ones(2, 1, 1, 1), ValueError, r"must broadcast .* got shape \(2, 1, 1, 1\)"),
        (torch.ones(1, 3, 1, 1, 1), ValueError, r"must .* got shape \(1, 3, 1, 1, 1\)"),
    ],
)
def test_parts_that_do_not_fit(
    name: str, part: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"{name} of an exposure {message}"):
        drawn(films(torch.float32), Exposure(**{name: part}))


def test_an_exposure_is_data() -> None:
    noise = RadiographicNoise(4.0, 1.0)
    assert isinstance(noise, NoiseModule)
    images = films(torch.float32)
    one = torch.ones(1, 1, 1, 1)
    parts = noise.exposure(images, sq=4 * one, se=one).parts()
    assert {name: part.item() for name, part in parts.items()} == {
        "gain": pytest.approx(0.016),
        "sigma": pytest.approx(0.1),
    }
