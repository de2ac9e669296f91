import numpy as np
import pandas as pd
import pytest
from tables import curve, rows

from cxr_noise_transforms import LADDER, photons_per_pixel
from cxr_noise_transforms.study.statistics.curves import (
    area_under_curve,
    breakdown_severity,
    curve_numbers,
    curves,
    drops,
    mean_corruption_error,
)
from cxr_noise_transforms.study.statistics.performance import performance

STEPS = [0, 1, 2, 4, 6, 8, 10]


def falling(clean: float, slope: float, network: str) -> pd.DataFrame:
    """Performance that falls linearly in both severities, twice as fast in the electronic one."""
    values = {(sq, se): clean - slope * (sq + 2 * se) for sq, se in LADDER}
    return performance(curve(values, network=network, metric="dice"))


def test_drops_are_from_the_clean_cell_of_the_same_seeds() -> None:
    table = pd.concat(
        curve({(0, 0): clean, (2, 0): clean / 2}, metric="dice", training_seed=seed)
        for seed, clean in enumerate((0.8, 0.6))
    )
    found = drops(performance(table)).set_index(["training_seed", "sq"])
    assert found.loc[(0, 2.0), "drop"] == pytest.approx(0.4)
    assert found.loc[(1, 2.0), "drop"] == pytest.approx(0.3)
    assert np.allclose(found.relative_drop, found.index.get_level_values("sq") / 4)
    with pytest.raises(ValueError, match=r"must have the cell sq=0, se=0; missing for .*'A'"):
        drops(performance(curve({(2, 0): 0.5}, metric="dice")))


def test_curves_average_seeds_and_begin_with_the_clean_cell() -> None:
    table = pd.concat(
        curve({(0, 0): 0.9, (4, 0): v, (1, 1): 0.1}, metric="dice", noise_seed=seed)
        for seed, v in enumerate((0.5, 0.7))
    )
    found = curves(performance(table))
    # no electronic cell, and the mixed one is on no axis
    assert list(zip(found.axis, found.severity, strict=True)) == [("sq", 0), ("sq", 4)]
    assert np.allclose(found.value, [0.9, 0.6])
    with pytest.raises(ValueError, match="must have the cell sq=0, se=0; missing on axis sq"):
        curves(performance(curve({(2, 0): 0.5, (4, 0): 0.4}, metric="dice")))


def test_area_of_lines_on_the_uneven_axis() -> None:
    assert area_under_curve(STEPS, np.full(7, 0.8)) == pytest.approx(0.8)
    assert area_under_curve(STEPS, 1 - np.array(STEPS) / 10) == pytest.approx(0.5)
    for severity in ([0], [0, 0], [2, 1]):
        with pytest.raises(ValueError, match=r"severity must ascend over at least two cells, got"):
            area_under_curve(severity, severity)


@pytest.mark.parametrize(
    ("value", "chance", "share", "expected"),
    [
        ([1.0, 0.9, 0.6, 0.2], 0.0, 0.5, 2.25),
        ([1.0, 0.9, 0.6, 0.2], 0.5, 0.5, 1.5),
        ([1.0, 0.9, 0.6, 0.2], 0.0, 0.1, 1.0),
        # first crossing, though the curve recovers
        ([1.0, 0.4, 0.9, 0.9], 0.0, 0.6, 1.0),
        ([1.0, 0.9, 0.9, 0.9], 0.0, 0.5, np.inf),
        ([1.0, 1.1, 0.4, 0.3], 0.0, 0.5, 1 + 6 / 7),
        ([0.5, 0.4, 0.3, 0.2], 0.5, 0.5, np.nan),
        ([0.5, 0.4, 0.3, 0.2], np.nan, 0.5, np.nan),
    ],
)
def test_breakdown(value: list[float], chance: float, share: float, expected: float) -> None:
    found = breakdown_severity([0, 1, 2, 3], value, chance, share)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("share", [0, 1.1, np.nan])
def test_share_is_checked(share: float) -> None:
    with pytest.raises(ValueError, match=f"share must be above 0 and at most 1, got {share}"):
        breakdown_severity([0, 1], [1, 0], share=share)


def test_numbers_of_both_axes() -> None:
    found = curve_numbers(falling(0.8, 0.05, "A")).set_index("axis")
    assert np.allclose(found.clean, 0.8)
    assert found.area["sq"] == pytest.approx(0.8 - 0.05 * 5)
    assert found.area["se"] == pytest.approx(0.8 - 0.1 * 5)
    assert np.allclose(found.relative_area, found.area / 0.8)
    assert found.breakdown["sq"] == pytest.approx(8)
    assert found.breakdown["se"] == pytest.approx(4)
    assert found.photons["sq"] == pytest.approx(photons_per_pixel(8.0))
    assert np.isnan(found.photons["se"])
    never = curve_numbers(falling(0.8, 0.001, "A")).set_index("axis")
    assert np.isinf(never.breakdown).all()
    assert never.photons["sq"] == 0


def test_breakdown_of_scores_is_measured_from_chance() -> None:
    targets = np.array([0.0, 1.0] * 4)
    # one, two and four of the pairs in the wrong order
    table = pd.concat(
        rows(np.where(np.arange(8) < 2 * wrong, 1 - targets, targets), targets, cell=(sq, 0))
        for sq, wrong in ((0, 0), (2, 1), (4, 2))
    )
    found = curve_numbers(performance(table)).set_index("metric")
    # the AUROC is 1, 3/4, 1/2 (all equal scores count half): half of what is above 0.5 is 3/4
    values = curves(performance(table)).query("metric == 'auroc'").value.to_numpy()
    assert np.allclose(values, [1, 0.75, 0.5])
    assert found.breakdown["auroc"] == pytest.approx(2)
    # lower is better: no chance, no breakdown
    assert np.isnan(found.breakdown["brier"])


def test_breakdown_of_f1_is_measured_from_a_constant_answer() -> None:
    targets = np.array([0.0, 1.0] * 6)
    # six, five, four and three of the positives are found, and nothing else
    table = pd.concat(
        rows(targets * (np.arange(12) < 2 * found), targets, cell=(12 - 2 * found, 0))
        for found in (6, 5, 4, 3)
    )
    row = curve_numbers(performance(table)).set_index("metric").loc["f1"]
    assert row.chance == pytest.approx(2 / 3)
    values = curves(performance(table)).query("metric == 'f1'").value.to_numpy()
    assert np.allclose(values, [1, 10 / 11, 8 / 10, 6 / 9])
    # half of what is above 2/3 is 5/6
    assert row.breakdown == pytest.approx(2 + 2 * (10 / 11 - 5 / 6) / (10 / 11 - 8 / 10))


def test_a_curve_with_gaps_has_the_numbers_of_the_rest() -> None:
    whole = falling(0.8, 0.05, "A")
    gap = whole.assign(value=whole.value.where(whole.sq != 4))
    # a line stays a line
    pd.testing.assert_frame_equal(curve_numbers(gap), curve_numbers(whole))
    clean = whole.assign(value=whole.value.where(whole.sq + whole.se > 0))
    found = curve_numbers(clean)
    assert found[["clean", "area", "relative_area", "breakdown"]].isna().all(axis=None)
    only = whole.assign(value=whole.value.where(whole.sq + whole.se == 0))
    found = curve_numbers(only)
    assert np.allclose(found.clean, 0.8)
    assert found[["area", "relative_area", "breakdown"]].isna().all(axis=None)


def test_a_perfect_baseline_has_no_corruption_error() -> None:
    perf = pd.concat([falling(1.0, 0.0, "A"), falling(0.8, 0.02, "B")])
    found = mean_corruption_error(perf, "A")
    assert found[["ce_sq", "ce_se", "mce"]].isna().all(axis=None)
    numbers = curve_numbers(perf, baseline="A")
    assert numbers[["ce", "mce"]].isna().all(axis=None)
    assert len(numbers) == 4


def test_numbers_have_the_corruption_error_of_their_axis() -> None:
    perf = pd.concat([falling(0.9, 0.01, "A"), falling(0.8, 0.02, "B")])
    errors = mean_corruption_error(perf, "A").set_index("network")
    found = curve_numbers(perf, baseline="A").set_index(["network", "axis"])
    assert found.ce["B", "sq"] == errors.ce_sq["B"]
    assert found.ce["B", "se"] == errors.ce_se["B"]
    assert found.mce["B", "se"] == errors.mce["B"]


def test_nothing_is_lost_relative_to_nothing() -> None:
    found = drops(performance(curve({(0, 0): 0, (2, 0): 0.5}, metric="dice")))
    assert found.relative_drop.isna().all()


def test_corruption_error_by_hand() -> None:
    perf = pd.concat([falling(0.9, 0.01, "A"), falling(0.8, 0.02, "B")])
    found = mean_corruption_error(perf, "A").set_index("network")
    assert np.allclose(found.loc["A", ["ce_sq", "ce_se", "mce"]].astype(float), 1)
    ce_sq = (6 * 0.2 + 0.02 * 31) / (6 * 0.1 + 0.01 * 31)
    ce_se = (6 * 0.2 + 0.04 * 31) / (6 * 0.1 + 0.02 * 31)
    assert found.ce_sq["B"] == pytest.approx(ce_sq)
    assert found.mce["B"] == pytest.approx((ce_sq + ce_se) / 2)


def test_corruption_error_takes_errors_as_they_are() -> None:
    perf = pd.concat(
        performance(curve({(0, 0): 1, (2, 0): v, (0, 2): v}, network=n, metric="surface_distance"))
        for n, v in (("A", 2.0), ("B", 3.0))
    )
    assert mean_corruption_error(perf, "A").mce.tolist() == [1, 1.5]


def test_corruption_error_needs_its_baseline() -> None:
    perf = falling(0.9, 0.01, "A")
    with pytest.raises(ValueError, match="baseline C must have the severities of A on axis se"):
        mean_corruption_error(perf, "C")
    fewer = falling(0.9, 0.01, "B").query("sq != 10")
    with pytest.raises(ValueError, match="baseline B must have the severities of A on axis sq"):
        mean_corruption_error(pd.concat([perf, fewer]), "B")
