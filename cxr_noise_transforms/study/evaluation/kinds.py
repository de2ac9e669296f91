"""Noises that tell why a network fails: photons of a given RMS, and single bands of frequencies.

Both measure their strength as electronic noise does, by an RMS of ``SIGMA0 * se`` of full scale, so
that all of them can be compared at one RMS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cxr_noise_transforms import SIGMA0, ElectronicNoise, Exposure, NoiseModule
from cxr_noise_transforms._signal import Digitiser, to_image, to_signal

BANDS = 8
# highest frequency along an axis, in cycles per pixel
_NYQUIST = 0.5


class MatchedQuantumNoise(NoiseModule):
    """Quantum noise with the variance that electronic noise of the same ``se`` has.

    Q = g Poisson(I / g),  g = (SIGMA0 se)² / mean(I),  with E[Q] = I and Var[Q] = g I, whose mean
    over the film is (SIGMA0 se)².

    Shapes: as :class:`~cxr_noise_transforms.ElectronicNoise`.

    Args:
        se: severity of the electronic noise that it matches, >= 0; 0 returns the image.
        value_range: of the image.
        bits: digitise the noisy image.

    Note:
        Of the signal, before a digitiser: what saturates loses variance.

    Example:
        >>> film = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
        >>> noise = MatchedQuantumNoise(se=1)(film, seed=0) - film
        >>> round(noise.square().mean().sqrt().item(), 2)
        0.1
    """

    def __init__(
        self, se: float, *, value_range: Sequence[float] = (0.0, 1.0), bits: int | None = None
    ) -> None:
        super().__init__({"se": se}, value_range=value_range, bits=bits)

    def exposure(self, image: Tensor, se: Tensor) -> Exposure:
        """So few photons that their variance is the electronic one."""
        signal = to_signal(image, Digitiser(self.value_range))
        mean = signal.mean(dim=tuple(range(1, image.ndim)), keepdim=True)
        gain = (SIGMA0 * se).square() / mean
        # a film without signal has no photons to count
        return Exposure(gain=torch.where(mean > 0, gain, 0))


class BandNoise(nn.Module):
    """Gaussian noise of one radial band of frequencies, with all the energy of white noise.

    B = I + sqrt(N / n) F⁻¹[m F[W]],  W ~ N(0, (SIGMA0 se)²) white, m = 1 for the n of the film's N
    frequencies that lie in the band and 0 elsewhere; E[B] = I and Var[B] = (SIGMA0 se)².

    The bands have a width of 1/16 cycles per pixel: the first begins above frequency 0, so that
    the film's mean stays; the last holds the corners too. W is the film's electronic noise, so
    that bands, and white noise, of one seed are parts of one another.

    Shapes: as :class:`~cxr_noise_transforms.ElectronicNoise`; films of more than 16 pixels.

    Args:
        number: of the band, 1 (lowest) to 8.
        se: severity of the electronic noise whose variance it has, >= 0; 0 returns the image.
        value_range: of the image.
        bits: digitise the noisy image.

    Raises:
        ValueError: no such band, or no frequency of the film lies in it.

    Example:
        >>> film = torch.full((1, 1, 256, 256), 0.5)
        >>> noise = BandNoise(3, se=1)(film, seed=0) - film
        >>> round(noise.std().item(), 2)
        0.1
    """

    def __init__(
        self,
        number: int,
        se: float,
        *,
        value_range: Sequence[float] = (0.0, 1.0),
        bits: int | None = None,
    ) -> None:
        super().__init__()
        self.number = check_band(number)
        self.white = ElectronicNoise(se)
        low, high = value_range
        self.digitiser = Digitiser((float(low), float(high)), bits=bits)

    def forward(
        self,
        image: Tensor,
        *,
        seed: int | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The noisy image."""
        if self.white.se == 0:
            return image.clone()
        signal = to_signal(image, self.digitiser)
        white = self.white(torch.zeros_like(signal), seed=seed, generator=generator)
        inside = in_band(self.number, *image.shape[-2:]).to(signal)
        scale = (inside.numel() / inside.sum()).sqrt()
        band = torch.fft.ifft2(torch.fft.fft2(white) * inside).real * scale
        return to_image(signal + band.to(signal), image, None, self.digitiser)


def in_band(number: int, height: int, width: int) -> Tensor:
    """Which frequencies of a film, in the order of ``fft2``, lie in a band.

    Raises:
        ValueError: none does.
    """
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)[None])
    band = (radius * BANDS / _NYQUIST).floor().clamp(max=BANDS - 1) + 1
    inside = (band == number) & (radius > 0)
    if not inside.any():
        raise ValueError(
            f"films must be of more than {2 * BANDS} pixels for {BANDS} bands of frequencies, got "
            f"{height} x {width}"
        )
    return inside


def band_density(noise: Tensor) -> Tensor:
    """Energy per frequency in every band, as a share of what white noise of that variance has.

    Shapes: ``(..., H, W)`` to ``(..., 8)``; white noise has 1 in every band.

    Example:
        >>> stripes = torch.tensor([0.5, -0.5]).repeat(32).expand(64, 64)
        >>> band_density(stripes).nonzero().tolist()
        [[7]]
    """
    power = torch.fft.fft2(noise.double()).abs().square()
    height, width = noise.shape[-2:]
    per_band = [
        power[..., in_band(number, height, width)].mean(-1) for number in range(1, BANDS + 1)
    ]
    return torch.stack(per_band, -1) / power.mean((-2, -1))[..., None]


def check_band(number: int | str) -> int:
    """The number of a band.

    Raises:
        ValueError: there is no such band.
    """
    if str(number) not in map(str, range(1, BANDS + 1)):
        raise ValueError(f"band must be a whole number from 1 to {BANDS}, got {number!r}")
    return int(number)


def band_edges(number: int) -> tuple[float, float]:
    """Lowest and highest frequency of a band along an axis, in cycles per pixel."""
    return (number - 1) * _NYQUIST / BANDS, number * _NYQUIST / BANDS


@dataclass(frozen=True)
class Kind:
    """Another noise in the place of a cell's own, at the cell's electronic severity.

    Args:
        make: ``make(se, value_range=..., bits=...)`` to a noise module.
        stored: whether the noisy film is digitised as the cell says, or left as it is.
    """

    make: Callable[..., nn.Module]
    stored: bool = True

    def noise(
        self, sq: float, se: float, *, value_range: Sequence[float], bits: int | None
    ) -> nn.Module:
        """The noise of a cell.

        Raises:
            ValueError: the cell has a quantum severity.
        """
        if sq:
            raise ValueError(
                f"cells of another kind of noise must be (0, se), which names its RMS; got "
                f"({sq:g}, {se:g})"
            )
        return self.make(se, value_range=value_range, bits=bits if self.stored else None)


UNCLIPPED = "unclipped"
_NAMED = {
    "quantum": Kind(MatchedQuantumNoise),
    UNCLIPPED: Kind(ElectronicNoise, stored=False),
    f"quantum-{UNCLIPPED}": Kind(MatchedQuantumNoise, stored=False),
}
# their names, as degradations have them
KINDS = (*_NAMED, "band=NUMBER")


def kind_of(name: str) -> Kind | None:
    """A kind of noise by its name, see :data:`KINDS`, such as ``"band=3"``; ``None`` for another.

    ``"unclipped"`` is electronic, ``"quantum-unclipped"`` quantum noise of a film that is not
    digitised: their variances are equal to the last photon, because nothing saturates.

    Raises:
        ValueError: there is no such band.

    Example:
        >>> kind_of("band=3").noise(0, 1, value_range=(0, 1), bits=8).number
        3
    """
    word, _, number = name.partition("=")
    if word == "band":
        return Kind(partial(BandNoise, check_band(number)))
    return _NAMED.get(name)
