"""Correlated quantum noise: the spectrum is the formula's, the variance of a pixel stays."""

from __future__ import annotations

import math
import re

import laws
import pytest
import torch
from torch import Tensor

from cxr_noise_transforms import QuantumNoise, RadiographicNoise, quantum_noise

SIDE, REGIONS = 64, 64
# hundreds of photons: the residual is nearly normal, and a region's spectrum exponential
SQ, GREY = 1.0, 0.5


def flats() -> Tensor:
    return torch.full((REGIONS, 1, SIDE, SIDE), GREY, dtype=torch.float64)


def transfer(blur: float) -> Tensor:
    """The squared transfer of a Gaussian sampled on pixels, its squares summing to 1."""
    offsets = torch.arange(-math.ceil(4 * blur), math.ceil(4 * blur) + 1).double()
    kernel = (-offsets.square() / (2 * blur**2)).exp()
    kernel = kernel / kernel.square().sum().sqrt()
    phases = 2 * math.pi * torch.fft.fftfreq(SIDE).double()[:, None] * offsets
    along = (kernel * phases.cos()).sum(1).square()
    return along[:, None] * along


def rings() -> Tensor:
    """The ring of every frequency, pairs of opposite frequencies counted once."""
    rows, columns = torch.fft.fftfreq(SIDE)[:, None], torch.fft.fftfreq(SIDE)
    ring = (SIDE * (rows.square() + columns.square()).sqrt()).round().long()
    half = (columns > 0) | ((columns == 0) & (rows > 0))
    return torch.where(half & (columns > -0.5) & (rows > -0.5), ring, 0)


def check_spectrum(noisy: Tensor, blur: float) -> None:
    """The radial power spectrum, five standard errors of the mean of exponential powers."""
    variance = GREY * SQ**2 / 1000
    power = torch.fft.fft2(noisy - GREY).abs().square().mean((0, 1)) / SIDE**2
    due, ring = variance * transfer(blur), rings()
    for radius in range(1, SIDE // 2):
        here = ring == radius
        error = due[here].square().sum().sqrt() / here.sum() / math.sqrt(REGIONS)
        laws.within(power[here].mean(), due[here].mean(), error, f"power at {radius} / {SIDE}")


@pytest.mark.parametrize("blur", [0.4, 0.8, 1.5])
def test_the_radial_power_spectrum_is_the_formulas(blur: float) -> None:
    noisy = quantum_noise(flats(), SQ, blur=blur, seed=3)
    check_spectrum(noisy, blur)


def test_white_noise_breaks_that_law() -> None:
    with pytest.raises(AssertionError, match="power"):
        check_spectrum(quantum_noise(flats(), SQ, seed=3), 0.4)


@pytest.mark.parametrize("blur", [0.4, 1.5])
def test_mean_and_variance_of_a_pixel_stay(blur: float) -> None:
    image = laws.wedge(pixels=2**12, dtype=torch.float64, low=0.1)
    noise = QuantumNoise(SQ, blur=blur)
    noisy = torch.stack([noise(image, seed=seed) for seed in range(200)])
    # one pixel of each block of a grey, further from the next than the noise reaches
    apart = noisy[..., 6::13, 6::13] - image[..., 6::13, 6::13]
    scaled = apart / (image[..., 6::13, 6::13] * SQ**2 / 1000).sqrt()
    count = torch.tensor(scaled.numel())
    laws.within(scaled.mean(), torch.zeros(()).double(), count.rsqrt(), "mean")
    # Poisson counts of 100 and more: their kurtosis is below a hundredth
    laws.within(scaled.square().mean(), torch.ones(()).double(), (2.01 / count).sqrt(), "variance")


def test_edges_stay_sharp() -> None:
    edge = torch.zeros(64, 64)
    edge[:, 32:] = 1.0
    noisy = quantum_noise(edge, 1.0, blur=1.5, seed=0)
    assert noisy[:, :32].eq(0).all()
    assert (noisy[:, 32:] - 1).abs().max() < 0.5


def test_the_read_out_stays_white() -> None:
    image = torch.full((1, 1, 64, 64), 0.5)
    read_out = RadiographicNoise(0.0, 1.0, blur=2.0)(image, seed=0)
    assert torch.equal(read_out, RadiographicNoise(0.0, 1.0)(image, seed=0))


def test_no_blur_is_no_blur() -> None:
    image = torch.rand(2, 1, 16, 16)
    assert torch.equal(quantum_noise(image, 2, blur=0, seed=0), quantum_noise(image, 2, seed=0))


def test_nan_and_infinity_reach_no_neighbour() -> None:
    image = torch.full((1, 1, 32, 32), 0.5)
    hostile = image.clone()
    hostile[..., 5, 5], hostile[..., 20, 20] = torch.nan, torch.inf
    noisy = quantum_noise(hostile, 1.0, blur=1.0, seed=0)
    assert noisy[..., 5, 5].isnan()
    assert noisy[..., 20, 20].isinf()
    assert noisy.isfinite().sum() == image.numel() - 2


@pytest.mark.parametrize("blur", [-1, 17, math.nan, math.inf])
def test_a_blur_that_no_detector_has(blur: float) -> None:
    message = re.escape(f"blur must be between 0 and 16 pixels, got {blur}")
    with pytest.raises(ValueError, match=message):
        QuantumNoise(1, blur=blur)


def test_a_blur_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="blur must be a number of pixels, got str"):
        QuantumNoise(1, blur="1")
