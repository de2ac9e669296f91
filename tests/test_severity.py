"""The numbers of the model: the paper's ladder, photons, standard deviations, SNR, conversions."""

from __future__ import annotations

import math
from collections.abc import Callable

import laws
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


# dose


# a field of 430 mm at exposure index 250: (side in pixels, photons per pixel, normal dose as sq),
# by hand from q = 31077 per mm² and µGy, 2.5 µGy and an efficiency of 0.6
DOSES = ((2880, 1039, 0.981), (1024, 8220, 0.349), (512, 32880, 0.174), (224, 171779, 0.0763))


@pytest.mark.parametrize(("side", "photons", "severity"), DOSES)
def test_photons_and_severity_of_the_normal_dose(side: int, photons: int, severity: float) -> None:
    assert round(cxr.photons_of_dose(250, 430 / side)) == photons
    assert float(f"{cxr.quantum_severity_of_dose(250, 430 / side):.3g}") == severity


def test_the_dose_of_a_severity_is_the_inverse() -> None:
    severities = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    doses = cxr.dose_of_quantum_severity(severities, 0.5, "RQA5", 0.3)
    again = cxr.quantum_severity_of_dose(doses, 0.5, "RQA5", 0.3)
    torch.testing.assert_close(again, severities)
    assert cxr.dose_of_quantum_severity(0.0, 0.5) == math.inf


def test_a_clinical_ladder_is_the_clean_cell_and_a_dose_per_fraction() -> None:
    clean, *cells = cxr.clinical_ladder(250, 0.84)
    assert clean == (0.0, 0.0)
    assert {se for _, se in cells} == {0.0}
    doses = [cxr.dose_of_quantum_severity(sq, 0.84) / 250 for sq, _ in cells]
    assert doses == pytest.approx([1, 1 / 2, 1 / 4, 1 / 8, 1 / 16])


@pytest.mark.parametrize("binned", [2, 4, 8])
def test_averaged_pixels_have_the_noise_of_the_wider_pixel(binned: int) -> None:
    pitch, index = 0.15, 40.0
    fine = cxr.quantum_severity_of_dose(index, pitch)
    wide = cxr.quantum_severity_of_dose(index, binned * pitch)
    noise = cxr.QuantumNoise(fine)
    image = torch.full((1, 1024, 1024), 0.5, dtype=torch.float64)
    averaged = torch.nn.functional.avg_pool2d(noise(image, seed=0), binned)
    flat = torch.full_like(averaged, 0.5)
    laws.check_moments(lambda _: averaged, flat, greys=1, sq=wide)
    laws.check_counts(lambda _: averaged, flat, wide, tests=3)
    with pytest.raises(AssertionError, match="variance"):
        laws.check_moments(lambda _: averaged, flat, greys=1, sq=fine)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_doses_that_cannot_be(value: float) -> None:
    for name, arguments in (
        ("exposure_index", (value, 0.8)),
        ("pixel_pitch", (250, value)),
        ("dqe", (250, 0.8, "RQA9", value)),
        ("exposure_index", (torch.tensor([250.0, value]), 0.8)),
    ):
        with pytest.raises(ValueError, match=f"{name} must be positive and finite, got"):
            cxr.photons_of_dose(*arguments)
    with pytest.raises(ValueError, match="fractions must be positive and finite, got"):
        cxr.clinical_ladder(250, 0.8, fractions=(1, value))


def test_what_a_dose_is_told_in_words() -> None:
    with pytest.raises(ValueError, match=r"dqe must be above 0 and at most 1, got 1\.1"):
        cxr.photons_of_dose(250, 0.8, dqe=1.1)
    with pytest.raises(ValueError, match="beam must be one of RQA3, RQA5, RQA7, RQA9, got 'W/Al'"):
        cxr.photons_of_dose(250, 0.8, "W/Al")
    with pytest.raises(TypeError, match="pixel_pitch must be a number, got str"):
        cxr.photons_of_dose(250, "0.8")
