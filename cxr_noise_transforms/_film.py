"""What a film carries already: the severities that it has, and those that it lacks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Distribution

from ._checks import Held, check_severity_number, check_severity_tensor, values_of

# a severity, or several in the order of the noise's own
Film = float | Tensor | Sequence[float | Tensor] | None


def check_film(names: Sequence[str], film: Film) -> dict[str, float | Tensor]:
    """The severities that a film has already, by name; none where nothing is known of it."""
    if film is None:
        return {}
    held = film if len(names) > 1 else (film,)
    if not isinstance(held, Sequence) or len(held) != len(names):
        raise ValueError(
            f"film must be ({', '.join(names)}), the severities that the film has, got {film!r}"
        )
    return {name: check_film_severity(name, one) for name, one in zip(names, held, strict=True)}


def check_film_severity(name: str, film: object) -> float | Tensor:
    """One severity that a film has, or one per film."""
    called = f"{name} of film"
    if isinstance(film, Tensor):
        return check_severity_tensor(called, film)
    return check_severity_number(called, film, "a number or a tensor (B,)")


def check_reach(name: str, severity: Held, film: float | Tensor) -> None:
    """Refuse a severity below the film's, where reading it stalls no device."""
    if isinstance(severity, Distribution):
        # what it gives below the film's leaves the film as it is
        return
    highest = severity[1] if isinstance(severity, tuple) else severity
    if any(values_of(torch.as_tensor(highest < film).reshape(-1))):
        raise ValueError(
            f"{name} must not be below the film's, {_shown(film)}, because noise is never taken "
            f"away, got {_shown(severity)}"
        )


def reached(severity: float | Tensor, film: float | Tensor) -> float | Tensor:
    """What the noisy film has: a film that has more already stays as it is."""
    if isinstance(severity, Tensor) and isinstance(film, Tensor):
        return torch.maximum(severity, film.to(severity))
    if isinstance(severity, Tensor):
        return severity.clamp(min=film)
    return film.clamp(min=severity) if isinstance(film, Tensor) else severity


def missing(severity: Tensor, film: Tensor) -> Tensor:
    """The severity of the noise that a film lacks: variances add."""
    lacking = severity.square() - film.square()
    some = lacking > 0
    # the root has no derivative at 0
    return torch.where(some, torch.where(some, lacking, 1.0).sqrt(), 0.0)


def _shown(severity: float | tuple[float, float] | Tensor) -> object:
    return severity.tolist() if isinstance(severity, Tensor) else severity
