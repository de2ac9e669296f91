"""An analytic chest: radiographs with exact masks, made from a seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import cos, hypot, pi, sin

import numpy as np
from scipy.ndimage import gaussian_filter, label

from .pathology import CARDIOMEGALY, FINDINGS, Chest, change

# linear attenuation per cm at 70 keV (lung at 0.26 g/cm3), interpolated from the tables of
# Hubbell and Seltzer, NISTIR 5632, for ICRU-44 soft tissue, lung and cortical bone
MU_SOFT, MU_LUNG, MU_BONE = 0.204, 0.050, 0.503
# side of the film in cm: 14 inches
FILM = 35.6


@dataclass(frozen=True)
class Phantom:
    """One synthetic posterior-anterior film and its masks.

    Attributes:
        image: ``(H, W)`` uint8, display grey levels: lungs dark, the person's right on the left.
        lungs: ``(H, W)`` bool, both lung fields.
        heart: ``(H, W)`` bool, the cardiac silhouette; never overlaps ``lungs``.
    """

    image: np.ndarray
    lungs: np.ndarray
    heart: np.ndarray


def chest_phantom(
    seed: int, size: int = 512, finding: str | Sequence[str] | None = None
) -> Phantom:
    """Film the analytic person ``seed``, healthy or with findings.

    Path lengths L of every tissue, beam exp(-sum mu L) + scatter, detector blur, then a
    logistic display of the logarithm, its centre set by the lungs as an exposure control would.
    Path lengths are in cm and independent of ``size``: another size is the same person.

    The masks come from the shapes that attenuate. Lungs end at the heart, the mediastinum and
    the domes of the diaphragm, as annotators draw them, although some lung lies behind each;
    the lower border of the heart, hidden in the abdomen, is the shape's own.

    A finding changes path lengths by a rule of :mod:`.pathology`, at the exposure of the healthy
    film: the anatomy stays, and so do the masks, also where the finding hides the lung. Several
    add up, each in the lung that those before it have left. Cardiomegaly is anatomy: a
    cardiothoracic ratio from 0.56 to 0.66 instead of from 0.41 to 0.57.

    Args:
        seed: Which person, at least 0.
        size: Height and width in pixels, at least 32.
        finding: One of :data:`.pathology.FINDINGS` or ``"Cardiomegaly"``, several of them, or
            ``None`` for a healthy chest.

    Returns:
        The film and its masks, each ``(size, size)``.

    Raises:
        TypeError: ``seed`` or ``size`` is not an int.
        ValueError: ``seed`` or ``size`` is too small, or there is no such finding.

    Note:
        A demonstration that runs without data. It has no grain, one recipe of anatomy and one
        of each finding: results on it prove nothing clinical.

    Example:
        >>> film = chest_phantom(0, size=96)
        >>> bool(film.image[film.lungs].mean() < film.image[film.heart].mean())
        True

    References:
        J. H. Hubbell and S. M. Seltzer, NISTIR 5632 (attenuation coefficients).
        C. D. Murray, PNAS 12:207, 1926 (radii of branching vessels).
    """
    _check("seed", seed, 0)
    _check("size", size, 32)
    findings = _findings(finding)
    rng = np.random.default_rng(seed)
    person = _Person(rng)
    if CARDIOMEGALY in findings:
        person.ctr = 0.56 + 0.625 * (person.ctr - 0.41)
    tree = _vessel_tree(person, rng)

    # small pixels are averaged from finer ones, or the ribs' cortex would alias
    fine = 2 if size <= 256 else 1
    n = size * fine
    x, y = _grid(person, n)
    cavity, heart = _cavity(person, x, y), _heart(person, x, y)
    vessels, abdomen = _mediastinum(person, x, y), _abdomen(person, x, y)
    # the share of the cavity's depth that each organ leaves to the lung
    share = (1 - 0.85 * heart) * (1 - 0.85 * vessels) * (1 - 0.97 * abdomen)
    lung = cavity * share
    body = np.maximum(_body(person, x, y), cavity)
    vascular = _hila(x, y) + _project(tree, person, n) * np.minimum(cavity / 4, 1)
    soft = np.maximum(body - lung + vascular * share**2 - _air(person, x, y), 0)
    bone = _bone(person, x, y) * _cap(body / 4)
    path = MU_SOFT * soft + MU_LUNG * lung + (MU_BONE - MU_SOFT) * bone

    film = _film(person, path, fine)
    lungs, hearts = _masks(person, size)
    centre = np.median(film[lungs]) + 0.45 - person.exposure
    changes = [name for name in findings if name != CARDIOMEGALY]
    if changes:
        chest = Chest(
            x=x,
            y=y,
            rim=np.sqrt(1 - (cavity / person.depth) ** 2),
            height=-_below(person, x, y),
            lung=lung,
            vessels=vascular * share**2,
            width=person.width,
            dome=person.dome,
            angles=(person.dome + person.sulcus, person.dome + person.dome_left + person.sulcus),
            project=partial(_project, p=person, n=n),
        )
        for name in changes:
            more_soft, more_lung = change(name, seed, chest)
            path = path + MU_SOFT * more_soft + MU_LUNG * more_lung
            chest = replace(chest, lung=chest.lung + more_lung)
        film = _film(person, path, fine)
    grey = _step(person.contrast * (film - centre)) ** person.gamma
    return Phantom(np.rint(255 * grey).astype(np.uint8), lungs, hearts)


def _findings(finding: str | Sequence[str] | None) -> tuple[str, ...]:
    """Every finding once, in the order of their rules."""
    known = (*FINDINGS, CARDIOMEGALY)
    given = () if finding is None else (finding,) if isinstance(finding, str) else finding
    if not isinstance(given, Sequence) or not set(given) <= set(known):
        raise ValueError(f"finding must be None or of {', '.join(known)}, got {finding!r}")
    return tuple(name for name in known if name in given)


def _film(p: _Person, path: np.ndarray, fine: int) -> np.ndarray:
    """Logarithm of the detected beam, negative, in pixels ``fine`` times as wide."""
    beam = gaussian_filter(np.exp(-path) + np.float32(p.scatter), p.blur / FILM * len(path))
    return -np.log(_bin(beam, fine))


def _check(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


class _Person:
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


def _grid(p: _Person, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres in the person's frame: x from the midline to their left, y down."""
    u = ((np.arange(n) + 0.5) / n - 0.5).astype(np.float32) * FILM
    c, s = cos(p.tilt), sin(p.tilt)
    x, y = u[None, :], u[:, None]
    return x * c + y * s - p.right, y * c - x * s + FILM / 2 - p.down


def _masks(p: _Person, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lungs and heart, by what lies at the centre of each pixel."""
    x, y = _grid(p, n)
    heart = _heart(p, x, y) > 0
    other = (_mediastinum(p, x, y) > 0) | (_abdomen(p, x, y) > 0)
    return _two_largest((_cavity(p, x, y) > 0) & ~heart & ~other), heart


def _bin(a: np.ndarray, k: int) -> np.ndarray:
    n = a.shape[0] // k
    return a.reshape(n, k, n, k).mean(axis=(1, 3), dtype=np.float32)


def _two_largest(mask: np.ndarray) -> np.ndarray:
    """Drop the stray pixels that a sharp costophrenic angle leaves on a grid."""
    pieces, _ = label(mask)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return np.isin(pieces, np.argsort(areas)[-2:])


def _cap(u: np.ndarray) -> np.ndarray:
    """Quarter circle: 0 and upright at u = 0, 1 and level from u = 1 on."""
    u = np.clip(u, 0, 1)
    return np.sqrt(u * (2 - u))


def _step(u: np.ndarray) -> np.ndarray:
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


def _sides(p: _Person, y: np.ndarray) -> np.ndarray:
    """Half-width of the cavity below its arch: slowly wider."""
    return p.width * (1 + 0.006 * np.clip(y - 10, 0, 18))


def _cavity(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Depth of the chest: an elliptic arch over each side, flat towards the midline."""
    peak = 0.37 * p.width
    u = np.maximum(np.abs(x) - peak, 0) / (_sides(p, y) - peak)
    v = np.maximum(1 - y / p.arch, 0)
    return p.depth * np.sqrt(np.maximum(1 - u * u - v * v, 0))


def _heart(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
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


def _mediastinum(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A slab that flares at the neck; aorta and pulmonary trunk on the left, cava on the right."""
    left = p.knob * _bump((y - 7.3) / 1.5) + 1.8 * _bump((y - 13.0) / 4.0)
    right = 1.2 * _bump((y - 13.5) / 4.5)
    neck = 2.4 * np.exp(-np.maximum(y, 0) / 0.9)
    edge = p.mediastinum + neck + right + (left - right) * _step(4 * x)
    return _cap((edge - np.abs(x)) / 2.2)


def _below(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far below the diaphragm: two domes that fall to the costophrenic angles."""
    u = (np.abs(x) - 6) / (_sides(p, y) - 6)
    fall = np.where(u > 0, p.sulcus * np.abs(u) ** 2.2, 0.8 * u * u)
    return y - p.dome - p.dome_left * _step(2 * x) - fall


def _abdomen(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return _cap(_below(p, x, y) / 3.5)


def _body(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Trunk and neck below the line of the shoulders, arms, breasts."""
    ax = np.abs(x)
    top = p.shoulder + 0.03 * np.maximum(ax - 8, 0) ** 2 - 8 * np.exp((5.5 - ax) / 2.2)
    flank = p.width + p.side + 5 * _step((10 - y) / 1.2) + 0.03 * np.maximum(y - 18, 0)
    depth = (p.depth + p.wall) * (0.6 + 0.4 * _step((y - 1) / 1.5) + 0.15 * _step((y - p.dome) / 2))
    trunk = depth * _cap((flank - ax) / (0.3 * flank)) * _cap((y - top) / 5)
    lean = p.arm / 18
    arm = _cap(1 - np.abs(ax - 18.5 - lean * (y - 7)) / 4.5 / hypot(1, lean))
    breast = p.breast * _ball(ax, y, 8.0, p.dome - 4, 6.3, 5.4) * _step((y - p.dome + 5.5) / 1.5)
    return np.maximum(trunk, 9 * arm * _cap((y - 2) / 4.5)) + breast


def _air(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Trachea, main bronchi, and the stomach's gas above its fluid level."""
    ax, carina = np.abs(x + 0.3), 9.5
    trachea = 1.7 * _cap(1 - ax / 0.85) * _step((carina - y) / 0.2)
    bronchi = 1.2 * _cap(1 - np.abs(y - carina - 0.9 * ax) / 0.8) * _step((3 - ax) / 0.2)
    r, level = p.bubble, p.dome + p.dome_left + 0.7 + p.bubble
    gas = 2 * r * _ball(x, y, 6.5, level, 1.6 * r, r) * _step((level - y) / 0.1)
    return trachea + bronchi + gas


def _ribs(p: _Person, x: np.ndarray, y: np.ndarray, front: float) -> np.ndarray:
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


def _spine(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Vertebrae and discs, each vertebra with two pedicles and a spinous process."""
    x = x - p.scoliosis * np.sin(y / 10)
    v = (y - p.rib_first) / p.rib_pitch
    v = (v - np.floor(v) - 0.5) * p.rib_pitch
    disc = 0.5 + 0.5 * _cap((1.1 - np.abs(v)) / 0.3)
    vertebra = _cap((1.5 + 0.02 * y - np.abs(x)) / 0.9) * disc
    pedicles = _ball(np.abs(x), v, 0.95, -0.2, 0.35, 0.5)
    return 1.2 * vertebra + 0.7 * pedicles + 0.8 * _ball(x, v, 0, 0.5, 0.25, 0.6)


def _bone(p: _Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spine, ribs, clavicles, shoulder blades, heads of the humeri."""
    ax = np.abs(x)
    ribs = _ribs(p, x, y, -1) * _cap((ax - 1) / 2) + 0.5 * _ribs(p, x, y, 1.7) * _cap((ax - 6) / 3)
    ribs = ribs * _cap((y - 0.2) / 1.5) * _step((p.dome + 5 - y) / 1.5)
    u = np.abs(x - p.turn) - 1.6
    s = np.clip(u / 14.5, 0, 1)
    turn = 2 * pi * s
    line = p.clavicle - p.clavicle_rise * s - 0.4 * np.sin(turn)
    slope = (-p.clavicle_rise - 0.8 * pi * np.cos(turn)) / 14.5
    clavicle = _tube((y - line) / np.hypot(1, slope), 0.6 + 0.35 * np.exp(-8 * s))
    clavicle = clavicle * _cap(u / 0.5) * _cap((14.5 - u) / 0.5)
    blade = _ball((ax - 14.8) / np.clip(1.6 - 0.07 * y, 0.4, 1.6), y, 0, 10, 3, 7.5, -0.1)
    scapula = 0.6 * _cap(blade / 0.5) * (1 - 0.7 * blade)
    head = _ball(ax, y, 18.5, 6, 2.5, 2.7)
    return p.rib_bone * ribs + _spine(p, x, y) + 1.7 * clavicle + scapula + head


def _hila(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 2 * _bump((np.abs(x) - 3.5) / 2.2) * _bump((y - 12.5) / 3.5)


def _vessel_tree(p: _Person, rng: np.random.Generator) -> np.ndarray:
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


def _project(tree: np.ndarray, p: _Person, n: int) -> np.ndarray:
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
