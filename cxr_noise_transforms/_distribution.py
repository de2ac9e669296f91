"""Severities from a distribution: whether it is one of severities, and what it gives."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

# of the numbers in (0, 1) at which a distribution is asked
_ENDS = (2.0**-24, 1 - 2.0**-24)


def check_distribution(name: str, severity: Distribution) -> Distribution:
    """Refuse what has no inverse distribution function, or gives what is no severity."""
    # once is enough, and a value cannot be looked at while a graph is made
    if torch.compiler.is_compiling():
        return severity
    kind = type(severity).__name__
    if severity.batch_shape or severity.event_shape:
        raise ValueError(
            f"{name} must be a distribution of one number, got {kind} of shape "
            f"{tuple(severity.batch_shape + severity.event_shape)}"
        )
    try:
        low, high = severity.icdf(torch.tensor(_ENDS, dtype=torch.float64)).tolist()
    except NotImplementedError:
        raise TypeError(
            f"{name} must be a distribution with an inverse distribution function (icdf), which "
            f"{kind} has not: take Uniform, LogNormal, HalfNormal or LogUniform"
        ) from None
    if not 0 <= low <= high < math.inf:
        raise ValueError(
            f"{name} must be a distribution of finite severities that are not negative, got "
            f"{kind} from {low:.4g} to {high:.4g}"
        )
    return severity


def severities_at(source: Distribution, words: Tensor) -> Tensor:
    """Severities of 24-bit words: the inverse distribution function at the middle of an interval.

    Of 2**23 intervals, so that neither end, where many distributions are infinite, is asked for.
    """
    uniform = ((words >> 1).to(torch.float64) + 0.5) / 2**23
    severities: Tensor = source.icdf(uniform).to(torch.float32)
    return severities


def shown(source: Distribution) -> str:
    """As a repr has it: by its name and arguments."""
    arguments = (f"{name}={getattr(source, name):g}" for name in source.arg_constraints)
    return f"{type(source).__name__}({', '.join(arguments)})"
