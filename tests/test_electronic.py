"""Electronic noise is Gaussian, additive, and independent of the signal."""

from __future__ import annotations

from functools import partial

import laws
import pytest
import torch

from cxr_noise_transforms import ElectronicNoise, electronic_noise

SEVERITIES = (0.05, 1.0, 10.0)


@pytest.mark.parametrize("se", SEVERITIES)
def test_moments_along_a_grey_wedge(se: float, device: str) -> None:
    noise = partial(electronic_noise, se=se, seed=0)
    laws.check_moments(noise, laws.wedge(device=device), se=se)


@pytest.mark.parametrize("sigma0", [0.01, 1.0])
def test_moments_at_another_sigma0(sigma0: float, device: str) -> None:
    noise = partial(electronic_noise, se=2.0, sigma0=sigma0, seed=0)
    laws.check_moments(noise, laws.wedge(pixels=2**16, device=device), se=2.0, sigma0=sigma0)


@pytest.mark.parametrize("se", SEVERITIES)
def test_noise_fits_the_normal_distribution(se: float, device: str) -> None:
    image = torch.full((1024, 1024), 0.5, device=device)
    noise = partial(electronic_noise, se=se, seed=1)
    laws.check_normality(noise, image, tests=len(SEVERITIES), se=se)


def test_noise_is_white(device: str) -> None:
    image = laws.wedge(pixels=2**16, device=device)
    laws.check_whiteness(partial(electronic_noise, se=1.0, seed=0), image, se=1.0)


def test_images_channels_calls_and_seeds_are_independent(device: str) -> None:
    torch.manual_seed(1)
    image = torch.full((2, 3, 128, 128), 0.5, device=device)
    global_generator = partial(electronic_noise, se=1.0)
    seeded = [partial(electronic_noise, se=1.0, seed=seed) for seed in (1, 2, 2**32, -1)]
    laws.check_independence(global_generator, global_generator, *seeded, image=image, se=1.0)


def test_each_image_follows_its_own_severity(device: str) -> None:
    image = laws.wedge(pixels=2**14, device=device)
    severities = torch.tensor([0.5, 3.0, 10.0])
    noisy = electronic_noise(image.expand(3, 1, *image.shape), severities, seed=0)
    for one, se in zip(noisy, severities.tolist(), strict=True):
        laws.check_moments(lambda _, one=one: one, image, se=se)


def test_a_seed_fixes_the_pattern_and_severity_scales_it(device: str) -> None:
    image = torch.rand(2, 1, 32, 32, dtype=torch.float64, device=device)
    once, fourfold = (electronic_noise(image, se, seed=3) - image for se in (1.0, 4.0))
    torch.testing.assert_close(4 * once, fourfold)


def test_the_pattern_does_not_depend_on_the_signal(device: str) -> None:
    black = torch.zeros(2, 1, 32, 32, dtype=torch.float64, device=device)
    white = electronic_noise(black + 1, 1.0, seed=3)
    torch.testing.assert_close(electronic_noise(black, 1.0, seed=3) + 1, white)


@pytest.mark.parametrize("digitiser", [{}, {"clip": True}, {"bits": 3}], ids=str)
def test_module_and_function_agree(digitiser: dict[str, object], device: str) -> None:
    image = torch.rand(2, 1, 8, 8, device=device)
    arguments = {"sigma0": 0.2, "value_range": (0.0, 2.0), **digitiser}
    made = ElectronicNoise(3.0, **arguments)(image, seed=5)
    assert torch.equal(made, electronic_noise(image, 3.0, **arguments, seed=5))
