"""Gradients through the noise, against the derivatives of its moments."""

import laws
import pytest
import torch

from cxr_noise_transforms import (
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    quantum_noise,
    radiographic_noise,
)

N = 400_000
LEVEL, SQ, SE = 0.3, 4.0, 1.0
GAIN = SQ**2 / 1000
BACKENDS = [None, "torch"]


def grey() -> torch.Tensor:
    return torch.full((1, 1, 1, N), LEVEL, dtype=torch.float64, requires_grad=True)


def mean_gradient(values: torch.Tensor, wanted: float) -> None:
    """The mean of single pixels' derivatives is the law's, within five standard errors."""
    laws.within(
        values.mean(), values.new_tensor(wanted), values.std() / values.numel() ** 0.5, "gradient"
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_pathwise_is_unbiased_for_the_mean_and_the_second_moment(backend: str | None) -> None:
    image = grey()
    noisy = quantum_noise(image, SQ, seed=0, backend=backend)
    mean_gradient(torch.autograd.grad(noisy.sum(), image, retain_graph=True)[0], 1.0)
    # d/dI of E[Q²] = I² + I gain
    second = torch.autograd.grad(noisy.square().sum(), image)[0]
    mean_gradient(second, 2 * LEVEL + GAIN)


def test_straight_through_misses_the_variances_share() -> None:
    image = grey()
    noisy = quantum_noise(image, SQ, seed=0, gradient="straight_through")
    assert torch.equal(torch.autograd.grad(noisy.sum(), image, retain_graph=True)[0], image * 0 + 1)
    second = torch.autograd.grad(noisy.square().sum(), image)[0]
    mean_gradient(second, 2 * LEVEL)
    with pytest.raises(AssertionError):
        mean_gradient(second, 2 * LEVEL + GAIN)


def test_none_passes_nothing() -> None:
    assert not quantum_noise(grey(), SQ, gradient="none").requires_grad


@pytest.mark.parametrize("gradient", ["pathwise", "straight_through", "none"])
def test_the_value_is_the_same(gradient: str) -> None:
    image = grey()
    with torch.no_grad():
        plain = quantum_noise(image, SQ, seed=0)
    assert torch.equal(quantum_noise(image, SQ, seed=0, gradient=gradient), plain)


def test_electronic_noise_has_gradient_one() -> None:
    image = grey()
    gradient = torch.autograd.grad(electronic_noise(image, SE, seed=0).sum(), image)[0]
    assert torch.equal(gradient, torch.ones_like(image))


def test_severities_that_are_tensors_get_the_variances_derivative() -> None:
    sq = torch.tensor([SQ], dtype=torch.float64, requires_grad=True)
    se = torch.tensor([SE], dtype=torch.float64, requires_grad=True)
    clean = grey().detach()
    noisy = radiographic_noise(clean, sq, se, seed=0)
    by_sq, by_se = torch.autograd.grad((noisy - clean).square().mean(), (sq, se))
    # Var = I sq² / n0 + (0.1 se)²; the spread of the estimate from its own pixels
    spread = 5 * ((noisy - clean).square() * 2).std() / N**0.5
    assert abs(by_sq - 2 * LEVEL * SQ / 1000) < spread
    assert abs(by_se - 2 * 0.1**2 * SE) < spread


@pytest.mark.parametrize(("value", "own"), [(0.0, 1.0), (-0.5, 0.0), (float("nan"), None)])
def test_pixels_without_photons_do_not_poison_the_others(value: float, own: float | None) -> None:
    image = torch.full((1, 1, 4, 4), 0.5)
    image[..., 0, 0] = value
    image.requires_grad_()
    gradient = torch.autograd.grad(quantum_noise(image, SQ, seed=0).nansum(), image)[0].flatten()
    assert gradient[1:].isfinite().all()
    assert own is None or gradient[0] == own


def test_rounding_passes_gradients_and_saturation_stops_them() -> None:
    image = torch.tensor([[[[0.5, 0.5], [2.0, 2.0]]]], requires_grad=True)
    noisy = electronic_noise(image, 0.1, bits=8, seed=0)
    assert torch.autograd.grad(noisy.sum(), image)[0].tolist() == [[[[1, 1], [0, 0]]]]


def test_severity_zero_is_the_identity_for_gradients_too() -> None:
    image = torch.rand(2, 1, 4, 4, requires_grad=True)
    noisy = quantum_noise(image, torch.tensor([0.0, SQ]), seed=0)
    gradient = torch.autograd.grad(noisy[0].sum(), image)[0]
    assert torch.equal(gradient[0], torch.ones(1, 4, 4))


@pytest.mark.parametrize(
    "noise", [QuantumNoise(SQ), ElectronicNoise(SE), RadiographicNoise(SQ, SE)]
)
def test_gradients_flow_through_a_module_and_a_network(noise: torch.nn.Module) -> None:
    image = torch.rand(2, 1, 8, 8, requires_grad=True)
    torch.nn.Conv2d(1, 1, 3)(noise(image)).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_unknown_gradient() -> None:
    with pytest.raises(ValueError, match=r"gradient must be one of pathwise, .*, got 'exact'"):
        QuantumNoise(1, gradient="exact")


def test_an_infinite_pixel_does_not_spoil_a_severitys_gradient() -> None:
    sq = torch.tensor([SQ, SQ], requires_grad=True)
    image = torch.full((2, 1, 4, 4), 0.5)
    image[0, 0, 0, 0] = float("inf")
    noisy = quantum_noise(image, sq, seed=0)
    (gradient,) = torch.autograd.grad(noisy[noisy.isfinite()].sum(), sq)
    assert gradient.isfinite().all()
