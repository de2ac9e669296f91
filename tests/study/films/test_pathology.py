"""The phantom's findings: each changes the film where its rule says, and nothing else does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter, label

from cxr_noise_transforms.study.films.anatomy import FILM
from cxr_noise_transforms.study.films.pathology import CARDIOMEGALY, FINDINGS, Chest, change
from cxr_noise_transforms.study.films.phantom import Phantom, chest_phantom

SEEDS = range(20)
SIZE = 96
PIXEL = FILM / SIZE
ONE_SIDED = (
    "Atelectasis", "Consolidation", "Effusion", "Infiltration", "Nodule", "Pleural_Thickening",
)  # fmt: skip
each_finding = pytest.mark.parametrize("finding", FINDINGS)


@cache
def phantom(seed: int, finding: str | None = None, size: int = SIZE) -> Phantom:
    return chest_phantom(seed, size, finding)


def changed(seed: int, finding: str, size: int = SIZE) -> np.ndarray:
    """Grey levels that the finding adds to the healthy film."""
    healthy, ill = phantom(seed, size=size), phantom(seed, finding, size)
    return ill.image.astype(float) - healthy.image


def sides(seed: int, size: int = SIZE) -> list[np.ndarray]:
    """The lungs, from left to right in the picture."""
    pieces, _ = label(phantom(seed, size=size).lungs)
    return sorted((pieces == 1, pieces == 2), key=lambda lung: float(np.nonzero(lung)[1].mean()))


def ill_right(seed: int, finding: str) -> bool:
    """Whether the person's right lung, on the left of the picture, changes more."""
    right, left = (np.abs(changed(seed, finding))[lung].sum() for lung in sides(seed))
    return bool(right > left)


def ill_lung(seed: int, finding: str) -> np.ndarray:
    right, left = sides(seed)
    return right if ill_right(seed, finding) else left


def height(seed: int, weight: np.ndarray) -> float:
    """Mean height of ``weight``: 1 at the top of the lungs, 0 at their lowest point."""
    rows = np.flatnonzero(phantom(seed).lungs.any(axis=1))
    mean = float(np.average(np.arange(SIZE), weights=weight.sum(axis=1)))
    return (rows[-1] - mean) / (rows[-1] - rows[0])


def test_the_findings_have_the_names_of_chestxray14() -> None:
    assert FINDINGS == (
        "Atelectasis",
        "Edema",
        "Effusion",
        "Fibrosis",
        "Infiltration",
        "Nodule",
        "Pleural_Thickening",
        "Pneumothorax",
        "Consolidation",
    )


@each_finding
def test_the_anatomy_stays(finding: str) -> None:
    for seed in SEEDS:
        healthy, ill = phantom(seed), phantom(seed, finding)
        np.testing.assert_array_equal(ill.lungs, healthy.lungs)
        np.testing.assert_array_equal(ill.heart, healthy.heart)


def test_no_finding_is_the_healthy_film() -> None:
    before = chest_phantom(4, 64)
    for finding in FINDINGS:
        chest_phantom(4, 64, finding)
    np.testing.assert_array_equal(before.image, chest_phantom(4, 64, None).image)


@each_finding
def test_a_seed_is_one_film(finding: str) -> None:
    first, second = chest_phantom(5, 64, finding), chest_phantom(np.int64(5), 64, finding)
    np.testing.assert_array_equal(first.image, second.image)


@each_finding
def test_every_person_shows_the_finding(finding: str) -> None:
    strongest = [np.abs(changed(seed, finding)).max() for seed in SEEDS]
    assert min(strongest) >= 8


@each_finding
def test_extent_varies_widely(finding: str) -> None:
    """Subtle and plain cases: the whole change differs by a factor of 3 or more."""
    whole = [np.abs(changed(seed, finding)).sum() for seed in SEEDS]
    assert max(whole) > 3 * min(whole)


@each_finding
def test_another_size_is_the_same_finding(finding: str) -> None:
    for seed in (0, 7):
        large = changed(seed, finding, 512).reshape(64, 8, 64, 8).mean(axis=(1, 3))
        small = changed(seed, finding, 64)
        rest = np.abs(large - small).sum() / np.abs(large).sum()
        assert rest < 0.25
        assert rest < 0.25 * np.abs(large - changed(seed + 1, finding, 64)).sum() / large.size**0.5


@pytest.mark.parametrize("finding", [*ONE_SIDED, "Pneumothorax"])
def test_one_lung_is_ill_and_either_may_be(finding: str) -> None:
    for seed in SEEDS:
        right, left = (changed(seed, finding)[lung].any() for lung in sides(seed))
        assert right != left
    assert 4 <= sum(ill_right(seed, finding) for seed in SEEDS) <= 16


def test_each_finding_has_its_own_chance() -> None:
    chosen = {tuple(ill_right(seed, finding) for seed in SEEDS) for finding in ONE_SIDED}
    assert len(chosen) == len(ONE_SIDED)


@pytest.mark.parametrize("finding", ["Edema", "Fibrosis"])
def test_both_lungs_are_ill(finding: str) -> None:
    for seed in SEEDS:
        right, left = (changed(seed, finding)[lung].sum() for lung in sides(seed))
        assert min(right, left) > 0.1 * max(right, left)


@pytest.mark.parametrize("finding", [name for name in FINDINGS if name != "Pneumothorax"])
def test_soft_tissue_only_brightens(finding: str) -> None:
    for seed in SEEDS:
        assert changed(seed, finding).min() == 0


def test_effusion_fills_the_lung_from_below() -> None:
    for seed in SEEDS:
        difference, ill = changed(seed, "Effusion"), ill_lung(seed, "Effusion")
        filled = (difference > 10) & ill
        assert height(seed, difference) < 0.4
        for column in np.flatnonzero(filled.any(axis=0)):
            wet, lung = (np.flatnonzero(a[:, column])[-1] for a in (filled, ill))
            assert lung - wet <= 2


def block() -> Chest:
    """A lung 10 cm deep without a diaphragm, so that nothing hides a finding."""
    x, y = np.meshgrid(np.linspace(-12, 12, 97), np.linspace(0, 28, 113))
    return Chest(
        x=x,
        y=y,
        rim=np.clip((np.abs(x) - 4.4) / 7.6, 0, 1),
        height=30 - y,
        lung=np.full_like(x, 10.0),
        vessels=np.zeros_like(x),
        width=12.0,
        dome=20.0,
        angles=(25.0, 26.0),
        project=lambda points: np.zeros_like(x) * points.sum(),
    )


def test_effusion_climbs_the_chest_wall() -> None:
    for seed in SEEDS:
        fluid, _ = change("Effusion", seed, block())
        left = fluid[:, -1].sum() > fluid[:, 0].sum()
        # from the wall to 2 cm from the midline
        surface = 0.25 * ((fluid[:, ::-1] if left else fluid)[:, :40] > 5).argmax(axis=0)
        assert (np.diff(surface) >= 0).all()
        assert 1 < surface[-1] - surface[0] < 4.1


@pytest.mark.parametrize("finding", ONE_SIDED)
def test_soft_tissue_takes_the_place_of_lung(finding: str) -> None:
    for seed in SEEDS:
        soft, lung = change(finding, seed, block())
        np.testing.assert_allclose(soft, -lung)
        assert soft.min() >= 0
        assert soft.max() <= 10


def test_a_nodule_is_a_disc_of_1_to_3_cm() -> None:
    widths = []
    for seed in SEEDS:
        difference = changed(seed, "Nodule", 257)
        spot = difference > 0.2 * difference.max()
        rows, columns = np.nonzero(difference > 0)
        assert label(spot)[1] == 1
        assert max(np.ptp(rows), np.ptp(columns)) * FILM / 257 < 3.3
        widths.append(2 * np.sqrt(spot.sum() / np.pi) * FILM / 257)
    assert 0.7 < min(widths) < 1.4
    assert 2.2 < max(widths) < 3.1


def test_a_pneumothorax_darkens_the_rim_and_spares_the_middle() -> None:
    for seed in SEEDS:
        difference, ill = changed(seed, "Pneumothorax"), ill_lung(seed, "Pneumothorax")
        rows = np.flatnonzero(ill.any(axis=1))
        upper = ill & (np.arange(SIZE)[:, None] < rows[0] + 0.4 * np.ptp(rows))
        rim = upper & (np.cumsum(upper, axis=0) * PIXEL < 1)
        middle = binary_erosion(ill, iterations=int(3.5 / PIXEL))
        assert difference[rim].mean() < -5
        assert difference[rim].mean() < 3 * min(difference[middle].mean(), 0) - 1


def test_atelectasis_raises_the_diaphragm() -> None:
    """The change lies low, and the lung that the dome displaces brightens most."""
    for seed in SEEDS:
        difference, ill = changed(seed, "Atelectasis"), ill_lung(seed, "Atelectasis")
        border = ill & ~np.roll(ill, -1, axis=0) & binary_erosion(ill.any(axis=0), iterations=8)
        assert height(seed, difference) < 0.35
        assert difference[border].mean() > 3 * difference[ill].mean()


def test_edema_surrounds_the_hila() -> None:
    for seed in SEEDS:
        difference = changed(seed, "Edema")
        for lung in sides(seed):
            middle = np.nonzero(lung)[1].mean()
            inward = np.sign(SIZE / 2 - middle) * (np.arange(SIZE) - middle) > 0
            assert difference[lung & inward].mean() > 1.3 * difference[lung & ~inward].mean()


def test_fibrosis_is_basal_and_fine() -> None:
    """More below than above, and rougher than a patch of haze."""

    def roughness(a: np.ndarray) -> float:
        return float(np.abs(a - gaussian_filter(a, 2)).sum() / np.abs(a).sum())

    for seed in SEEDS:
        fibrosis, patch = changed(seed, "Fibrosis", 257), changed(seed, "Infiltration", 257)
        assert roughness(fibrosis) > 2 * roughness(patch)
        assert height(seed, changed(seed, "Fibrosis")) < 0.5


def test_pleural_thickening_hugs_the_chest_wall() -> None:
    for seed in SEEDS:
        difference = changed(seed, "Pleural_Thickening")
        ill = ill_lung(seed, "Pleural_Thickening")
        inner = binary_erosion(ill, iterations=int(4 / PIXEL))
        assert difference[inner].mean() < 0.2 * difference[ill & ~inner].mean()


def test_a_consolidation_is_denser_than_a_patch_of_haze() -> None:
    """At its densest, in the median person."""
    densest = [
        [change(finding, seed, block())[0].max() for seed in range(200)]
        for finding in ("Consolidation", "Infiltration")
    ]
    assert np.median(densest[0]) > np.median(densest[1])


def test_a_large_heart_is_wider_and_is_not_lung() -> None:
    for seed in SEEDS:
        healthy, ill = phantom(seed), phantom(seed, CARDIOMEGALY)
        widths = [np.ptp(np.nonzero(film.heart)[1]) for film in (healthy, ill)]
        assert widths[1] > widths[0]
        assert not (ill.heart & ill.lungs).any()
        assert ill.lungs.sum() < healthy.lungs.sum()


def test_findings_add_up_in_the_lung_that_is_left() -> None:
    for seed in SEEDS:
        both = chest_phantom(seed, SIZE, ["Effusion", "Consolidation"]).image
        each = [phantom(seed, finding).image for finding in ("Effusion", "Consolidation")]
        assert (both >= np.maximum(*each)).all()
        again = chest_phantom(seed, SIZE, ("Consolidation", "Effusion", "Effusion")).image
        np.testing.assert_array_equal(both, again)


def test_no_findings_are_none() -> None:
    np.testing.assert_array_equal(chest_phantom(3, SIZE, []).image, phantom(3).image)


@pytest.mark.parametrize("finding", ["Scoliosis", "nodule", "", 3, ["Edema", "Scoliosis"]])
def test_refusal(finding: object) -> None:
    with pytest.raises(ValueError, match="finding must be None or of") as refusal:
        chest_phantom(0, 64, finding)  # type: ignore[arg-type]
    assert str(refusal.value) == (
        f"finding must be None or of {', '.join(FINDINGS)}, {CARDIOMEGALY}, got {finding!r}"
    )
