"""Electronic noise: the read-out of the detector, additive and independent of the signal."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import Film, Severity
from ._domain import Domain
from ._exposure import Exposure
from ._noise import NoiseModule
from .severity import SIGMA0, electronic_sigma


def electronic_noise(
    image: Tensor,
    se: Severity,
    *,
    sigma0: float = SIGMA0,
    value_range: Sequence[float] = (0.0, 1.0),
    clip: bool = False,
    bits: int | None = None,
    seed: int | Tensor | None = None,
    generator: torch.Generator | None = None,
    backend: str | None = None,
    film: Film = None,
    domain: Domain | None = None,
) -> Tensor:
    """Electronic noise as a function; model, arguments, errors as in :class:`ElectronicNoise`."""
    noise = ElectronicNoise(
        se,
        sigma0=sigma0,
        value_range=value_range,
        clip=clip,
        bits=bits,
        backend=backend,
        film=film,
        domain=domain,
    )
    return noise.forward(image, seed=seed, generator=generator)


class ElectronicNoise(NoiseModule):
    """Additive Gaussian read-out noise of standard deviation ``sigma0 * se`` of full scale.

    E = I + N(0, (sigma0 se)²),  with E[E] = I and Var[E] = (sigma0 se)².

    Shapes:
        image ``(..., H, W)``; four or more axes are a batch ``(B, ...)``. The output has the
        image's shape, dtype, device and memory format.

    Args:
        se: electronic severity, >= 0; 0 returns the image bit for bit. A number; a tensor
            ``(B,)``, one per image; or a range ``(low, high)`` drawn uniformly per image at each
            call and readable afterwards as ``drawn["se"]``.
        sigma0: standard deviation for ``se = 1``, as a fraction of full scale.
        value_range, clip, bits, backend, domain: as in :class:`QuantumNoise`.
        film: the ``se`` that the film has already, as ``film`` of :class:`QuantumNoise`.

    Call with ``noise(image, *, seed=None, generator=None)``, as :class:`QuantumNoise`.

    Raises:
        TypeError, ValueError: as :class:`QuantumNoise`.

    Note:
        ``se`` and ``sq`` are not commensurate: at ``sq = se`` this variance is ``10 / I`` times
        the quantum one. ``se = 10`` is a standard deviation of full scale, so ``clip`` or
        ``bits`` saturate most of the pixels and shift the mean.

    Example:
        >>> grey = torch.full((1, 512, 512), 0.5)
        >>> noisy = ElectronicNoise(se=2)(grey, seed=0)
        >>> bool((noisy.var() - 0.2**2).abs() < 5 * 0.2**2 * (2 / 512**2) ** 0.5)
        True

    References:
        Jiu et al. 2025, arXiv:2509.25265, section 4.2, "Electronic noise".
    """

    se: float | tuple[float, float] | Tensor
    sigma0: float

    def __init__(
        self,
        se: Severity,
        *,
        sigma0: float = SIGMA0,
        value_range: Sequence[float] = (0.0, 1.0),
        clip: bool = False,
        bits: int | None = None,
        backend: str | None = None,
        film: Film = None,
        domain: Domain | None = None,
    ) -> None:
        super().__init__(
            {"se": se},
            {"sigma0": sigma0},
            value_range=value_range,
            clip=clip,
            bits=bits,
            backend=backend,
            film=film,
            domain=domain,
        )

    def exposure(self, _: Tensor, se: Tensor) -> Exposure:
        """The read-out deviates by sigma0 se of full scale."""
        return Exposure(sigma=electronic_sigma(se, self.sigma0))
