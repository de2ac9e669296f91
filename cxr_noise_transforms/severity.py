"""Every number of the noise model: photons, standard deviations, SNR and the severity ladder.

All functions take numbers or tensors and return the same kind.

References:
    Jiu et al. 2025, arXiv:2509.25265, section 4.2 (model) and Table 1 (ladder).
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch.distributions import ExpTransform, TransformedDistribution, Uniform, constraints

Value = TypeVar("Value", float, torch.Tensor)

# photons per pixel at full scale for sq = 1
N0 = 1000.0
# standard deviation of the electronic noise for se = 1, as a fraction of full scale
SIGMA0 = 0.1
# cells (sq, se) in the order of Table 1
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


def _ratio(numerator: float | Value, denominator: Value) -> Value:
    # plain numbers divide by zero as tensors do
    if not isinstance(denominator, torch.Tensor) and denominator == 0:
        if isinstance(numerator, torch.Tensor):
            return numerator / torch.zeros_like(numerator)
        return math.inf if numerator > 0 else math.nan
    return numerator / denominator


def _root(value: Value) -> Value:
    return value.sqrt() if isinstance(value, torch.Tensor) else math.sqrt(value)
