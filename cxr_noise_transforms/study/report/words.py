"""Numbers, severities and cells in words."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from cxr_noise_transforms import electronic_sigma, photons_per_pixel
from cxr_noise_transforms.study.statistics.long_table import CLEAN
from cxr_noise_transforms.study.statistics.metrics import METRICS

NOISE = {"sq": "Quantum noise", "se": "Electronic noise"}
SYMBOL = {"sq": "s_q", "se": "s_e"}

# sq, se
Cell: TypeAlias = tuple[float, float]


def metric_name(metric: str) -> str:
    """A metric in words."""
    return METRICS.get(metric, metric)


def cell_name(cell: Cell) -> str:
    """A cell by its severities."""
    if cell == CLEAN:
        return "clean"
    return ", ".join(
        f"{name}\u00a0=\u00a0{severity:g}"
        for name, severity in zip(SYMBOL.values(), cell, strict=True)
        if severity
    )


def cell_words(cell: Cell) -> str:
    """A cell by its severities, with photons and sigma."""
    sq, se = cell
    quantum = f"s_q = {sq:g} ({photons_at(sq)} photons per pixel)" if sq else ""
    electronic = f"s_e = {se:g} (sigma {sigma_at(se)} of full scale)" if se else ""
    return " and ".join(filter(None, [quantum, electronic])) or "no noise"


def photons_at(sq: float) -> str:
    """Photons per pixel at a quantum severity."""
    return photon_count(photons_per_pixel(sq))


def photon_count(photons: float) -> str:
    """A number of photons."""
    if np.isinf(photons):
        return "∞"
    return f"{photons:.0f}" if photons >= 100 else f"{photons:.3g}"


def dose_at(sq: float, normal: float) -> str:
    """Dose at a quantum severity, relative to that of the severity ``normal``."""
    if sq == 0:
        return "∞"
    relative = (normal / sq) ** 2
    return f"1/{1 / relative:.0f}" if relative < 0.95 else f"{relative:.2g}"


def sigma_at(se: float) -> str:
    """Standard deviation at an electronic severity, as a fraction of full scale."""
    return f"{electronic_sigma(se):.3g}"


def number(value: float, form: str = ".3f") -> str:
    """A number rounded by its format, or a dash where it is not finite."""
    if not np.isfinite(value):
        return "–"
    # + 0.0: no minus before a zero
    return f"{round(value, int(form[-2])) + 0.0:{form}}"


def interval(row: Any, form: str = ".3f") -> str:
    """The ``value`` of a row with its ``lower`` and ``upper`` bounds, as far as it has them."""
    value = number(row.value, form)
    if np.isnan(row.lower):
        return value
    return f"{value} [{number(row.lower, form)}, {number(row.upper, form)}]"


def p_value(p: float, equals: str = "") -> str:
    """A p value, with ``equals`` before it unless it is a bound."""
    if np.isnan(p):
        return "–"
    if p < 0.001:
        return "< 0.001" if equals else "<0.001"
    return f"{equals}{p:.3f}" if p < 0.1 else f"{equals}{p:.2f}"
