"""Quantum noise: the photons of one exposure, counted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from ._checks import Severity, check_backend, check_digitiser, check_gradient, check_scale
from ._exposure import draw_severities, expose
from ._gradient import with_photon_gradient
from ._module import describe, hold_severity
from ._signal import divided
from ._sources import Source
from .severity import N0

# signal per photon from which on no image holds a photon; products with it stay finite
_LARGEST_GAIN = 1e30


def count_photons(
    signal: Tensor, source: Source, sq: Tensor, *, n0: float, gradient: str
) -> Tensor:
    """The quantum noise model: gain * Poisson(signal / gain), where gain = sq² / n0 per photon."""
    gain = divided(sq.square(), n0).clamp(max=_LARGEST_GAIN)
    noisy = source.photons(signal.detach(), gain.detach())
    return with_photon_gradient(noisy, signal, gain, gradient)


def quantum_noise(
    image: Tensor,
    sq: Severity,
    *,
    n0: float = N0,
    value_range: Sequence[float] = (0.0, 1.0),
    clip: bool = False,
    bits: int | None = None,
    seed: int | Tensor | None = None,
    generator: torch.Generator | None = None,
    backend: str | None = None,
    gradient: str = "pathwise",
) -> Tensor:
    """Quantum noise as a function; model, arguments, errors as in :class:`QuantumNoise`."""
    model = partial(count_photons, n0=check_scale("n0", n0), gradient=check_gradient(gradient))
    digitiser = check_digitiser(value_range, clip, bits)
    return expose(model, image, {"sq": sq}, digitiser, seed, generator, backend)


class QuantumNoise(nn.Module):
    """Photon-counting (Poisson) noise of an exposure with ``n0 / sq**2`` photons at full scale.

    P ~ Poisson(I n0 / sq²),  Q = P sq² / n0,  with E[Q] = I and Var[Q] = I sq² / n0.

    Shapes:
        image ``(..., H, W)``; four or more axes are a batch ``(B, ...)``. The output has the
        image's shape, dtype, device and memory format.

    Args:
        sq: quantum severity, >= 0; 0 returns the image bit for bit. A number; a tensor ``(B,)``,
            one per image; or a range ``(low, high)`` drawn uniformly per image at each call and
            readable afterwards as ``drawn["sq"]``.
        n0: photons per pixel at full scale for ``sq = 1``.
        value_range: low and high end of a float image's signal; uint8 and uint16 images use
            their full scale.
        clip: saturate to the value range. Both moments hold only without saturation.
        bits: saturate and round to ``2**bits`` levels, as an 8-bit film does with ``bits=8``.
        backend: ``None`` for the best that is proven on the device; ``"numpy"`` for the
            counter-based sampler on the CPU; ``"triton"`` for the same in one CUDA kernel;
            ``"torch"`` for the reference, ``torch.poisson`` and ``torch.randn``. A backend that
            is named runs or raises.
        gradient: what flows back to the image: ``"pathwise"``, of Q = I + z sqrt(I sq² / n0) with
            z held fixed; ``"straight_through"``, of the identity; ``"none"``. The value of Q is
            the same. Rounding by ``bits`` passes gradients on, saturation stops them.

    Call with ``noise(image, *, seed=None, generator=None)``:
        seed: an int, or an int64 tensor ``(B,)`` with one seed per image. The noise of an image
            then depends on its seed, its severity and its pixels alone. In a batch under one int,
            image b gets the stream ``image_seeds(seed, range(B))[b]``.
        generator: a ``torch.Generator`` on the image's device. With neither, torch's global
            generator is used.

    Raises:
        TypeError: not a tensor; a dtype other than uint8, uint16, float16, bfloat16, float32,
            float64; an argument of the wrong type.
        ValueError: a severity that is negative, NaN, infinite or of the wrong shape; an inverted
            range; ``bits`` outside 1 to 16; an empty value range; both seed and generator.

    Note:
        Every element is an exposure of its own: add noise to one channel and expand afterwards,
        or the three channels of a grey film get three different noises. A negative signal counts
        no photons; NaN stays NaN.

    Example:
        >>> grey = torch.full((1, 512, 512), 0.5)
        >>> noisy = QuantumNoise(sq=10)(grey, seed=0)
        >>> bool((noisy.mean() - 0.5).abs() < 5 * (0.5 * 10**2 / 1000 / 512**2) ** 0.5)
        True

    References:
        Jiu et al. 2025, arXiv:2509.25265, section 4.2, "Quantum noise".
    """

    sq: float | tuple[float, float] | Tensor

    def __init__(
        self,
        sq: Severity,
        *,
        n0: float = N0,
        value_range: Sequence[float] = (0.0, 1.0),
        clip: bool = False,
        bits: int | None = None,
        backend: str | None = None,
        gradient: str = "pathwise",
    ) -> None:
        super().__init__()
        hold_severity(self, "sq", sq)
        self.n0 = check_scale("n0", n0)
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
        drawn = draw_severities(image, {"sq": self.sq}, seed=seed, generator=generator)
        self.drawn = drawn
        return quantum_noise(
            image,
            **drawn,
            n0=self.n0,
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
        return describe(self, "sq", "n0")
