"""The analytic chest: one person per seed, exact masks, the grey levels of a radiograph."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, label

from cxr_noise_transforms.study.films.anatomy import Person
from cxr_noise_transforms.study.films.phantom import Phantom, _counted, chest_phantom

SEEDS = range(24)
MASKS = ("lungs", "heart")


@cache
def phantom(seed: int, size: int = 96) -> Phantom:
    return chest_phantom(seed, size)


def coarse(a: np.ndarray, size: int) -> np.ndarray:
    k = a.shape[0] // size
    blocks: np.ndarray = a.reshape(size, k, size, k).mean(axis=(1, 3))
    return blocks


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union."""
    return float((a & b).sum() / (a | b).sum())


def extent(mask: np.ndarray) -> int:
    """Columns from the first to the last that the mask touches."""
    return int(np.ptp(np.flatnonzero(mask.any(axis=0)))) + 1


def ratio(film: Phantom) -> float:
    """Cardiothoracic ratio as read from the masks."""
    return extent(film.heart) / extent(film.lungs)


def sides(film: Phantom) -> list[np.ndarray]:
    """The lungs, from left to right in the picture."""
    pieces, count = label(film.lungs)
    lungs = [pieces == k for k in range(1, count + 1)]
    return sorted(lungs, key=lambda lung: float(np.nonzero(lung)[1].mean()))


@pytest.mark.parametrize("size", [32, 33, 96, 257])
def test_shapes_and_types(size: int) -> None:
    film = phantom(3, size)
    assert film.image.dtype == np.uint8
    assert film.lungs.dtype == film.heart.dtype == np.bool_
    assert film.image.shape == film.lungs.shape == film.heart.shape == (size, size)


def test_default_size() -> None:
    assert chest_phantom(0).image.shape == (512, 512)


def test_a_seed_is_one_film() -> None:
    first, second = chest_phantom(5, 64), chest_phantom(np.int64(5), 64)
    for name in ("image", *MASKS):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("name", MASKS)
def test_persons_differ(name: str) -> None:
    masks = [getattr(phantom(seed), name) for seed in SEEDS]
    pairs = [overlap(a, b) for i, a in enumerate(masks) for b in masks[:i]]
    assert max(pairs) < 0.98
    assert np.median(pairs) < 0.85


@pytest.mark.parametrize("seed", [0, 7, 11])
@pytest.mark.parametrize("size", [64, 128])
def test_another_size_is_the_same_person(seed: int, size: int) -> None:
    large, small = phantom(seed, 512), phantom(seed, size)
    for name in MASKS:
        assert overlap(coarse(getattr(large, name), size) > 0.5, getattr(small, name)) > 0.97
    # other vessels in the same chest would differ by about 3 grey levels
    assert np.abs(coarse(large.image, size) - small.image)[small.lungs].mean() < 2


@pytest.mark.parametrize("size", [32, 96, 257])
def test_one_heart_and_two_lungs_apart(size: int) -> None:
    for seed in SEEDS:
        film = phantom(seed, size)
        assert not (film.lungs & film.heart).any()
        assert label(film.heart)[1] == 1
        areas = [lung.mean() for lung in sides(film)]
        assert len(areas) == 2
        assert min(areas) > 0.06


def test_the_persons_right_lies_on_the_left() -> None:
    """The heart lies towards the left lung, which is the picture's right."""
    for seed in SEEDS:
        film = phantom(seed)
        right, left = sides(film)
        columns = np.flatnonzero(film.lungs.any(axis=0))
        middle = (columns[0] + columns[-1]) / 2
        assert np.nonzero(right)[1].mean() < middle < np.nonzero(left)[1].mean()
        assert np.nonzero(film.heart)[1].mean() > middle


def test_areas_are_those_of_chest_films() -> None:
    """Ranges of outlined films: lungs 0.21 to 0.44 of the picture, heart 0.065 to 0.12."""
    lungs = np.array([phantom(seed).lungs.mean() for seed in SEEDS])
    hearts = np.array([phantom(seed).heart.mean() for seed in SEEDS])
    assert 0.18 < lungs.min() < 0.28 < lungs.max() < 0.44
    assert 0.045 < hearts.min() < 0.09 < hearts.max() < 0.16


def test_cardiothoracic_ratio_is_in_range_and_varies() -> None:
    ratios = np.array([ratio(phantom(seed)) for seed in range(60)])
    assert 0.37 < ratios.min() < 0.43
    assert 0.52 < ratios.max() < 0.60


def test_nothing_touches_the_edge_of_the_film() -> None:
    for seed in SEEDS:
        film = phantom(seed)
        anatomy = film.lungs | film.heart
        assert not anatomy[[0, -1]].any()
        assert not anatomy[:, [0, -1]].any()


def test_grey_levels_are_ordered() -> None:
    """Air, lungs, heart, and the spine behind the heart: darker to brighter."""
    for seed in SEEDS:
        film = phantom(seed)
        grey = film.image / 255
        lungs, heart = np.median(grey[film.lungs]), np.median(grey[film.heart])
        rows = film.heart.any(axis=1)
        right, left = sides(film)
        between = (np.nonzero(right)[1].min() + np.nonzero(left)[1].max()) // 2
        spine = np.median(grey[rows, between - 3 : between + 4])
        assert grey.min() < 0.06
        assert 0.22 < lungs < 0.56
        assert lungs + 0.2 < heart < spine
        assert 0.66 < heart < 0.95


def test_the_film_darkens_inside_the_lungs_edge() -> None:
    for seed in SEEDS:
        film = phantom(seed, 257)
        rim = film.lungs & ~binary_erosion(film.lungs, iterations=3)
        around = binary_dilation(film.lungs, iterations=3) & ~film.lungs
        assert film.image[around].mean() - film.image[rim].mean() > 20


@pytest.mark.parametrize("name", MASKS)
def test_masks_lie_on_the_edges_of_the_image(name: str) -> None:
    """A mask moved by 2 % of the film, either way, loses contrast with its surroundings."""

    def contrast(film: Phantom, shift: int) -> float:
        mask = np.roll(getattr(film, name), shift, axis=1)
        around = binary_dilation(mask, iterations=4) & ~mask
        rim = mask & ~binary_erosion(mask, iterations=4)
        return abs(float(film.image[around].mean()) - float(film.image[rim].mean()))

    for seed in SEEDS:
        film = phantom(seed, 257)
        assert contrast(film, 0) > max(contrast(film, -5), contrast(film, 5))


def test_the_levels_are_not_saturated() -> None:
    for seed in SEEDS:
        assert np.mean(phantom(seed).image == 255) == 0
        assert np.unique(phantom(seed, 257).image).size > 150


@pytest.mark.parametrize(("photons", "read_noise"), [(50, 0), (400, 0), (400, 30)])
def test_counts_are_poisson_and_read_out(photons: float, read_noise: float) -> None:
    n = 10**5
    counts = photons * _counted(np.ones((1, n)), photons, read_noise, seed=0)
    variance = photons + read_noise**2
    assert abs(counts.mean() - photons) < 5 * (variance / n) ** 0.5
    # the fourth cumulant of the sum is that of the counts
    error = ((photons + 2 * variance**2) / n) ** 0.5
    assert abs(counts.var() - variance) < 5 * error
    if read_noise:
        assert abs(counts.var() - photons) > 5 * error


@pytest.mark.parametrize("read_noise", [0, 2, 8])
def test_counts_that_have_no_logarithm_are_lifted(read_noise: float) -> None:
    counts = _counted(np.full((1, 1000), 0.01), 1, read_noise, seed=0)
    assert counts.min() == max(1, read_noise) / 2


def first_order(seed: int, clean: np.ndarray, photons: float) -> np.ndarray:
    """Variance of the grey levels of a film at a dose, from its levels without grain."""
    person = Person(np.random.default_rng(seed))
    step = (clean / 255) ** (1 / person.gamma)
    lung = person.contrast * (person.exposure - 0.45)
    attenuated = (np.log(step / (1 - step)) - lung) / person.contrast
    slope = 255 * person.contrast * person.gamma * step**person.gamma * (1 - step)
    # both films are rounded
    return slope**2 / (photons * np.exp(-attenuated)) + 2 / 12


@pytest.mark.parametrize("name", MASKS)
def test_grain_has_the_variance_of_the_photons_behind_the_display(name: str) -> None:
    photons, squares = 4000.0, []
    for seed in SEEDS:
        film = phantom(seed)
        grain = chest_phantom(seed, 96, photons=photons).image - film.image.astype(float)
        mask = getattr(film, name)
        squares.append(grain[mask] ** 2 / first_order(seed, film.image[mask], photons))
    found = np.concatenate(squares)
    error = (2 / found.size) ** 0.5
    assert abs(found.mean() - 1) < 5 * error
    # as if the photons were those of another dose
    assert abs(found.mean() / 1.1 - 1) > 5 * error


def test_a_dose_changes_neither_the_person_nor_the_masks() -> None:
    film, grainy = phantom(4), chest_phantom(4, 96, photons=30, read_noise=2)
    for name in MASKS:
        assert np.array_equal(getattr(grainy, name), getattr(film, name))
    assert not np.array_equal(grainy.image, film.image)
    again = chest_phantom(4, 96, photons=30, read_noise=2)
    assert np.array_equal(grainy.image, again.image)
    assert np.abs(chest_phantom(4, 96, photons=1e12).image - film.image.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("dose", "message"),
    [
        ({"photons": 0}, "photons must be above 0 and at most 1e12, got 0"),
        ({"photons": float("nan")}, "photons must be above 0 and at most 1e12, got nan"),
        ({"photons": 1e13}, "photons must be above 0 and at most 1e12, got 10000000000000.0"),
        ({"photons": 9, "read_noise": -1}, "read_noise must be at least 0 and finite, got -1"),
        ({"read_noise": 1}, "read_noise must be 0 where photons is None, got 1"),
    ],
)
def test_doses_that_are_refused(dose: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chest_phantom(0, 32, **dose)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1,), ValueError, "seed must be at least 0, got -1"),
        ((1.0,), TypeError, "seed must be an int, got 1.0"),
        ((None,), TypeError, "seed must be an int, got None"),
        ((True,), TypeError, "seed must be an int, got True"),
        ((0, 31), ValueError, "size must be at least 32, got 31"),
        ((0, 64.0), TypeError, "size must be an int, got 64.0"),
        ((0, "64"), TypeError, "size must be an int, got '64'"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as refusal:
        chest_phantom(*arguments)
    assert str(refusal.value) == message
