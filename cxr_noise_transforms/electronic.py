"""Electronic noise: the read-out of the detector, additive and independent of the signal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ._checks import Severity, check_backend, check_digitiser, check_scale
from ._exposure import draw_severities, expose
from ._gradient import with_read_out_gradient
from ._module import describe, hold_severity
from ._sources import Source
from .severity import SIGMA0, electronic_sigma


def read_out(signal: Tensor, source: Source, se: Tensor, *, sigma0: float) -> Tensor:
    """The electronic noise model: signal + sigma * normal, where sigma = sigma0 se."""
    sigma = electronic_sigma(se, sigma0)
    noisy = source.read_out(signal.detach(), sigma.detach())
    return with_read_out_gradient(noisy, signal, sigma)


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
) -> Tensor:
    """Electronic noise as a function; model, arguments, errors as in :class:`ElectronicNoise`."""
    model = partial(read_out, sigma0=check_scale("sigma0", sigma0))
    digitiser = check_digitiser(value_range, clip, bits)
    return expose(model, image, {"se": se}, digitiser, seed, generator, backend)


class ElectronicNoise(nn.Module):
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
        value_range, clip, bits, backend: as in :class:`QuantumNoise`.

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

    def __init__(
        self,
        se: Severity,
        *,
        sigma0: float = SIGMA0,
        value_range: Sequence[float] = (0.0, 1.0),
        clip: bool = False,
        bits: int | None = None,
        backend: str | None = None,
    ) -> None:
        super().__init__()
        hold_severity(self, "se", se)
        self.sigma0 = check_scale("sigma0", sigma0)
        self.value_range, self.clip, self.bits = check_digitiser(value_range, clip, bits)
        self.backend = check_backend(backend)
        self.drawn: dict[str, float | Tensor] = {}

    def forward(
        self,
        image: Tensor,
        *,
        seed: int | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The noisy image; ``drawn`` then holds the severities of this call."""
        drawn = draw_severities(image, {"se": self.se}, seed=seed, generator=generator)
        self.drawn = drawn
        return electronic_noise(
            image,
            **drawn,
            sigma0=self.sigma0,
            value_range=self.value_range,
            clip=self.clip,
            bits=self.bits,
            seed=seed,
            generator=generator,
            backend=self.backend,
        )

    def extra_repr(self) -> str:
        """Severities, constants, and the digitiser where it is set."""
        return describe(self, "se", "sigma0")
