"""Quantum noise: the photons of one exposure, counted."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import Film, Severity, check_blur
from ._domain import Domain
from ._exposure import Exposure
from ._noise import NoiseModule
from ._signal import divided
from .severity import N0


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
    film: Film = None,
    blur: float = 0.0,
    domain: Domain | None = None,
) -> Tensor:
    """Quantum noise as a function; model, arguments, errors as in :class:`QuantumNoise`."""
    noise = QuantumNoise(
        sq,
        n0=n0,
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


class QuantumNoise(NoiseModule):
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
        backend: ``None`` for the best that is proven on the device (docs/gpu.md); ``"numba"`` for
            the counter-based sampler on the CPU; ``"triton"`` for the same in one CUDA kernel;
            ``"torch"`` for the reference, ``torch.poisson`` and ``torch.randn``. A backend that
            is named runs or raises.
        gradient: what flows back to the image: ``"pathwise"``, of Q = I + z sqrt(I sq² / n0) with
            z held fixed; ``"straight_through"``, of the identity; ``"none"``. The value of Q is
            the same. Rounding by ``bits`` passes gradients on, saturation stops them.
        film: the severity that the film has already, a number or a tensor ``(B,)``. The noise is
            what is missing to ``sq``, of severity sqrt(sq² - film²); mean and variance are those
            of ``sq``, the third cumulant is not (docs/physics.md). A film that has more than a
            severity drawn from a range, or than one on a device, stays as it is.
        blur: standard deviation, 0 to 16 pixels, of the Gaussian by which the noise is
            correlated, as by the light of a scintillator; the signal stays sharp, and the
            variance of a pixel what it is. The film's opposite edges count as neighbours.
        domain: where photons are counted: ``None`` in the display values, as in the paper, or
            :class:`LogExposure`, behind whatever stops most of them.

    Call with ``noise(image, *, seed=None, generator=None)``:
        seed: an int, or an int64 tensor ``(B,)`` with one seed per image. The noise of an image
            then depends on its seed, its severity and its pixels alone. In a batch under one int,
            image b gets the stream ``image_seeds(seed, range(B))[b]``.
        generator: a ``torch.Generator`` on the image's device. With neither, torch's global
            generator is used.

    Raises:
        TypeError: not a tensor; a dtype other than uint8, uint16, float16, bfloat16, float32,
            float64; an argument of the wrong type.
        ValueError: a severity that is negative, NaN, infinite, of the wrong shape or below the
            film's; an inverted range; ``bits`` outside 1 to 16; an empty value range; a blur
            outside 0 to 16; both seed and generator.

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
    n0: float

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
        film: Film = None,
        blur: float = 0.0,
        domain: Domain | None = None,
    ) -> None:
        super().__init__(
            {"sq": sq},
            {"n0": n0},
            value_range=value_range,
            clip=clip,
            bits=bits,
            backend=backend,
            gradient=gradient,
            film=film,
            domain=domain,
        )
        self.blur = check_blur(blur)

    def exposure(self, _: Tensor, sq: Tensor) -> Exposure:
        """One photon is sq² / n0 of full scale."""
        return Exposure(gain=divided(sq.square(), self.n0), blur=self.blur)
