"""What every noise shares: its severities, its digitiser, and the way of an image through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ._checks import (
    Held,
    Severity,
    check_backend,
    check_digitiser,
    check_domain,
    check_gradient,
    check_image,
    check_randomness,
    check_scale,
    check_severity,
    count_images,
    warn_of_range,
)
from ._distribution import shown
from ._domain import Domain
from ._drawers import choose_drawer
from ._exposure import Exposure, expose
from ._film import Film, check_film, check_film_severity, check_reach, missing, reached
from ._gradient import outlives_call
from ._random import Randomness, draw_severity, severity_salt, spread_seed
from ._signal import Digitiser, in_form_of, signal_dtype

# of the arguments that the repr shows where they are set
_DEFAULTS = {
    "value_range": (0.0, 1.0),
    "clip": False,
    "bits": None,
    "backend": None,
    "gradient": "pathwise",
    "blur": None,
    "domain": None,
}


class NoiseModule(nn.Module):
    """A noise: severities that become an exposure, which is then drawn and digitised.

    A noise of your own derives from this class, hands its severities to the constructor, and
    describes the exposure that they mean in a method ``exposure(image, **severities)``. Everything
    else is as in :class:`QuantumNoise`: ranges, seeds, dtypes, gradients, backends, adapters.

    Args:
        severities: by name; each a number, a tensor ``(B,)``, a range or a distribution, as ``sq``
            of :class:`QuantumNoise`. With all 0 the image comes back bit for bit.
        scales: positive constants of the model by name, such as ``n0``.
        film: what a film has already of each severity, in their order; the exposure is then
            described for what is missing, sqrt(severity² - film²).
        value_range, clip, bits, backend, gradient, domain: as in :class:`QuantumNoise`.

    Raises:
        TypeError, ValueError: as :class:`QuantumNoise`.

    Example:
        >>> class Fog(NoiseModule):
        ...     def __init__(self, fog):
        ...         super().__init__({"fog": fog})
        ...
        ...     def exposure(self, image, fog):
        ...         return Exposure(sigma=0.05 * fog)
        >>> Fog((0.0, 2.0))(torch.zeros(4, 1, 8, 8), seed=0).shape
        torch.Size([4, 1, 8, 8])
    """

    # (images (B, ..., H, W), each severity (B, 1, ..., 1) or (1, 1, ..., 1)) -> Exposure
    exposure: Callable[..., Exposure]

    def __init__(
        self,
        severities: Mapping[str, Severity],
        scales: Mapping[str, float] | None = None,
        *,
        value_range: Sequence[float] = (0.0, 1.0),
        clip: bool = False,
        bits: int | None = None,
        backend: str | None = None,
        gradient: str = "pathwise",
        film: Film = None,
        domain: Domain | None = None,
    ) -> None:
        super().__init__()
        for name, severity in severities.items():
            setattr(self, name, check_severity(name, severity))
        for name, scale in (scales or {}).items():
            setattr(self, name, check_scale(name, scale))
        of_film = check_film(tuple(severities), film)
        for name, one in of_film.items():
            check_reach(name, getattr(self, name), one)
            setattr(self, f"film_{name}", one)
        self._salts = {name: severity_salt(name) for name in severities}
        self._scales = tuple(scales or ())
        self._films = tuple(of_film)
        self.domain = check_domain(domain)
        self.value_range, self.clip, self.bits = check_digitiser(value_range, clip, bits)
        self.backend = check_backend(backend)
        self.gradient = check_gradient(gradient)
        self.drawn: dict[str, float | Tensor] = {}
        self.drawn_seeds: Tensor | None = None

    def forward(
        self,
        image: Tensor,
        *,
        seed: int | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The noisy image; ``drawn`` and ``drawn_seeds`` then hold what this call drew."""
        check_image(image)
        check_randomness(seed, generator, image)
        held = {name: check_severity(name, getattr(self, name)) for name in self._salts}
        film = self.film_severities()
        film = {name: check_film_severity(name, severity) for name, severity in film.items()}
        of_film = {f"{name} of film": severity for name, severity in film.items()}
        images = count_images(image, seed=seed, **held, **of_film)
        for name, severity in film.items():
            check_reach(name, held[name], severity)
        seeds = spread_seed(seed, images, image.device)
        randomness = Randomness(seeds, generator, image.device, images)
        drawn = self._draw_severities(held, randomness)
        for name, severity in film.items():
            drawn[name] = reached(drawn[name], severity)
        if not _is_exporting():
            kept = {name: one for name, one in drawn.items() if outlives_call(one)}
            self.drawn, self.drawn_seeds = kept, None
        some_clean = any(isinstance(severity, Tensor) for severity in drawn.values())
        if drawn and not some_clean and not any(drawn.values()):
            return image.clone()
        warn_of_range(image, self.value_range)
        drawer = choose_drawer(self.backend, randomness, image.dtype)
        if not _is_exporting() and drawer.seeds is not None and outlives_call(drawer.seeds):
            self.drawn_seeds = drawer.seeds.reshape(() if images is None else -1)
        batch = image[None] if images is None else image
        levels = {name: _broadcast(severity, batch) for name, severity in drawn.items()}
        for name, severity in film.items():
            levels[name] = missing(levels[name], _broadcast(severity, batch))
        exposure = self.exposure(batch, **levels)
        digitiser = Digitiser(self.value_range, self.clip, self.bits)
        noisy = expose(batch, exposure, drawer, digitiser, self.gradient, self.domain)
        return in_form_of(image, noisy.reshape(image.shape))

    def film_severities(self) -> dict[str, float | Tensor]:
        """The severities that a film has already, by name; empty where nothing is known of it."""
        return {name: getattr(self, f"film_{name}") for name in self._films}

    def extra_repr(self) -> str:
        """Severities, constants, and the digitiser where it is set."""
        own = (*self._salts, *self._scales, *(f"film_{name}" for name in self._films))
        shown = {name: getattr(self, name, None) for name in (*own, *_DEFAULTS)}
        return ", ".join(
            f"{name}={_shown(value)}"
            for name, value in shown.items()
            if name in own or value != _DEFAULTS[name]
        )

    def _draw_severities(
        self,
        severities: Mapping[str, Held],
        randomness: Randomness,
    ) -> dict[str, float | Tensor]:
        """Ranges and distributions drawn per image, numbers and tensors as they are."""
        fixed = {
            name: held
            for name, held in severities.items()
            if not isinstance(held, (tuple, Distribution))
        }
        if len(fixed) == len(severities):
            return fixed
        seeds = randomness.seeds()
        return {
            name: draw_severity(held, seeds, self._salts[name])
            if isinstance(held, (tuple, Distribution))
            else held
            for name, held in severities.items()
        }

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> NoiseModule:
        # severities are no buffers, which half() rounds and no number may replace
        for name, held in vars(self).items():
            if isinstance(held, Tensor):
                setattr(self, name, held.to(fn(held).device))
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _shown(value: object) -> object:
    if isinstance(value, Distribution):
        return shown(value)
    return value.tolist() if isinstance(value, Tensor) else value


def _is_exporting() -> bool:
    # an exported program keeps no state
    if hasattr(torch.compiler, "is_exporting"):
        return torch.compiler.is_exporting()
    # torch 2.6 tells it of the non-strict mode alone
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()


def _broadcast(severity: float | Tensor, images: Tensor) -> Tensor:
    """One severity per image or one for all, in the signal's dtype, with the images' axes."""
    dtype = signal_dtype(images)
    largest = torch.finfo(dtype).max
    if not isinstance(severity, Tensor):
        # a tensor of one element, so that a number and a tensor go through the same arithmetic
        shape, severity = (1,) * images.ndim, min(severity, largest)
        return torch.full(shape, severity, dtype=dtype, device=images.device)
    severity = severity.to(images.device, dtype, non_blocking=True).clamp(max=largest)
    return severity.reshape(-1, *(1,) * (images.ndim - 1))
