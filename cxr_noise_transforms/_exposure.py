"""What an exposure does to images, as data, and the way of images through it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

import torch
from torch import Tensor

from ._blur import blurred
from ._domain import Domain
from ._gradient import (
    derivative_wanted,
    finite_derivative,
    with_identity_derivative,
    with_photon_derivative,
    with_read_out_derivative,
)
from ._signal import Digitiser, signal_dtype, to_image, to_signal

_STRENGTHS = ("gain", "sigma")
# signal per photon from which on no image holds a photon; products with it stay finite
_LARGEST_GAIN = 1e30


@dataclass(frozen=True)
class Exposure:
    """What an exposure does to a signal of full scale 1: described, not yet drawn.

    noisy = gain · Poisson(signal / gain) + sigma · Normal

    Shapes:
        each part broadcasts over the images ``(B, ..., H, W)``: ``(B, 1, ..., 1)`` is one per
        image, ``(H, W)`` a map for all. One per image is drawn fastest.

    Args:
        gain: signal per photon; where it is 0 the photons show no noise.
        sigma: standard deviation of the read-out, as a fraction of full scale.
        blur: standard deviation in pixels of the Gaussian by which quantum noise is correlated,
            as by the light of a scintillator; the variance of a pixel stays.

    Example:
        >>> Exposure(gain=torch.tensor(0.016)).parts()
        {'gain': tensor(0.0160)}
    """

    gain: Tensor | None = None
    sigma: Tensor | None = None
    blur: float | None = None

    def parts(self) -> dict[str, Any]:
        """All that is described, by name."""
        # the names of the fields; dataclasses.fields does not compile with torch 2.6
        described = {name: getattr(self, name) for name in self.__match_args__}
        return {name: part for name, part in described.items() if part is not None}


class Drawer(Protocol):
    """Draws for images ``(B, ...)``; gain and sigma are one per image or one for all."""

    @property
    def seeds(self) -> Tensor | None:
        """One per image; ``None`` where a generator draws."""

    def whole(self, images: Tensor, exposure: Exposure, digitiser: Digitiser) -> Tensor | None:
        """The noisy images in one step; ``None`` where it does not draw all of the exposure."""

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """``gain * Poisson(signal / gain)``; ``signal`` itself where the gain is 0."""

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """``signal + sigma * normal``."""


def expose(
    images: Tensor,
    exposure: Exposure,
    drawer: Drawer,
    digitiser: Digitiser,
    gradient: str,
    domain: Domain | None = None,
) -> Tensor:
    """Noisy images ``(B, ...)``; where gain and sigma are 0 they are the images bit for bit.

    Raises:
        TypeError: gain or sigma is no tensor, or nobody draws a part of the exposure.
        ValueError: gain or sigma does not broadcast over the images.
    """
    parts = exposure.parts()
    if not parts:
        return images.clone()
    strengths = {
        name: _over(images, name, part) for name, part in parts.items() if name in _STRENGTHS
    }
    exposure = type(exposure)(**{**parts, **strengths})
    at_once = not derivative_wanted(images, *strengths.values())
    if at_once and domain is None:
        noisy = drawer.whole(images, exposure, digitiser)
        if noisy is not None:
            return noisy
    signal = to_signal(images, digitiser)
    if domain is None:
        noisy = _step_by_step(signal, drawer, gradient, **exposure.parts())
    else:
        noisy = _in_domain(domain, signal, exposure, drawer, gradient, at_once=at_once)
    exposed = reduce(torch.logical_or, [strength != 0 for strength in strengths.values()])
    clean = images.detach() if gradient == "none" else images
    return to_image(noisy, clean, exposed, digitiser)


def one_per_image(strength: Tensor) -> bool:
    """Whether a strength with the images' axes is one per image or one for all, and no map."""
    return all(size == 1 for size in strength.shape[1:])


def _step_by_step(
    signal: Tensor,
    drawer: Drawer,
    gradient: str,
    *,
    gain: Tensor | None = None,
    sigma: Tensor | None = None,
    blur: float | None = None,
) -> Tensor:
    """The noisy signal; a part of the exposure that is not named here is refused."""
    if gain is not None:
        counted = _photons(drawer, signal.detach(), gain.detach())
        if blur is not None:
            counted = blurred(counted, signal.detach(), gain.detach(), blur)
        signal = with_photon_derivative(counted, signal, gain, gradient)
    if sigma is not None:
        drawn = _read_out(drawer, signal.detach(), sigma.detach())
        signal = with_read_out_derivative(drawn, signal, sigma)
    return signal


def _in_domain(
    domain: Domain,
    signal: Tensor,
    exposure: Exposure,
    drawer: Drawer,
    gradient: str,
    *,
    at_once: bool,
) -> Tensor:
    """The noisy signal whose photons were counted as exposure."""
    straight, parts = gradient == "straight_through", exposure.parts()
    clean = domain.to_exposure(signal.detach())
    if not (at_once or straight):
        clean = domain.to_exposure(finite_derivative(signal, clean))
    noisy = drawer.whole(clean, exposure, Digitiser()) if at_once else None
    if noisy is None:
        noisy = _step_by_step(clean, drawer, gradient, **parts)
    strengths = [parts[name] for name in _STRENGTHS if name in parts]
    # nothing counted has no logarithm
    least = reduce(torch.maximum, strengths) / 2
    seen = torch.maximum(noisy, least)
    shown = domain.to_display(finite_derivative(seen, seen))
    return with_identity_derivative(shown, signal) if straight else shown


def _photons(drawer: Drawer, signal: Tensor, gain: Tensor) -> Tensor:
    if one_per_image(gain):
        return drawer.photons(signal, gain)
    rate = signal / gain
    noisy = drawer.photons(rate, signal.new_ones(1)) * gain
    # photons without number show no noise
    return torch.where((gain == 0) | (rate == torch.inf), signal, noisy)


def _read_out(drawer: Drawer, signal: Tensor, sigma: Tensor) -> Tensor:
    if one_per_image(sigma):
        return drawer.read_out(signal, sigma)
    return signal + sigma * drawer.read_out(torch.zeros_like(signal), signal.new_ones(1))


def _over(images: Tensor, name: str, strength: Tensor) -> Tensor:
    """A strength with the images' axes, in their signal's dtype."""
    if not isinstance(strength, Tensor):
        raise TypeError(
            f"{name} of an exposure must be a tensor that broadcasts over the images "
            f"{tuple(images.shape)}, got {type(strength).__name__}"
        )
    missing = images.ndim - strength.ndim
    if missing < 0 or any(
        size not in (1, whole)
        for size, whole in zip(strength.shape, images.shape[missing:], strict=True)
    ):
        raise ValueError(
            f"{name} of an exposure must broadcast over the images {tuple(images.shape)}, "
            f"got shape {tuple(strength.shape)}"
        )
    strength = strength[(None,) * missing].to(images.device, signal_dtype(images))
    return strength.clamp(max=_LARGEST_GAIN) if name == "gain" else strength
