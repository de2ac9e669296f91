"""The figures that docs/physics.md states, from the formulas there and from the noise itself."""

import math

import pytest
import torch
from scipy import stats

from cxr_noise_transforms import electronic_noise, quantum_noise


def shift(noisy: torch.Tensor, level: float) -> tuple[float, float]:
    """Shift of the mean, and five standard errors of it."""
    return float(noisy.mean()) - level, 5 * float(noisy.std()) / math.sqrt(noisy.numel())


@pytest.mark.parametrize(("sq", "stated"), [(1, 0.013), (10, 0.125)])
def test_saturation_costs_the_quantum_noise_its_upper_half(sq: float, stated: float) -> None:
    photons = 1000 / sq**2
    law = stats.poisson.pmf(photons, photons)
    assert abs(law - stated) < 5e-4
    measured, error = shift(quantum_noise(torch.ones(500, 500), sq, clip=True, seed=0), 1)
    assert abs(measured + law) < error


def test_saturation_lifts_the_electronic_noise_of_dark_pixels() -> None:
    level, sigma = 0.1, 1.0
    z, upper = level / sigma, (1 - level) / sigma
    normal = stats.norm
    law = (
        sigma * (normal.pdf(z) - normal.pdf(upper))
        - level * normal.cdf(-z)
        + (1 - level) * normal.cdf(-upper)
    )
    assert abs(law - 0.25) < 5e-3
    grey = torch.full((500, 500), level)
    measured, error = shift(electronic_noise(grey, 10, clip=True, seed=0), level)
    assert abs(measured - law) < error
