"""Areas under severity curves, and how far a network keeps, with their intervals."""

import numpy as np
import pandas as pd
import pytest
from tables import curve, rows

from cxr_noise_transforms.study.statistics.areas import areas, kept_severities
from cxr_noise_transforms.study.statistics.curves import area_under_curve, breakdown_severity
from cxr_noise_transforms.study.statistics.resampling import bootstrap

STEPS = (0.0, 2.0, 10.0)


def table() -> pd.DataFrame:
    """Two checkpoints; the second loses half as much, with a patient effect that they share."""
    generator = np.random.default_rng(0)
    effect = generator.normal(0, 0.02, 40)
    parts = []
    for weights, slope in (("clean", 0.05), ("noisy", 0.025)):
        for cell in [(s, 0.0) for s in STEPS] + [(0.0, s) for s in STEPS[1:]]:
            value = 0.9 + effect - slope * (cell[0] + cell[1] / 2)
            parts.append(rows(value, cell=cell, metric="dice").assign(weights=weights))
    return pd.concat(parts, ignore_index=True)


def test_the_area_is_that_of_the_mean_curve() -> None:
    found = areas(bootstrap(table(), resamples=200)).groups.set_index(["weights", "axis"])
    mean = table()[table().se == 0].groupby(["weights", "sq"]).value.mean()
    for weights in ("clean", "noisy"):
        expected = area_under_curve(STEPS, mean[weights].tolist())
        assert found.value[weights, "sq"] == pytest.approx(expected)


def test_gains_are_paired_over_patients() -> None:
    resampled = areas(bootstrap(table(), resamples=200))
    gain = resampled.against(weights="clean").intervals().set_index("axis")
    # half of the slope is kept, by the trapezoids over 0, 2, 10: mean severity 5
    assert gain.value["sq"] == pytest.approx(0.025 * 5)
    assert gain.value["se"] == pytest.approx(0.025 * 2.5)
    # what patients share is in both curves and not in their difference
    assert (gain.standard_error < 1e-12).all()
    alone = resampled.intervals().set_index(["weights", "axis"])
    assert (alone.standard_error > 1e-4).all()


def test_what_is_kept_is_read_from_the_curve_of_each_resample() -> None:
    found = kept_severities(bootstrap(table(), resamples=200)).intervals()
    found = found.set_index(["weights", "axis"])
    mean = table()[(table().se == 0) & (table().weights == "clean")].groupby("sq").value.mean()
    expected = breakdown_severity(STEPS, mean.tolist(), 0.0, 0.05)
    assert found.value["clean", "sq"] == pytest.approx(expected)
    assert found.lower["clean", "sq"] < expected < found.upper["clean", "sq"]
    assert found.value["noisy", "se"] > found.value["clean", "se"]


def test_a_share_that_is_never_lost_is_kept_to_the_end() -> None:
    flat = curve({(0.0, 0.0): 0.9, (4.0, 0.0): 0.89, (10.0, 0.0): 0.89}, metric="dice")
    found = kept_severities(bootstrap(flat, resamples=20)).groups
    assert found[["axis", "value"]].to_numpy().tolist() == [["sq", 10.0]]


def test_a_degraded_clean_cell_is_no_point_of_a_curve() -> None:
    plain = curve({(0.0, 0.0): 0.9, (10.0, 0.0): 0.5}, metric="dice")
    worse = curve({(0.0, 0.0): 0.1}, metric="dice").assign(degradation="contrast=0.5")
    both = pd.concat([plain.assign(degradation="none"), worse], ignore_index=True)
    assert areas(bootstrap(both, resamples=20)).groups.value.tolist() == [pytest.approx(0.7)]


def test_a_curve_without_its_clean_cell_is_refused() -> None:
    lacking = curve({(1.0, 0.0): 0.9, (10.0, 0.0): 0.5}, metric="dice")
    with pytest.raises(ValueError, match="every curve must have the cell sq=0, se=0"):
        areas(bootstrap(lacking, resamples=20))
