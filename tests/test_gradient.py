"""Gradients through the noise, against the derivatives of its moments."""

from collections.abc import Callable

import laws
import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jacrev, jvp, vjp, vmap

from cxr_noise_transforms import (
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    quantum_noise,
    radiographic_noise,
)

# torch itself scripts its decompositions at the first forward derivative
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

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


# forward, and under torch.func

FILMS = torch.rand(3, 1, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TANGENT, COTANGENT = (
    torch.rand(FILMS.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    for seed in (1, 2)
)
SEEDS = torch.tensor([4, 5, 6])
# with an image that has no photons to count, and one that has no read-out
SEVERITIES = (torch.tensor([0.0, 2.0, 5.0]).double(), torch.tensor([1.0, 0.0, 0.5]).double())


def both(image: Tensor, sq: Tensor, se: Tensor, seed: Tensor, **arguments: object) -> Tensor:
    return radiographic_noise(image, sq, se, seed=seed, **arguments)


@pytest.fixture(params=BACKENDS)
def noise(request: pytest.FixtureRequest) -> Callable[[Tensor], Tensor]:
    """Both noises of the films, with all that follows a draw but saturation."""
    arguments = {"backend": request.param, "bits": 8, "value_range": (-2.0, 3.0)}
    return lambda films: both(films, *SEVERITIES, SEEDS, **arguments)


def backward(noise: Callable[[Tensor], Tensor]) -> Tensor:
    films = FILMS.clone().requires_grad_()
    return torch.autograd.grad(noise(films), films, COTANGENT)[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_tangent_of_electronic_noise_is_that_of_its_signal(backend: str | None) -> None:
    noisy, tangent = jvp(
        lambda films: electronic_noise(films, SE, seed=0, backend=backend), (FILMS,), (TANGENT,)
    )
    assert torch.equal(noisy, electronic_noise(FILMS, SE, seed=0, backend=backend))
    assert torch.equal(tangent, TANGENT)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_tangent_of_quantum_noise_is_pathwise(backend: str | None) -> None:
    noisy, tangent = jvp(
        lambda films: quantum_noise(films, SQ, seed=0, backend=backend), (FILMS,), (TANGENT,)
    )
    assert torch.equal(noisy, quantum_noise(FILMS, SQ, seed=0, backend=backend))
    torch.testing.assert_close(tangent, (1 + noisy / FILMS) / 2 * TANGENT)


def test_the_tangents_of_severities_are_those_of_the_noise() -> None:
    sq, se = torch.full((3,), SQ).double(), torch.full((3,), SE).double()
    noisy, by_sq = jvp(lambda sq: quantum_noise(FILMS, sq, seed=0), (sq,), (torch.ones_like(sq),))
    # Q - I = z sq sqrt(I / n0)
    torch.testing.assert_close(by_sq, (noisy - FILMS) / SQ)
    noisy, by_se = jvp(
        lambda se: electronic_noise(FILMS, se, seed=0), (se,), (torch.ones_like(se),)
    )
    torch.testing.assert_close(by_se, (noisy - FILMS) / SE)


@pytest.mark.parametrize("gradient", ["straight_through", "none"])
def test_the_tangent_is_the_one_that_was_asked_for(gradient: str) -> None:
    _, tangent = jvp(
        lambda films: quantum_noise(films, SQ, seed=0, gradient=gradient), (FILMS,), (TANGENT,)
    )
    assert torch.equal(tangent, TANGENT if gradient == "straight_through" else 0 * TANGENT)


def test_forward_and_backward_agree(noise: Callable[[Tensor], Tensor]) -> None:
    _, tangent = jvp(noise, (FILMS,), (TANGENT,))
    torch.testing.assert_close((tangent * COTANGENT).sum(), (backward(noise) * TANGENT).sum())
    with forward_ad.dual_level():
        dual = noise(forward_ad.make_dual(FILMS, TANGENT))
        assert torch.equal(forward_ad.unpack_dual(dual).tangent, tangent)


def test_torch_func_agrees_with_backward(noise: Callable[[Tensor], Tensor]) -> None:
    expected = backward(noise)
    assert torch.equal(vjp(noise, FILMS)[1](COTANGENT)[0], expected)
    assert torch.equal(grad(lambda films: (noise(films) * COTANGENT).sum())(FILMS), expected)


def test_jacobians_are_diagonal_and_the_same_both_ways(noise: Callable[[Tensor], Tensor]) -> None:
    size = FILMS.numel()
    forward, reverse = (jac(noise)(FILMS).reshape(size, size) for jac in (jacfwd, jacrev))
    torch.testing.assert_close(forward, reverse)
    _, tangent = jvp(noise, (FILMS,), (torch.ones_like(FILMS),))
    assert torch.equal(forward, tangent.flatten().diag())


def test_derivatives_nest_with_vmap() -> None:
    def one(film: Tensor, *rest: Tensor) -> Tensor:
        return both(film, *rest, bits=8)

    def loss(film: Tensor, weight: Tensor, *rest: Tensor) -> Tensor:
        return (one(film, *rest) * weight).sum()

    given = (*SEVERITIES, SEEDS)
    expected = backward(lambda films: one(films, *given))
    per_film = vmap(grad(loss))(FILMS, COTANGENT, *given)
    of_all = grad(lambda films: vmap(loss)(films, COTANGENT, *given).sum())(FILMS)
    assert torch.equal(per_film, expected)
    assert torch.equal(of_all, expected)
    _, tangent = jvp(lambda films: vmap(one)(films, *given), (FILMS,), (TANGENT,))
    assert torch.equal(tangent, jvp(lambda films: one(films, *given), (FILMS,), (TANGENT,))[1])


def test_tangents_compile(noise: Callable[[Tensor], Tensor]) -> None:
    def tangent(films: Tensor, tangent: Tensor) -> Tensor:
        return jvp(noise, (films,), (tangent,))[1]

    compiled = torch.compile(tangent, backend="eager", fullgraph=True)
    assert torch.equal(compiled(FILMS, TANGENT), tangent(FILMS, TANGENT))


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("function", [quantum_noise, electronic_noise])
def test_a_pixel_that_is_no_number_passes_no_derivative(
    function: Callable[..., Tensor], value: float
) -> None:
    films = FILMS.clone()
    films[0, 0, 0, 0] = value
    films.requires_grad_()
    (gradient,) = torch.autograd.grad(function(films, 2.0, seed=0).nansum(), films)
    assert gradient.isfinite().all()
    assert gradient[0, 0, 0, 0] == 0
