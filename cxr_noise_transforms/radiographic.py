"""Both noises in one exposure: photons counted, then read out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import Film, Severity, check_blur
from ._domain import Domain
from ._exposure import Exposure
from ._noise import NoiseModule
from ._signal import divided
from .severity import N0, SIGMA0, electronic_sigma


def radiographic_noise(
    image: Tensor,
    sq: Severity,
    se: Severity,
    *,
    n0: float = N0,
    sigma0: float = SIGMA0,
    value_range: Sequence[float] = (0.0, 1.0),
    clip: bool = False,
    bits: int | None = None,
    seed: int | Tensor | None = None,
    generator: torch.Generator | None = None,
    backend: str | None = None,
    gradient: str = "pathwise",
    film: Film = None,
    blur: float = 0.0,
    domain: Domain | None = None,
) -> Tensor:
    """Both noises as a function; model, arguments, errors as in :class:`RadiographicNoise`."""
    noise = RadiographicNoise(
        sq,
        se,
        n0=n0,
        sigma0=sigma0,
        value_range=value_range,
        clip=clip,
        bits=bits,
        backend=backend,
        gradient=gradient,
        film=film,
        blur=blur,
        domain=domain,
    )
    return noise.forward(image, seed=seed, generator=generator)


class RadiographicNoise(NoiseModule):
    """Quantum and electronic noise of one exposure, digitised once.

    R = Q + N(0, (sigma0 se)²) with Q the quantum noise of ``I``:
    E[R] = I and Var[R] = I sq² / n0 + (sigma0 se)².

    Shapes:
        image ``(..., H, W)``; four or more axes are a batch ``(B, ...)``. The output has the
        image's shape, dtype, device and memory format.

    Args:
        sq: quantum severity, as in :class:`QuantumNoise`.
        se: electronic severity, as in :class:`ElectronicNoise`. With both 0 the image comes back
            bit for bit.
        n0: photons per pixel at full scale for ``sq = 1``.
        sigma0: standard deviation for ``se = 1``, as a fraction of full scale.
        film: ``(sq, se)`` that the film has already, as ``film`` of :class:`QuantumNoise`.
        value_range, clip, bits, backend, gradient, blur, domain: as in :class:`QuantumNoise`.

    Call with ``noise(image, *, seed=None, generator=None)``, as :class:`QuantumNoise`.

    Raises:
        TypeError, ValueError: as :class:`QuantumNoise`.

    Note:
        Not the same as one noise after the other with ``clip`` or ``bits``: an exposure
        saturates once, at the end.

    Example:
        >>> grey = torch.full((1, 512, 512), 0.5)
        >>> noisy = RadiographicNoise(sq=4, se=1)(grey, seed=0)
        >>> variance = 0.5 * 4**2 / 1000 + 0.1**2
        >>> bool((noisy.mean() - 0.5).abs() < 5 * (variance / 512**2) ** 0.5)
        True

    References:
        Jiu et al. 2025, arXiv:2509.25265, section 4.2; the cell (1, 1) of Table 1.
    """

    sq: float | tuple[float, float] | Tensor
    se: float | tuple[float, float] | Tensor
    n0: float
    sigma0: float

    def __init__(
        self,
        sq: Severity,
        se: Severity,
        *,
        n0: float = N0,
        sigma0: float = SIGMA0,
        value_range: Sequence[float] = (0.0, 1.0),
        clip: bool = False,
        bits: int | None = None,
        backend: str | None = None,
        gradient: str = "pathwise",
        film: Film = None,
        blur: float = 0.0,
        domain: Domain | None = None,
    ) -> None:
        super().__init__(
            {"sq": sq, "se": se},
            {"n0": n0, "sigma0": sigma0},
            value_range=value_range,
            clip=clip,
            bits=bits,
            backend=backend,
            gradient=gradient,
            film=film,
            domain=domain,
        )
        self.blur = check_blur(blur)

    def exposure(self, _: Tensor, sq: Tensor, se: Tensor) -> Exposure:
        """The photons of quantum noise, and the read-out of electronic noise."""
        gain = divided(sq.square(), self.n0)
        sigma = electronic_sigma(se, self.sigma0)
        return Exposure(gain=gain, sigma=sigma, blur=self.blur)
