"""Both noises in one exposure: photons counted, then read out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ._checks import Severity, check_backend, check_digitiser, check_gradient, check_scale
from ._exposure import draw_severities, expose
from ._module import describe, hold_severity
from ._sources import Source
from .electronic import read_out
from .quantum import count_photons
from .severity import N0, SIGMA0


def take_exposure(
    signal: Tensor,
    source: Source,
    sq: Tensor,
    se: Tensor,
    *,
    n0: float,
    sigma0: float,
    gradient: str,
) -> Tensor:
    """The radiographic noise model: the photons are counted, then read out."""
    counted = count_photons(signal, source, sq, n0=n0, gradient=gradient)
    return read_out(counted, source, se, sigma0=sigma0)


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
) -> Tensor:
    """Both noises as a function; model, arguments, errors as in :class:`RadiographicNoise`."""
    model = partial(
        take_exposure,
        n0=check_scale("n0", n0),
        sigma0=check_scale("sigma0", sigma0),
        gradient=check_gradient(gradient),
    )
    digitiser = check_digitiser(value_range, clip, bits)
    return expose(model, image, {"sq": sq, "se": se}, digitiser, seed, generator, backend)


class RadiographicNoise(nn.Module):
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
        value_range, clip, bits, backend, gradient: as in :class:`QuantumNoise`.

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
    ) -> None:
        super().__init__()
        hold_severity(self, "sq", sq)
        hold_severity(self, "se", se)
        self.n0 = check_scale("n0", n0)
        self.sigma0 = check_scale("sigma0", sigma0)
        self.value_range, self.clip, self.bits = check_digitiser(value_range, clip, bits)
        self.backend = check_backend(backend)
        self.gradient = check_gradient(gradient)
        self.drawn: dict[str, float | Tensor] = {}

    def forward(
        self,
        image: Tensor,
        *,
        seed: int | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The noisy image; ``drawn`` then holds the severities of this call."""
        severities = {"sq": self.sq, "se": self.se}
        drawn = draw_severities(image, severities, seed=seed, generator=generator)
        self.drawn = drawn
        return radiographic_noise(
            image,
            **drawn,
            n0=self.n0,
            sigma0=self.sigma0,
            value_range=self.value_range,
            clip=self.clip,
            bits=self.bits,
            seed=seed,
            generator=generator,
            backend=self.backend,
            gradient=self.gradient,
        )

    def extra_repr(self) -> str:
        """Severities, constants, and the digitiser where it is set."""
        return describe(self, "sq", "se", "n0", "sigma0")
