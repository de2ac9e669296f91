"""An analytic chest: radiographs with exact masks, made from a seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import numpy as np
from scipy.ndimage import gaussian_filter, label

from . import anatomy
from .anatomy import FILM
from .pathology import CARDIOMEGALY, FINDINGS, Chest, change

# linear attenuation per cm at 70 keV (lung at 0.26 g/cm3), interpolated from the tables of
# Hubbell and Seltzer, NISTIR 5632, for ICRU-44 soft tissue, lung and cortical bone
MU_SOFT, MU_LUNG, MU_BONE = 0.204, 0.050, 0.503


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
    seed: int,
    size: int = 512,
    finding: str | Sequence[str] | None = None,
    *,
    photons: float | None = None,
    read_noise: float = 0.0,
) -> Phantom:
    """Film the analytic person ``seed``, healthy or with findings.

    Path lengths L of every tissue, beam exp(-sum mu L) + scatter, detector blur, then a
    logistic display of the logarithm, its centre set by the lungs as an exposure control would.
    Path lengths are in cm and independent of ``size``: another size is the same person.

    The masks come from the shapes that attenuate. Lungs end at the heart, the mediastinum and
    the domes of the diaphragm, as annotators draw them, although some lung lies behind each;
    the lower border of the heart, hidden in the abdomen, is the shape's own.

    With ``photons`` the film is taken at a dose: every pixel of the beam is counted and read out
    before it is displayed, P ~ Poisson(beam) + Normal(0, read_noise²). The mean and the variance of
    a pixel's count are its photons, and its photons + read_noise².

    A finding changes path lengths by a rule of :mod:`.pathology`, at the exposure of the healthy
    film: the anatomy stays, and so do the masks, also where the finding hides the lung. Several
    add up, each in the lung that those before it have left. Cardiomegaly is anatomy: a
    cardiothoracic ratio from 0.56 to 0.66 instead of from 0.41 to 0.57.

    Args:
        seed: Which person, at least 0.
        size: Height and width in pixels, at least 32.
        finding: One of :data:`.pathology.FINDINGS` or ``"Cardiomegaly"``, several of them, or
            ``None`` for a healthy chest.
        photons: Expected counts of a pixel at the median of the lungs, above 0 and at most 1e12;
            ``None`` for a film without grain.
        read_noise: Standard deviation of the read-out, in photons, at least 0.

    Returns:
        The film and its masks, each ``(size, size)``.

    Raises:
        TypeError: ``seed`` or ``size`` is not an int.
        ValueError: ``seed`` or ``size`` is too small, or there is no such finding;
            ``photons`` or ``read_noise`` is out of range, or there is read-out without photons.

    Note:
        A demonstration that runs without data. It has one recipe of anatomy and one of each
        finding: results on it prove nothing clinical. Counts below half a photon, or half a
        standard deviation of the read-out, count as that: they have no logarithm.

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
    _check_dose(photons, read_noise)
    rng = np.random.default_rng(seed)
    person = anatomy.Person(rng)
    if CARDIOMEGALY in findings:
        person.ctr = 0.56 + 0.625 * (person.ctr - 0.41)
    tree = anatomy.vessel_tree(person, rng)

    # small pixels are averaged from finer ones, or the ribs' cortex would alias
    fine = 2 if size <= 256 else 1
    n = size * fine
    x, y = anatomy.grid(person, n)
    cavity, heart = anatomy.cavity(person, x, y), anatomy.heart(person, x, y)
    vessels, abdomen = anatomy.mediastinum(person, x, y), anatomy.abdomen(person, x, y)
    # the share of the cavity's depth that each organ leaves to the lung
    share = (1 - 0.85 * heart) * (1 - 0.85 * vessels) * (1 - 0.97 * abdomen)
    lung = cavity * share
    body = np.maximum(anatomy.body(person, x, y), cavity)
    vascular = anatomy.hila(x, y) + anatomy.project(tree, person, n) * np.minimum(cavity / 4, 1)
    soft = np.maximum(body - lung + vascular * share**2 - anatomy.air(person, x, y), 0)
    bone = anatomy.bone(person, x, y) * anatomy.cap(body / 4)
    path = MU_SOFT * soft + MU_LUNG * lung + (MU_BONE - MU_SOFT) * bone

    beam = _beam(person, path, fine)
    lungs, hearts = _masks(person, size)
    exposed = np.median(-np.log(beam[lungs]))
    changes = [name for name in findings if name != CARDIOMEGALY]
    if changes:
        chest = Chest(
            x=x,
            y=y,
            rim=np.sqrt(1 - (cavity / person.depth) ** 2),
            height=-anatomy.below(person, x, y),
            lung=lung,
            vessels=vascular * share**2,
            width=person.width,
            dome=person.dome,
            angles=(person.dome + person.sulcus, person.dome + person.dome_left + person.sulcus),
            project=partial(anatomy.project, p=person, n=n),
        )
        for name in changes:
            more_soft, more_lung = change(name, seed, chest)
            path = path + MU_SOFT * more_soft + MU_LUNG * more_lung
            chest = replace(chest, lung=chest.lung + more_lung)
        beam = _beam(person, path, fine)
    if photons is not None:
        beam = _counted(beam, photons * np.exp(exposed), read_noise, seed)
    centre = exposed + 0.45 - person.exposure
    grey = anatomy.step(person.contrast * (-np.log(beam) - centre)) ** person.gamma
    return Phantom(np.rint(255 * grey).astype(np.uint8), lungs, hearts)


def _findings(finding: str | Sequence[str] | None) -> tuple[str, ...]:
    """Every finding once, in the order of their rules."""
    known = (*FINDINGS, CARDIOMEGALY)
    given = () if finding is None else (finding,) if isinstance(finding, str) else finding
    if not isinstance(given, Sequence) or not set(given) <= set(known):
        raise ValueError(f"finding must be None or of {', '.join(known)}, got {finding!r}")
    return tuple(name for name in known if name in given)


def _beam(p: anatomy.Person, path: np.ndarray, fine: int) -> np.ndarray:
    """The detected share of the open beam, in pixels ``fine`` times as wide."""
    beam = gaussian_filter(np.exp(-path) + np.float32(p.scatter), p.blur / FILM * len(path))
    return _bin(beam, fine)


def _counted(beam: np.ndarray, photons: float, read_noise: float, seed: int) -> np.ndarray:
    """The beam as it is counted and read out, with ``photons`` per pixel where it is 1."""
    # a stream of its own: the person is the same at every dose
    rng = np.random.default_rng([seed, 1])
    counts = rng.poisson(photons * beam) + read_noise * rng.standard_normal(beam.shape)
    return np.maximum(counts, max(1.0, read_noise) / 2) / photons


def _check(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _check_dose(photons: float | None, read_noise: float) -> None:
    if photons is not None and not 0 < photons <= 1e12:
        raise ValueError(f"photons must be above 0 and at most 1e12, got {photons}")
    if not 0 <= read_noise < inf:
        raise ValueError(f"read_noise must be at least 0 and finite, got {read_noise}")
    if photons is None and read_noise:
        raise ValueError(f"read_noise must be 0 where photons is None, got {read_noise}")


def _masks(p: anatomy.Person, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lungs and heart, by what lies at the centre of each pixel."""
    x, y = anatomy.grid(p, n)
    heart = anatomy.heart(p, x, y) > 0
    other = (anatomy.mediastinum(p, x, y) > 0) | (anatomy.abdomen(p, x, y) > 0)
    return _two_largest((anatomy.cavity(p, x, y) > 0) & ~heart & ~other), heart


def _bin(a: np.ndarray, k: int) -> np.ndarray:
    n = a.shape[0] // k
    return a.reshape(n, k, n, k).mean(axis=(1, 3), dtype=np.float32)


def _two_largest(mask: np.ndarray) -> np.ndarray:
    """Drop the stray pixels that a sharp costophrenic angle leaves on a grid."""
    pieces, _ = label(mask)
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return np.isin(pieces, np.argsort(areas)[-2:])
