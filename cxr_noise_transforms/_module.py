"""What the three noise modules share: holding a severity and describing themselves."""

from __future__ import annotations

from torch import Tensor, nn

from ._checks import Severity, check_severity


def hold_severity(module: nn.Module, name: str, severity: Severity) -> None:
    """Check a severity and keep it on the module, so that a tensor moves with ``module.to()``."""
    checked = check_severity(name, severity)
    if isinstance(checked, Tensor) and not isinstance(checked, nn.Parameter):
        # not persistent: noise inside a model must not change the model's checkpoint
        module.register_buffer(name, checked, persistent=False)
    else:
        setattr(module, name, checked)


def describe(module: nn.Module, *names: str) -> str:
    """``name=value`` for the model's own arguments, and for the digitiser's where it is set."""
    defaults = {
        "value_range": (0.0, 1.0),
        "clip": False,
        "bits": None,
        "backend": None,
        "gradient": "pathwise",
    }
    shown = {n: getattr(module, n) for n in (*names, *defaults) if hasattr(module, n)}
    return ", ".join(
        f"{name}={value.tolist() if isinstance(value, Tensor) else value}"
        for name, value in shown.items()
        if name in names or value != defaults[name]
    )
