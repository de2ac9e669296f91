"""The anatomy of an analytic person: shapes that attenuate, by their path lengths in cm."""

from __future__ import annotations

from math import cos, hypot, pi, sin

import numpy as np
from scipy.ndimage import gaussian_filter

# side of the film in cm: 14 inches
FILM = 35.6


class Person:
    """What differs between persons, each uniform; lengths in cm, heights down from the apex."""

    def __init__(self, rng: np.random.Generator) -> None:
        draw = rng.uniform
        self.tilt = draw(-0.06, 0.06)  # in the film plane, rad
        self.turn = draw(-0.5, 0.5)  # shift of what lies in front, by turning about the long axis
        self.right = draw(-1.0, 1.0)  # of the film's centre
        self.down = draw(1.6, 4.0)  # film edge to lung apex
        self.width = draw(11.5, 13.9)  # midline to inner chest wall
        self.depth = draw(15.0, 18.0)  # of the cavity, back to front
        self.wall = draw(4.5, 7.5)  # both chest walls, back to front
        self.side = draw(2.8, 5.5)  # lateral chest wall
        self.arch = draw(11.5, 15.5)  # height in which the cavity closes to the apex
        self.dome = draw(19.0, 24.5)  # right diaphragm: how deep the breath is
        self.dome_left = draw(0.3, 2.0)  # left below right
        self.sulcus = draw(3.5, 6.5)  # dome to costophrenic angle
        self.ctr = draw(0.41, 0.57)  # cardiothoracic ratio
        self.heart_left = draw(0.60, 0.70)  # share left of the midline
        self.heart_axis = draw(0.55, 0.95)  # tilt of the ventricles, rad
        self.heart_long = draw(1.4, 1.75)  # their length over width
        self.mediastinum = draw(1.8, 2.4)  # half-width at the top
        self.knob = draw(0.6, 2.0)  # bulge of the aorta
        self.scoliosis = draw(-0.5, 0.5)
        self.rib_first = draw(0.2, 1.4)
        self.rib_pitch = draw(2.1, 2.6)  # and of the vertebrae
        self.rib_fall = draw(2.6, 4.4)  # spine to side
        self.rib_bone = draw(0.8, 1.4)
        self.clavicle = draw(3.2, 6.2)  # its medial end
        self.clavicle_rise = draw(1.5, 5.0)
        self.shoulder = draw(-3.2, -0.8)
        self.arm = draw(2.0, 7.0)  # how far it stands off
        self.breast = max(draw(-2.5, 4.5), 0.0)  # thickness
        self.bubble = max(draw(-1.0, 2.0), 0.01)  # gas in the stomach
        self.vessel = draw(0.8, 1.2)
        self.scatter = draw(0.006, 0.014)  # of the open beam: half the signal behind the heart
        self.exposure = draw(0.1, 0.4)
        self.contrast = draw(1.4, 2.0)
        self.gamma = draw(0.85, 1.2)
        self.blur = draw(0.02, 0.06)


def grid(p: Person, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres in the person's frame: x from the midline to their left, y down."""
    u = ((np.arange(n) + 0.5) / n - 0.5).astype(np.float32) * FILM
    c, s = cos(p.tilt), sin(p.tilt)
    x, y = u[None, :], u[:, None]
    return x * c + y * s - p.right, y * c - x * s + FILM / 2 - p.down


def cap(u: np.ndarray) -> np.ndarray:
    """Quarter circle: 0 and upright at u = 0, 1 and level from u = 1 on."""
    u = np.clip(u, 0, 1)
    return np.sqrt(u * (2 - u))


def step(u: np.ndarray) -> np.ndarray:
    """Logistic step from 0 to 1."""
    return 0.5 + 0.5 * np.tanh(0.5 * u)


def _bump(u: np.ndarray) -> np.ndarray:
    return np.exp(-u * u)


def _ellipse(
    x: np.ndarray, y: np.ndarray, cx: float, cy: float, a: float, b: float, turn: float = 0.0
) -> np.ndarray:
    """1 in the centre, 0 on the outline: semi-axes a and b, a turned from x towards y."""
    c, s = cos(turn), sin(turn)
    u, v = c * (x - cx) + s * (y - cy), c * (y - cy) - s * (x - cx)
    return 1 - (u / a) ** 2 - (v / b) ** 2


def _ball(x: np.ndarray, y: np.ndarray, *ellipse: float) -> np.ndarray:
    """Thickness of an ellipsoid, 1 in its centre."""
    return np.sqrt(np.maximum(_ellipse(x, y, *ellipse), 0))


def _tube(d: np.ndarray, r: np.ndarray | float) -> np.ndarray:
    """Bone crossed in a tube of radius r at distance d from its axis: a cortex of 0.14, marrow."""
    outer, inner = np.maximum(r**2 - d * d, 0), np.maximum((r - 0.14) ** 2 - d * d, 0)
    return 2 * np.sqrt(outer) - 1.5 * np.sqrt(inner)


def _sides(p: Person, y: np.ndarray) -> np.ndarray:
    """Half-width of the cavity below its arch: slowly wider."""
    return p.width * (1 + 0.006 * np.clip(y - 10, 0, 18))


def cavity(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth of the chest: an elliptic arch over each side, flat towards the midline."""
    peak = 0.37 * p.width
    u = np.maximum(np.abs(x) - peak, 0) / (_sides(p, y) - peak)
    v = np.maximum(1 - y / p.arch, 0)
    return p.depth * np.sqrt(np.maximum(1 - u * u - v * v, 0))


def heart(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ventricles and right atrium: ellipsoids, together as wide as the ratio asks, flat below."""
    span = 2 * p.ctr * p.width * 1.06
    left, right = p.heart_left * span, (1 - p.heart_left) * span
    b, t = 0.33 * span, p.heart_axis
    a = b * p.heart_long
    reach, height = hypot(a * cos(t), b * sin(t)), hypot(a * sin(t), b * cos(t))
    below = 0.12 * span + p.dome_left + 1.7
    x, y = x - p.turn, y - p.dome + 0.12 * span
    y = y + max(height - below, 0) / below**2 * np.maximum(y, 0) ** 2
    ventricles = _ellipse(x, y, left - reach, 0, a, b, t)
    atrium = _ellipse(x, y, 0.25 * span - right, 0, 0.25 * span, 0.42 * span)
    # a smooth union, or the outline has a cleft
    return np.sqrt(np.maximum(np.logaddexp(3 * ventricles, 3 * atrium) / 3, 0))


def mediastinum(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A slab that flares at the neck; aorta and pulmonary trunk on the left, cava on the right."""
    left = p.knob * _bump((y - 7.3) / 1.5) + 1.8 * _bump((y - 13.0) / 4.0)
    right = 1.2 * _bump((y - 13.5) / 4.5)
    neck = 2.4 * np.exp(-np.maximum(y, 0) / 0.9)
    edge = p.mediastinum + neck + right + (left - right) * step(4 * x)
    return cap((edge - np.abs(x)) / 2.2)


def below(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far below the diaphragm: two domes that fall to the costophrenic angles."""
    u = (np.abs(x) - 6) / (_sides(p, y) - 6)
    fall = np.where(u > 0, p.sulcus * np.abs(u) ** 2.2, 0.8 * u * u)
    return y - p.dome - p.dome_left * step(2 * x) - fall


def abdomen(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """What lies below the diaphragm, as a share of the depth."""
    return cap(below(p, x, y) / 3.5)


def body(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Trunk and neck below the line of the shoulders, arms, breasts."""
    ax = np.abs(x)
    top = p.shoulder + 0.03 * np.maximum(ax - 8, 0) ** 2 - 8 * np.exp((5.5 - ax) / 2.2)
    flank = p.width + p.side + 5 * step((10 - y) / 1.2) + 0.03 * np.maximum(y - 18, 0)
    depth = (p.depth + p.wall) * (0.6 + 0.4 * step((y - 1) / 1.5) + 0.15 * step((y - p.dome) / 2))
    trunk = depth * cap((flank - ax) / (0.3 * flank)) * cap((y - top) / 5)
    lean = p.arm / 18
    arm = cap(1 - np.abs(ax - 18.5 - lean * (y - 7)) / 4.5 / hypot(1, lean))
    breast = p.breast * _ball(ax, y, 8.0, p.dome - 4, 6.3, 5.4) * step((y - p.dome + 5.5) / 1.5)
    return np.maximum(trunk, 9 * arm * cap((y - 2) / 4.5)) + breast


def air(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Trachea, main bronchi, and the stomach's gas above its fluid level."""
    ax, carina = np.abs(x + 0.3), 9.5
    trachea = 1.7 * cap(1 - ax / 0.85) * step((carina - y) / 0.2)
    bronchi = 1.2 * cap(1 - np.abs(y - carina - 0.9 * ax) / 0.8) * step((3 - ax) / 0.2)
    r, level = p.bubble, p.dome + p.dome_left + 0.7 + p.bubble
    gas = 2 * r * _ball(x, y, 6.5, level, 1.6 * r, r) * step((level - y) / 0.1)
    return trachea + bronchi + gas


def _ribs(p: Person, x: np.ndarray, y: np.ndarray, front: float) -> np.ndarray:
    """Half of a stack of tilted rings, the back (-1) or the steeper front (above 1).

    The ring nearest to a pixel follows from its height, so one pass draws all of them. A beam
    runs longest in a rib where the ring turns forward at the side of the chest.
    """
    peak = 0.37 * p.width
    arch = np.sqrt(1 - np.clip(1 - y / p.arch, 0, 1) ** 2)
    wide = peak + (_sides(p, y) - peak) * arch
    s = np.minimum(np.abs(x) / (wide + 0.6), 0.995)
    depth = np.sqrt(1 - s * s)
    fall = 1 + front * depth
    pitch = p.rib_pitch + 0.2 * fall
    ring = (y - p.rib_first - p.rib_fall * fall) / pitch
    slope = front * p.rib_fall * s / depth / wide
    d = (ring - np.clip(np.rint(ring), 0, 10)) * pitch / np.hypot(1, slope)
    along = np.minimum(np.hypot(1, s / depth), 2.2)
    return _tube(d, 0.6) * along * (np.abs(x) < wide + 0.9)


def _spine(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Vertebrae and discs, each vertebra with two pedicles and a spinous process."""
    x = x - p.scoliosis * np.sin(y / 10)
    v = (y - p.rib_first) / p.rib_pitch
    v = (v - np.floor(v) - 0.5) * p.rib_pitch
    disc = 0.5 + 0.5 * cap((1.1 - np.abs(v)) / 0.3)
    vertebra = cap((1.5 + 0.02 * y - np.abs(x)) / 0.9) * disc
    pedicles = _ball(np.abs(x), v, 0.95, -0.2, 0.35, 0.5)
    return 1.2 * vertebra + 0.7 * pedicles + 0.8 * _ball(x, v, 0, 0.5, 0.25, 0.6)


def bone(p: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spine, ribs, clavicles, shoulder blades, heads of the humeri."""
    ax = np.abs(x)
    ribs = _ribs(p, x, y, -1) * cap((ax - 1) / 2) + 0.5 * _ribs(p, x, y, 1.7) * cap((ax - 6) / 3)
    ribs = ribs * cap((y - 0.2) / 1.5) * step((p.dome + 5 - y) / 1.5)
    u = np.abs(x - p.turn) - 1.6
    s = np.clip(u / 14.5, 0, 1)
    turn = 2 * pi * s
    line = p.clavicle - p.clavicle_rise * s - 0.4 * np.sin(turn)
    slope = (-p.clavicle_rise - 0.8 * pi * np.cos(turn)) / 14.5
    clavicle = _tube((y - line) / np.hypot(1, slope), 0.6 + 0.35 * np.exp(-8 * s))
    clavicle = clavicle * cap(u / 0.5) * cap((14.5 - u) / 0.5)
    blade = _ball((ax - 14.8) / np.clip(1.6 - 0.07 * y, 0.4, 1.6), y, 0, 10, 3, 7.5, -0.1)
    scapula = 0.6 * cap(blade / 0.5) * (1 - 0.7 * blade)
    head = _ball(ax, y, 18.5, 6, 2.5, 2.7)
    return p.rib_bone * ribs + _spine(p, x, y) + 1.7 * clavicle + scapula + head


def hila(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Thickness of the large vessels at the roots of the lungs."""
    return 2 * _bump((np.abs(x) - 3.5) / 2.2) * _bump((y - 12.5) / 3.5)


def vessel_tree(p: Person, rng: np.random.Generator) -> np.ndarray:
    """Points along arteries that branch from both hila: rows x, y, radius, volume.

    Every vessel splits in two and the radius falls by 2^(-1/3): Murray's law, for equal branches.
    """
    points = []
    roots, steps = 14, 24
    along = np.linspace(0, 1, steps)[:, None]
    for side in (-1, 1):
        angle = np.linspace(-1.25, 1.35, roots) + rng.normal(0, 0.1, roots)
        x, y = np.full(roots, 3.6), 11.5 - 0.5 * side + np.linspace(-1.6, 1.6, roots)
        r, length = rng.uniform(0.22, 0.4, roots) * p.vessel, rng.uniform(1.6, 3.0, roots)
        for _ in range(6):
            bend = rng.normal(0, 0.15, x.size)
            px = x + length * along * np.cos(angle + bend * along)
            py = y + length * along * np.sin(angle + bend * along)
            pr = r * (1 - 0.2 * along)
            points.append(np.stack([side * px, py, pr, pi * pr**2 * length / steps]))
            x, y, angle = (np.repeat(a, 2) for a in (px[-1], py[-1], angle + bend))
            angle = angle + np.tile([-1, 1], r.size) * rng.uniform(0.1, 0.6, x.size)
            r = np.repeat(r, 2) * 2 ** (-1 / 3)
            length = np.repeat(length, 2) * rng.uniform(0.6, 1.1, x.size)
    return np.concatenate([a.reshape(4, -1) for a in points], axis=1)


def project(tree: np.ndarray, p: Person, n: int) -> np.ndarray:
    """Thickness of the vessels: each point's volume on its pixels, spread by its radius."""
    x, y = tree[0] + p.right, tree[1] - FILM / 2 + p.down
    c, s = cos(p.tilt), sin(p.tilt)
    i, j = (((v / FILM) + 0.5) * n - 0.5 for v in (x * s + y * c, x * c - y * s))
    inside = (np.minimum(i, j) > 0) & (np.maximum(i, j) < n - 1)
    thickness = np.zeros((n, n), np.float32)
    for low, high in ((0.0, 0.08), (0.08, 0.15), (0.15, 0.24), (0.24, 0.5)):
        take = inside & (tree[2] >= low) & (tree[2] < high)
        if not take.any():
            continue
        row, column = i[take].astype(int), j[take].astype(int)
        down, across = i[take] - row, j[take] - column
        flat = np.zeros(n * n)
        for k, m in ((0, 0), (0, 1), (1, 0), (1, 1)):
            weight = np.abs(1 - k - down) * np.abs(1 - m - across) * tree[3, take]
            flat += np.bincount((row + k) * n + column + m, weight, n * n)
        # 1.4: the veins, taken to lie along the arteries
        image = (1.4 * (n / FILM) ** 2 * flat).reshape(n, n).astype(np.float32)
        thickness += gaussian_filter(image, 0.25 * (low + high) / FILM * n)
    return thickness
