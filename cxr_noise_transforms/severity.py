"""Every number of the noise model: photons, standard deviations, SNR, the ladder, and dose.

All functions take numbers or tensors and return the same kind.

References:
    Jiu et al. 2025, arXiv:2509.25265, section 4.2 (model) and Table 1 (ladder).
    IEC 62494-1:2008 (exposure index), IEC 62220-1-1:2015 (photons of a beam).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch.distributions import ExpTransform, TransformedDistribution, Uniform, constraints

from ._checks import check_beam, check_dqe, check_positive, check_scale

Value = TypeVar("Value", float, torch.Tensor)

#: photons per pixel at full scale for sq = 1
N0 = 1000.0
#: standard deviation of the electronic noise for se = 1, as a fraction of full scale
SIGMA0 = 0.1
#: photons per mm² and µGy of air kerma: the squared ideal SNR of IEC 62220-1-1:2015, Table 3, as
#: public programs quote it; the edition of 2003 has 21759, 30174, 32362 and 31077
BEAMS = {"RQA3": 20673.0, "RQA5": 29653.0, "RQA7": 32490.0, "RQA9": 31077.0}
#: doses of a clinical ladder, as fractions of the normal one
DOSE_FRACTIONS = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16)
#: cells (sq, se) in the order of Table 1
LADDER: tuple[tuple[float, float], ...] = (
    (0.0, 0.0),
    (0.0, 1.0),
    (0.0, 2.0),
    (0.0, 4.0),
    (0.0, 6.0),
    (0.0, 8.0),
    (0.0, 10.0),
    (1.0, 0.0),
    (1.0, 1.0),
    (2.0, 0.0),
    (4.0, 0.0),
    (6.0, 0.0),
    (8.0, 0.0),
    (10.0, 0.0),
)


def photons_per_pixel(sq: Value, n0: float = N0) -> Value:
    """Photons per pixel at full scale, ``n0 / sq**2``; infinite at ``sq = 0``.

    Example:
        >>> photons_per_pixel(10.0)
        10.0
    """
    return _ratio(n0, sq * sq)


def electronic_sigma(se: Value, sigma0: float = SIGMA0) -> Value:
    """Standard deviation of the electronic noise, ``sigma0 * se``, as a fraction of full scale.

    Example:
        >>> electronic_sigma(10.0)
        1.0
    """
    return sigma0 * se


def quantum_snr(intensity: Value, sq: Value, n0: float = N0) -> Value:
    """Signal-to-noise ratio under quantum noise alone, ``sqrt(intensity * n0) / sq``.

    Args:
        intensity: signal in [0, 1].
        sq: quantum severity; the ratio is infinite at 0.
        n0: photons per pixel at full scale for ``sq = 1``.

    Example:
        >>> quantum_snr(0.9, 3.0)
        10.0
    """
    return _ratio(_root(intensity * n0), sq)


def electronic_snr(intensity: Value, se: Value, sigma0: float = SIGMA0) -> Value:
    """Signal-to-noise ratio under electronic noise alone, ``intensity / (sigma0 * se)``.

    Args:
        intensity: signal in [0, 1].
        se: electronic severity; the ratio is infinite at 0.
        sigma0: standard deviation for ``se = 1`` as a fraction of full scale.

    Example:
        >>> electronic_snr(0.5, 5.0)
        1.0
    """
    return _ratio(intensity, sigma0 * se)


def quantum_severity(photons: Value, n0: float = N0) -> Value:
    """The ``sq`` at which a full-scale pixel receives ``photons`` photons.

    The inverse of :func:`photons_per_pixel`. A Poisson gain as other packages state it (signal
    per photon: DALI ``factor``, deepinv ``gain``) is ``1 / photons``.

    Example:
        >>> quantum_severity(10.0)
        10.0
    """
    return _root(_ratio(n0, photons))


def electronic_severity(sigma: Value, sigma0: float = SIGMA0) -> Value:
    """The ``se`` at which the noise has standard deviation ``sigma`` (fraction of full scale).

    The inverse of :func:`electronic_sigma`.

    Example:
        >>> electronic_severity(0.5)
        5.0
    """
    return sigma / sigma0


class LogUniform(TransformedDistribution):
    """Severities whose logarithm is uniform: as many per octave at the low end as at the high.

    A uniform range of severities spends its draws at the top: over (0, 10) four fifths of them
    lie above 2.

    Args:
        low: least severity, above 0.
        high: greatest severity.

    Raises:
        ValueError: not 0 < low < high < infinity.

    Example:
        >>> float(LogUniform(0.5, 8.0).icdf(torch.tensor(0.5)))
        2.0
    """

    arg_constraints = {"low": constraints.positive, "high": constraints.positive}  # noqa: RUF012

    def __init__(self, low: float, high: float) -> None:
        if not 0 < low < high < math.inf:
            raise ValueError(f"LogUniform must have 0 < low < high < infinity, got {low}, {high}")
        self.low, self.high = torch.tensor(float(low)), torch.tensor(float(high))
        super().__init__(Uniform(math.log(low), math.log(high)), [ExpTransform()])


def photons_of_dose(
    exposure_index: Value, pixel_pitch: float, beam: str = "RQA9", dqe: float = 0.6
) -> Value:
    """Photons per pixel that a detector counts, N = q K a² DQE with K = exposure index / 100 µGy.

    Args:
        exposure_index: of IEC 62494-1, DICOM (0018,1411): 100 per µGy of air kerma at the
            detector. Chest films aim at some 250.
        pixel_pitch: side a of a pixel in mm, of the image as it is, resampled or not: a field of
            430 mm in 512 pixels is 0.84 mm.
        beam: radiation quality, one of ``BEAMS``: q photons per mm² and µGy.
        dqe: detective quantum efficiency at low frequencies, above 0 to 1: the share of the photons
            that counts. Caesium iodide has about 0.6 (Marshall et al. 2011, Phys. Med. Biol. 56(4):
            0.60 at 0.5 per mm, 2.6 µGy, six detectors), storage phosphors have less.

    Raises:
        TypeError: the pitch, the efficiency or the index is no number.
        ValueError: one of them is not positive, the efficiency above 1, or the beam unknown.

    Note:
        The exposure index is a median over the anatomy, while ``n0 / sq**2`` counts photons at full
        scale: with display values linear in exposure full scale has more. Scatter counts as signal.

    Example:
        >>> round(photons_of_dose(250.0, 430 / 512))
        32880
    """
    check_positive("exposure_index", exposure_index)
    check_positive("pixel_pitch", pixel_pitch)
    check_dqe(dqe)
    per_index = check_beam(beam, BEAMS) / 100 * pixel_pitch**2 * dqe
    return exposure_index * per_index


def quantum_severity_of_dose(
    exposure_index: Value, pixel_pitch: float, beam: str = "RQA9", dqe: float = 0.6, n0: float = N0
) -> Value:
    """The ``sq`` of a film of this dose; arguments, errors, cautions of :func:`photons_of_dose`.

    Example:
        >>> round(quantum_severity_of_dose(250.0, 430 / 512), 3)
        0.174
        >>> round(quantum_severity_of_dose(125.0, 430 / 512), 3)
        0.247
    """
    return quantum_severity(photons_of_dose(exposure_index, pixel_pitch, beam, dqe), n0)


def dose_of_quantum_severity(
    sq: Value, pixel_pitch: float, beam: str = "RQA9", dqe: float = 0.6, n0: float = N0
) -> Value:
    """The exposure index at which a film has ``sq``, the inverse; infinite at ``sq = 0``.

    Example:
        >>> round(dose_of_quantum_severity(1.0, 430 / 512), 1)
        7.6
    """
    return photons_per_pixel(sq, n0) / photons_of_dose(1.0, pixel_pitch, beam, dqe)


def clinical_ladder(
    exposure_index: float,
    pixel_pitch: float,
    beam: str = "RQA9",
    dqe: float = 0.6,
    fractions: Sequence[float] = DOSE_FRACTIONS,
) -> tuple[tuple[float, float], ...]:
    """The clean cell, and a cell ``(sq, 0)`` for every fraction of the normal dose.

    Args:
        exposure_index: of the normal dose.
        pixel_pitch: as in :func:`photons_of_dose`, as are beam and dqe.
        beam: radiation quality.
        dqe: detective quantum efficiency.
        fractions: of the normal dose, positive.

    Raises:
        TypeError, ValueError: as :func:`photons_of_dose`.

    Note:
        These are severities of the noise that is added. A film that was taken at the normal dose
        has that noise already: say ``film=`` where it must not count twice.

    Example:
        >>> [round(sq, 3) for sq, se in clinical_ladder(250.0, 430 / 512)]
        [0.0, 0.174, 0.247, 0.349, 0.493, 0.698]
    """
    doses = [exposure_index * check_scale("fractions", fraction) for fraction in fractions]
    severities = [quantum_severity_of_dose(dose, pixel_pitch, beam, dqe) for dose in doses]
    return ((0.0, 0.0), *((sq, 0.0) for sq in severities))


def _ratio(numerator: float | Value, denominator: Value) -> Value:
    # plain numbers divide by zero as tensors do
    if not isinstance(denominator, torch.Tensor) and denominator == 0:
        if isinstance(numerator, torch.Tensor):
            return numerator / torch.zeros_like(numerator)
        return math.inf if numerator > 0 else math.nan
    return numerator / denominator


def _root(value: Value) -> Value:
    return value.sqrt() if isinstance(value, torch.Tensor) else math.sqrt(value)
