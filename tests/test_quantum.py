"""Quantum noise follows the Poisson law of its photons, and nothing else."""

from __future__ import annotations

from functools import partial

import laws
import pytest
import torch

from cxr_noise_transforms import QuantumNoise, quantum_noise

# photons per pixel, and the severity at which a grey in [0, 1] has them
RATES = (
    (0.05, 10.0),
    (0.3, 10.0),
    (1.0, 10.0),
    (3.0, 10.0),
    (9.0, 10.0),
    (10.0, 10.0),
    (20.0, 4.0),
    (50.0, 4.0),
    (63.0, 2.0),
    (65.0, 2.0),
    (200.0, 2.0),
    (500.0, 1.0),
    (1000.0, 1.0),
)
# around the rates at which samplers change their method
CALL_RATES = ((10.0, 10.0), (30.0, 4.0), (50.0, 4.0), (63.0, 2.0), (65.0, 2.0), (500.0, 1.0))


def flat(rate: float, sq: float, pixels: int, device: str) -> torch.Tensor:
    return torch.full((pixels // 1024, 1024), rate * sq**2 / 1000, device=device)


@pytest.mark.parametrize("sq", [0.5, 1.0, 4.0, 10.0])
def test_moments_along_a_grey_wedge(sq: float, device: str) -> None:
    noise = partial(quantum_noise, sq=sq, seed=0)
    laws.check_moments(noise, laws.wedge(device=device), sq=sq)


@pytest.mark.parametrize("n0", [100.0, 2e4])
def test_moments_at_another_photon_number(n0: float, device: str) -> None:
    noise = partial(quantum_noise, sq=2.0, n0=n0, seed=0)
    laws.check_moments(noise, laws.wedge(pixels=2**16, device=device), sq=2.0, n0=n0)


@pytest.mark.parametrize("sq", [1e-3, 9e-4, 1e-5])
def test_moments_of_a_flood_of_photons(sq: float, device: str) -> None:
    image = laws.wedge(dtype=torch.float64, pixels=2**16, device=device)
    noisy = quantum_noise(image, sq, seed=0)
    assert noisy.isfinite().all()
    laws.check_moments(lambda _: noisy, image, sq=sq)


@pytest.mark.parametrize("sq", [1e-3, 1e-5])
def test_a_flood_of_photons_stays_finite_in_float32(sq: float, device: str) -> None:
    image = laws.wedge(pixels=2**10, device=device)
    torch.testing.assert_close(quantum_noise(image, sq, seed=0), image, rtol=0, atol=6 * sq)


@pytest.mark.parametrize(("rate", "sq"), RATES)
def test_counts_fit_scipys_poisson(rate: float, sq: float, device: str) -> None:
    image = flat(rate, sq, 2**20, device)
    laws.check_counts(partial(quantum_noise, sq=sq, seed=1), image, sq, tests=len(RATES))


@pytest.mark.parametrize(("rate", "sq"), CALL_RATES)
def test_two_calls_differ_by_skellams_law(rate: float, sq: float, device: str) -> None:
    torch.manual_seed(0)
    image = flat(rate, sq, 2**18, device)
    laws.check_call_differences(partial(quantum_noise, sq=sq), image, sq, tests=len(CALL_RATES))


@pytest.mark.parametrize("sq", [1.0, 10.0])
def test_noise_is_white(sq: float, device: str) -> None:
    image = laws.wedge(low=0.05, pixels=2**16, device=device)
    laws.check_whiteness(partial(quantum_noise, sq=sq, seed=0), image, sq=sq)


@pytest.mark.parametrize("sq", [1.0, 10.0])
def test_images_channels_calls_and_seeds_are_independent(sq: float, device: str) -> None:
    torch.manual_seed(1)
    image = torch.full((2, 3, 128, 128), 0.5, device=device)
    global_generator = partial(quantum_noise, sq=sq)
    seeded = [partial(quantum_noise, sq=sq, seed=seed) for seed in (1, 2, 2**32, -1)]
    laws.check_independence(global_generator, global_generator, *seeded, image=image, sq=sq)


def test_each_image_follows_its_own_severity(device: str) -> None:
    image = laws.wedge(pixels=2**14, device=device)
    severities = torch.tensor([0.5, 3.0, 10.0])
    noisy = quantum_noise(image.expand(3, 1, *image.shape), severities, seed=0)
    for one, sq in zip(noisy, severities.tolist(), strict=True):
        laws.check_moments(lambda _, one=one: one, image, sq=sq)


def test_snr_falls_as_severity_rises() -> None:
    image = torch.full((256, 256), 0.5)
    spreads = [quantum_noise(image, sq, seed=0).std().item() for sq in (0.5, 1, 2, 4, 6, 8, 10)]
    assert spreads == sorted(spreads)


@pytest.mark.parametrize("digitiser", [{}, {"clip": True}, {"bits": 3}], ids=str)
def test_module_and_function_agree(digitiser: dict[str, object], device: str) -> None:
    image = torch.rand(2, 1, 8, 8, device=device)
    arguments = {"n0": 500.0, "value_range": (0.0, 2.0), **digitiser}
    made = QuantumNoise(3.0, **arguments)(image, seed=5)
    assert torch.equal(made, quantum_noise(image, 3.0, **arguments, seed=5))
