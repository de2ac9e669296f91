"""What a stress test measures: severities, seeds of the noise, degradations, and their product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cxr_noise_transforms.study.columns import UNDEGRADED

from .degradations import Degradation, degradation_of
from .kinds import BANDS, UNCLIPPED, Kind, kind_of
from .storable import storable

Cell = tuple[float, float]

#: strengths of ImageNet-C (Hendrycks and Dietterich 2019, arXiv:1903.12261) in this package's
#: units: sq = sqrt(N0 / photons) of its shot noise, se = sigma / SIGMA0 of its Gaussian noise
IMAGENET_C: tuple[Cell, ...] = (
    (0.0, 0.0),
    *((float((1000 / photons) ** 0.5), 0.0) for photons in (60, 25, 12, 5, 3)),
    *((0.0, sigma) for sigma in (0.8, 1.2, 1.8, 2.6, 3.8)),
)
#: those of MedMNIST-C for the chest (Di Salvo et al. 2024, arXiv:2406.17536), likewise
MEDMNIST_C_CHEST: tuple[Cell, ...] = (
    (0.0, 0.0),
    *((float((1000 / photons) ** 0.5), 0.0) for photons in (60, 25, 18, 10, 5)),
    *((0.0, sigma) for sigma in (0.4, 0.8, 1.2, 1.8, 2.6)),
)

# severities whose RMS is the same for every kind of noise, and the kinds that are compared there
RMS_LADDER: tuple[Cell, ...] = tuple((0.0, se) for se in (0.0, 0.5, 1.0, 2.0, 3.0, 6.0, 10.0))
EQUAL_VARIANCE = (UNDEGRADED, "quantum")
# the same pair before the digitiser, where nothing saturates
UNCLIPPED_PAIR = (UNCLIPPED, f"quantum-{UNCLIPPED}")
BAND_CELLS: tuple[Cell, ...] = tuple((0.0, se) for se in (0.0, 0.5, 1.0, 2.0))
BAND_NOISES = (UNDEGRADED, *(f"band={number}" for number in range(1, BANDS + 1)))


class Measurement(NamedTuple):
    """One cell with one noise: severities, seed of the noise, and what else degrades the film."""

    sq: float
    se: float
    noise_seed: int
    degradation: str = UNDEGRADED

    @property
    def words(self) -> str:
        """As messages and progress have it."""
        degraded = "" if self.degradation == UNDEGRADED else f", {self.degradation}"
        return f"sq={self.sq:g}, se={self.se:g}, noise seed {self.noise_seed}{degraded}"


def measurements(
    cells: Iterable[Cell],
    noise_seeds: Iterable[int],
    degradations: Iterable[str],
    share: tuple[int, int],
) -> list[Measurement]:
    """Every measurement of this share, once."""
    if not 0 <= share[0] < share[1]:
        raise ValueError(f"share must be (i, n) with i from 0 to n - 1, got {share}")
    pairs = [storable("cells", cell) for cell in cells]
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError(f"cells must be pairs (sq, se), got {pair}")
    every = [
        Measurement(float(sq), float(se), storable("noise_seeds", seed), degradation)
        for degradation in degradations
        for seed in noise_seeds
        for sq, se in pairs
    ]
    if not every:
        raise ValueError("cells and noise_seeds must hold at least one each")
    return list(dict.fromkeys(every[share[0] :: share[1]]))


def named_degradations(
    given: Iterable[str] | Mapping[str, Degradation | Kind | None],
) -> dict[str, Degradation | Kind | None]:
    """Degradations by their names, which are parts of files' names."""
    if isinstance(given, str):
        raise TypeError(f"degradations must be several names, got one string {given!r}")
    found = (
        given
        if isinstance(given, Mapping)
        else {name: kind_of(name) or degradation_of(name) for name in given}
    )
    wrong = [name for name in found if not name or set(name) & set(r'/\:*?"<>|')]
    if wrong or not found or (found.get(UNDEGRADED) is not None):
        raise ValueError(
            f"degradations must have names that a file can have, and {UNDEGRADED!r} stands for "
            f"none, got {list(found)}"
        )
    return dict(found)
