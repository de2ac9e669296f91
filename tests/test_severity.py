"""The numbers of the model: the paper's ladder, photons, standard deviations, SNR, conversions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

import cxr_noise_transforms as cxr

INVERSES = (
    (cxr.photons_per_pixel, cxr.quantum_severity),
    (cxr.electronic_sigma, cxr.electronic_severity),
)
# (function, arguments, value): arXiv:2509.25265, section 4.2, by hand
VALUES = (
    (cxr.photons_per_pixel, (1.0,), 1000.0),
    (cxr.photons_per_pixel, (10.0,), 10.0),
    (cxr.photons_per_pixel, (2.0, 500.0), 125.0),
    (cxr.quantum_severity, (250.0,), 2.0),
    (cxr.quantum_severity, (125.0, 500.0), 2.0),
    (cxr.electronic_sigma, (1.0,), 0.1),
    (cxr.electronic_sigma, (4.0, 0.25), 1.0),
    (cxr.electronic_severity, (0.5,), 5.0),
    (cxr.electronic_severity, (1.0, 0.25), 4.0),
    (cxr.quantum_snr, (0.1, 1.0), 10.0),
    (cxr.quantum_snr, (0.1, 2.0), 5.0),
    (cxr.quantum_snr, (0.5, 2.0, 200.0), 5.0),
    (cxr.electronic_snr, (0.5, 1.0), 5.0),
    (cxr.electronic_snr, (0.5, 2.0, 0.25), 1.0),
    (cxr.electronic_snr, (0.0, 2.0), 0.0),
)
INFINITE_AT_ZERO = (
    (cxr.photons_per_pixel, (0.0,)),
    (cxr.quantum_snr, (0.5, 0.0)),
    (cxr.electronic_snr, (0.5, 0.0)),
    (cxr.quantum_severity, (0.0,)),
)

# other packages' strengths in the paper's units
PEERS = (
    ([60.0, 25.0, 12.0, 5.0, 3.0], [4.08, 6.32, 9.13, 14.14, 18.26]),  # ImageNet-C shot
    ([60.0, 25.0, 18.0, 10.0, 5.0], [4.08, 6.32, 7.45, 10.0, 14.14]),  # MedMNIST-C chest shot
)


def test_ladder_is_the_papers_table() -> None:
    electronic = [(0, se) for se in (1, 2, 4, 6, 8, 10)]
    quantum = [(sq, 0) for sq in (2, 4, 6, 8, 10)]
    table = ((0, 0), *electronic, (1, 0), (1, 1), *quantum)
    assert len(table) == 14
    assert table == cxr.LADDER


def test_constants_are_the_papers() -> None:
    assert (cxr.N0, cxr.SIGMA0) == (1000.0, 0.1)


@pytest.mark.parametrize(("function", "arguments", "value"), VALUES)
def test_values_by_hand_as_number_and_tensor(
    function: Callable[..., float], arguments: tuple[float, ...], value: float
) -> None:
    assert function(*arguments) == pytest.approx(value, rel=1e-12)
    variables, constants = arguments[:2], arguments[2:]
    if function not in (cxr.quantum_snr, cxr.electronic_snr):
        variables, constants = arguments[:1], arguments[1:]
    tensors = [torch.tensor([one, one], dtype=torch.float64) for one in variables]
    expected = torch.tensor([value, value], dtype=torch.float64)
    torch.testing.assert_close(function(*tensors, *constants), expected)


@pytest.mark.parametrize(("function", "arguments"), INFINITE_AT_ZERO)
def test_infinite_at_zero_as_number_and_tensor(
    function: Callable[..., float], arguments: tuple[float, ...]
) -> None:
    assert function(*arguments) == math.inf
    assert function(*map(torch.tensor, arguments)).item() == math.inf
    *intensity, zero = arguments
    assert function(*map(torch.tensor, intensity), zero) == math.inf


@pytest.mark.parametrize(("forward", "backward"), INVERSES)
def test_conversions_invert(forward: Callable[..., float], backward: Callable[..., float]) -> None:
    severities = torch.linspace(0.25, 20.0, 80, dtype=torch.float64)
    torch.testing.assert_close(backward(forward(severities)), severities)
    torch.testing.assert_close(forward(backward(severities)), severities)
    constant = 321.0
    assert backward(forward(3.0, constant), constant) == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize(("photons", "severities"), PEERS)
def test_peers_shot_noise_in_units_of_sq(photons: list[float], severities: list[float]) -> None:
    converted = cxr.quantum_severity(torch.tensor(photons))
    torch.testing.assert_close(converted, torch.tensor(severities), rtol=0, atol=0.005)


@pytest.mark.parametrize("snr", [cxr.quantum_snr, cxr.electronic_snr])
def test_snr_falls_with_severity_and_rises_with_signal(snr: Callable[..., torch.Tensor]) -> None:
    greys = torch.linspace(0.05, 1, 20)[:, None]
    severities = torch.tensor([1.0, 2.0, 4.0, 6.0, 8.0, 10.0])
    ratios = snr(greys, severities)
    assert ratios.shape == (20, 6)
    assert (ratios.diff(dim=0) > 0).all()
    assert (ratios.diff(dim=1) < 0).all()


def test_electronic_variance_is_at_least_ten_times_quantum_at_equal_severity() -> None:
    greys = torch.linspace(0.05, 1, 20, dtype=torch.float64)
    ratio = (cxr.quantum_snr(greys, 3.0) / cxr.electronic_snr(greys, 3.0)).square()
    torch.testing.assert_close(ratio, 10 / greys)


@pytest.mark.parametrize("function", [cxr.photons_per_pixel, cxr.electronic_sigma])
def test_tensors_keep_dtype_and_device(
    function: Callable[[torch.Tensor], torch.Tensor], device: str
) -> None:
    severities = torch.ones(3, dtype=torch.float16, device=device)
    answer = function(severities)
    assert (answer.dtype, answer.device) == (torch.float16, severities.device)
