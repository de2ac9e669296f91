"""Findings of the analytic chest: short rules that change path lengths.

They bear the names of ChestX-ray14 and demonstrate a classification study without data. Sizes,
places and densities are chosen for that, not measured: they prove nothing clinical.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log, pi

import numpy as np
from scipy.special import expit

Change = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Chest:
    """What the rules know of a person; maps are ``(H, W)``, lengths in cm.

    Attributes:
        x: From the midline to the person's left.
        y: Down from the apex of the lungs.
        rim: 0 amid a lung, 1 at the chest wall: 0.1 is about 0.8 cm at the side, 1.4 at the apex.
        height: Above the diaphragm.
        lung: Lung crossed by the beam.
        vessels: Blood crossed in the lung.
        width: Midline to chest wall.
        dome: Height ``y`` of the right diaphragm.
        angles: Height ``y`` of the right and of the left costophrenic angle.
        project: Thickness of points, given as rows x, y, radius, volume.
    """

    x: np.ndarray
    y: np.ndarray
    rim: np.ndarray
    height: np.ndarray
    lung: np.ndarray
    vessels: np.ndarray
    width: float
    dome: float
    angles: tuple[float, float]
    project: Callable[[np.ndarray], np.ndarray]


def change(finding: str, seed: int, chest: Chest) -> Change:
    """What a finding adds to the soft tissue and to the lung in the beam.

    Side, place, extent and density come from a generator of their own for each person and
    finding: the same person can be filmed healthy and with every finding.

    Args:
        finding: One of :data:`FINDINGS`.
        seed: Which person.
        chest: That person's anatomy.

    Returns:
        Soft tissue and lung to add, in cm, each ``(H, W)``; negative where tissue is lost.

    References:
        D. M. Hansell et al., Radiology 246:697-722, 2008 (Fleischner Society glossary: a nodule is
        at most 3 cm wide, the cysts of honeycombing 0.3 to 1 cm, Kerley B lines up to 2 cm long).
        X. Wang et al., CVPR 2017, arXiv:1705.02315 (names of the findings).
    """
    rng = np.random.default_rng([seed, FINDINGS.index(finding)])
    return _RULES[finding](rng, chest)


def _atelectasis(rng: np.random.Generator, c: Chest) -> Change:
    """Volume loss on one side: a raised diaphragm, and above it a plate of airless lung."""
    side, here = _side(rng, c)
    x, rise = side * c.x, rng.uniform(0.2, 1.6)
    # the lung that the raised dome displaces; its costophrenic angle stays
    lifted = np.clip((rise * (1 - c.rim**2) - c.height) / 3.5, 0, 1)
    lifted = 0.95 * np.sqrt(lifted * (2 - lifted))
    middle, slope = rng.uniform(4.5, 8.0), rng.uniform(-0.5, 0.3)
    length, thick = rng.uniform(2.0, 4.5), _log_uniform(rng, 0.25, 1.2)
    level = c.dome - rise - rng.uniform(1.0, 4.5)
    # a wedge: thicker towards the hilum
    u = (x - middle) / length
    plate = _bump((c.y - level - slope * (x - middle)) / (thick * (1.2 - 0.5 * np.tanh(u))))
    plate = _log_uniform(rng, 0.12, 0.5) * plate * np.exp(-(u**4))
    return _fill(c, here * np.maximum(lifted, plate))


def _consolidation(rng: np.random.Generator, c: Chest) -> Change:
    """A dense part of one lung, between two levels, whose air is replaced but for some bronchi."""
    side, here = _side(rng, c)
    middle, half = rng.uniform(6.0, c.dome - 1), _log_uniform(rng, 1.2, 3.5)
    slope, edge = rng.uniform(-0.4, 0.4), rng.uniform(0.3, 0.8)
    level = c.y - middle - slope * (side * c.x - 6)
    part = expit((level + half) / edge) * expit((half - level) / edge)
    # it thins towards the midline, or towards the chest wall
    across = expit(rng.choice((-1, 1)) * (side * c.x - 0.5 * c.width) / 1.5)
    density = _log_uniform(rng, 0.35, 0.8) * (0.4 + 0.6 * across)
    air = 1 - np.minimum(c.vessels, 0.5)
    return _fill(c, here * density * part * air)


def _edema(rng: np.random.Generator, c: Chest) -> Change:
    """Both sides: haze about the hila, wider vessels, septal (Kerley B) lines at the bases."""
    density = _log_uniform(rng, 0.03, 0.3)
    reach = rng.uniform(2.5, 4.5)
    haze = _bump((np.abs(c.x) - 4.5) / reach) * _bump((c.y - rng.uniform(12, 15)) / (1.3 * reach))
    soft, lung = _fill(c, density * haze)
    lines = []
    for side, angle in zip((-1, 1), c.angles, strict=True):
        count = rng.integers(4, 16)
        y = angle - rng.uniform(1.0, 8.0, count)
        length = rng.uniform(1.0, 2.0, count)
        along = np.linspace(0, 1, 48)[:, None]
        px = c.width * (1 + 0.006 * (y - 10)) - along * length
        py = y + rng.normal(0, 0.1, count) * along
        lines.append(_threads(side * px, py, 0.06, length / 48))
    # more tissue than a thread holds: a septum is a sheet, seen on edge
    septa = c.project(np.concatenate(lines, axis=1)) * (c.lung > 0)
    return soft + rng.uniform(0.1, 0.6) * c.vessels + rng.uniform(2.0, 8.0) * septa, lung


def _effusion(rng: np.random.Generator, c: Chest) -> Change:
    """Fluid in one costophrenic angle, up to a meniscus that climbs the chest wall."""
    side, here = _side(rng, c)
    top = rng.uniform(4.0, 14.0)
    sag = min(rng.uniform(2.0, 4.0), 0.6 * top)
    meniscus = c.angles[side > 0] - top + sag * (1 - np.exp(-8 * (1 - c.rim) / 1.8))
    return _fill(c, here * expit((c.y - meniscus) / rng.uniform(0.2, 0.5)))


def _fibrosis(rng: np.random.Generator, c: Chest) -> Change:
    """Both sides: a net of thickened septa and small cysts, densest at the bases and the rim."""
    count, points = 2000, 24
    x = rng.uniform(3.0, c.width, count) * rng.choice((-1, 1), count)
    y = c.dome + rng.uniform(-14, 6, count)
    radius, stretch = rng.uniform(0.2, 0.5, count), rng.uniform(0.5, 1.0, count)
    turn = np.linspace(0, 2 * pi, points, endpoint=False)[:, None]
    px, py = x + radius * np.cos(turn), y + stretch * radius * np.sin(turn)
    net = c.project(_threads(px, py, 0.1, 2 * pi * radius / points))
    reach, height = rng.uniform(0.3, 0.8), rng.uniform(5.0, 14.0)
    lean = rng.uniform(-0.5, 0.5)
    weight = expit((c.rim - 1 + reach) / 0.08) * expit((height - c.height) / 1.5)
    weight = weight * (1 + lean * np.sign(c.x)) * np.minimum(c.lung / 4, 1)
    density = _log_uniform(rng, 1.8, 6.0)
    return density * weight * net, np.zeros_like(c.lung)


def _infiltration(rng: np.random.Generator, c: Chest) -> Change:
    """A fuzzy patch in one lung whose air is partly replaced."""
    side, here = _side(rng, c)
    x, y = rng.uniform(4.5, 0.75 * c.width), rng.uniform(5.0, c.dome - 1)
    size = rng.uniform(1.8, 4.0)
    patch = np.zeros_like(c.lung)
    for _ in range(8):
        dx, dy = rng.normal(0, 0.8 * size, 2)
        r = size * rng.uniform(0.4, 1.0)
        distance = (side * c.x - x - dx) ** 2 + (c.y - y - dy) ** 2
        patch += rng.uniform(0.3, 1.0) * np.exp(-distance / r**2)
    return _fill(c, here * _log_uniform(rng, 0.2, 0.7) * (1 - np.exp(-patch)))


def _nodule(rng: np.random.Generator, c: Chest) -> Change:
    """A sphere of soft tissue, 1 to 3 cm wide."""
    side, _ = _side(rng, c)
    r = rng.uniform(0.5, 1.5)
    x, y = side * rng.uniform(4.5, 0.8 * c.width), rng.uniform(5.0, c.dome - 2)
    squared = r**2 - (c.x - x) ** 2 - (c.y - y) ** 2
    chord = np.minimum(2 * np.sqrt(np.maximum(squared, 0)), c.lung)
    return chord, -chord


def _pleural_thickening(rng: np.random.Generator, c: Chest) -> Change:
    """A lumpy band of soft tissue along part of one chest wall."""
    _, here = _side(rng, c)
    span = _log_uniform(rng, 2.0, 8.0)
    middle = rng.uniform(1.0, c.dome)
    lumps = 1 + 0.3 * np.sin(rng.uniform(0, 2 * pi) + c.y * rng.uniform(0.8, 2.0))
    # rim counts in larger steps at the apex
    lumps = lumps * (0.4 + 0.6 * expit((c.y - 5) / 1.5))
    shape = np.exp(-(((c.y - middle) / span) ** 4)) * expit((c.rim - 0.75) / 0.03)
    gap = _log_uniform(rng, 0.07, 0.22) * lumps * shape
    return _fill(c, here * (1 - _kept(c, gap)))


def _pneumothorax(rng: np.random.Generator, c: Chest) -> Change:
    """Air between one chest wall and a smaller, denser lung in its pleura."""
    _, here = _side(rng, c)
    # the gap narrows downwards, as air rises
    gap = _log_uniform(rng, 0.07, 0.4) * (1 - 0.5 * expit((c.y - 12) / 4))
    inner = _kept(c, gap)
    lung = (inner / (1 - gap) ** 1.5 - 1) * c.lung
    pleura = (_kept(c, gap - 0.01) - inner) * c.lung
    return here * (pleura - c.vessels * (inner == 0)), here * lung


def _side(rng: np.random.Generator, c: Chest) -> tuple[int, np.ndarray]:
    """Right (-1) or left (1), and the part of the chest on that side of the midline."""
    side = 1 if rng.random() < 0.5 else -1
    return side, expit((side * c.x - 1.5) / 0.3)


def _fill(c: Chest, share: np.ndarray) -> Change:
    """Soft tissue in place of a share of the lung."""
    return share * c.lung, -share * c.lung


def _kept(c: Chest, gap: np.ndarray) -> np.ndarray:
    """Share of the beam's way through a lung that is left when its radius shrinks by ``gap``."""
    return np.sqrt(np.maximum((1 - gap) ** 2 - c.rim**2, 0) / np.maximum(1 - c.rim**2, 1e-6))


def _threads(x: np.ndarray, y: np.ndarray, r: float, step: np.ndarray) -> np.ndarray:
    """Points of threads of radius ``r``, one thread per column."""
    volume = np.broadcast_to(pi * r**2 * step, x.shape)
    return np.stack([x, y, np.full_like(x, r), volume]).reshape(4, -1)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return exp(rng.uniform(log(low), log(high)))


def _bump(u: np.ndarray) -> np.ndarray:
    return np.exp(-u * u)


_RULES: dict[str, Callable[[np.random.Generator, Chest], Change]] = {
    "Atelectasis": _atelectasis,
    "Edema": _edema,
    "Effusion": _effusion,
    "Fibrosis": _fibrosis,
    "Infiltration": _infiltration,
    "Nodule": _nodule,
    "Pleural_Thickening": _pleural_thickening,
    "Pneumothorax": _pneumothorax,
    # last, because a finding's chance hangs on its place
    "Consolidation": _consolidation,
}
FINDINGS = tuple(_RULES)
# a finding that is anatomy: the heart itself is larger, and so is its mask
CARDIOMEGALY = "Cardiomegaly"
