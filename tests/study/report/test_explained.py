"""What is said of why networks fail, of tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from tables import rows

from cxr_noise_transforms.study.report.explained import (
    BAND_NAMES,
    band_points,
    band_table,
    equal_points,
    equal_table,
    find_explained,
    verdicts,
)
from cxr_noise_transforms.study.report.explaining import panels
from cxr_noise_transforms.study.report.looked import (
    Looked,
    attention_table,
    looked_verdicts,
    shift_table,
)


def table(dependence: float) -> pd.DataFrame:
    """White noise costs 0.2 per severity, photons less by the dependence, low bands 0.3, others 0.

    Without the clean cell of any kind but electronic noise, as a sweep has it.
    """
    generator = np.random.default_rng(0)
    slopes = {"none": 0.2, "quantum": 0.2 - dependence}
    slopes |= {band: 0.3 * (place < 2) for place, band in enumerate(BAND_NAMES)}
    parts = []
    for network in ("A", "B"):
        for kind, slope in slopes.items():
            for se in (0.0, 1.0, 2.0) if kind == "none" else (1.0, 2.0):
                value = 0.9 - slope * se + generator.normal(0, 0.02, 40)
                part = rows(value, cell=(0.0, se), metric="dice", network=network)
                parts.append(part.assign(weights="clean", degradation=kind))
    return pd.concat(parts, ignore_index=True)


def test_a_difference_at_equal_rms_is_signal_dependence_and_none_is_scale() -> None:
    one = find_explained(table(0.05), resamples=200)
    assert one.difference.value["clean"] == pytest.approx(0.075, abs=0.01)
    assert one.differences.value["clean", 2.0] == pytest.approx(0.1, abs=0.01)
    scale, bands = (words for _, words in verdicts(one))
    assert "signal dependence and saturation make quantum noise cost less, by 2" in scale
    assert one.telling == 2
    assert "most at 0.0" in bands
    assert "At least half as much as the worst cost: 0.00 to 0.06, 0.06 to 0.12." in bands
    same = find_explained(table(0.0), resamples=200)
    assert dict(verdicts(same))["Scale or signal (trained on clean films)"].endswith(
        "what differs at equal severities is the scale."
    )


def test_tables_and_panels_have_every_severity_band_and_network() -> None:
    one = find_explained(table(0.05), resamples=50)
    header, equal = equal_table(one)
    assert [row[1] for row in equal] == ["0.1", "0.2"]
    assert {len(row) for row in equal} == {len(header)}
    header, bands = band_table(one)
    assert header[2:] == ["A", "B", "mean"]
    assert len(bands) == len(BAND_NAMES) + 1
    assert sorted(equal_points(one).severity.unique()) == pytest.approx([0, 0.1, 0.2])
    points = band_points(one, "clean")
    assert points.severity.min() == pytest.approx(1 / 32)
    assert len(points) == 3 * len(BAND_NAMES)
    assert [picture.file for picture in panels(one)] == ["equal.png", "bands-0.png"]


def looked() -> Looked:
    """Maps whose agreement is the confidence, and layers that shift by their place."""
    parts, layers = [], []
    for kind, se in [("none", 0.0), ("none", 2.0), ("quantum", 2.0)]:
        sure = np.linspace(0.2, 0.9, 10) - se / 10
        for metric, value in {"inside": 0.5, "agreement": sure**3, "confidence": sure}.items():
            part = rows(np.broadcast_to(value, 10), cell=(0.0, se), metric=metric)
            parts.append(part.assign(weights="clean", degradation=kind))
        about = {"weights": "clean", "degradation": kind, "se": se, "log_variance": se}
        layers += [{**about, "place": place, "mean": se * place} for place in (0.0, 0.5, 1.0)]
    return Looked(pd.concat(parts, ignore_index=True), pd.DataFrame(layers), 50)


def test_attention_follows_confidence_and_layers_shift_by_their_place() -> None:
    one = looked()
    assert one.follows("clean") == pytest.approx(1)
    attention, normalisation = (words for _, words in looked_verdicts(one))
    assert "have a rank correlation of +1.00" in attention
    assert "0.00 in the first third, 1.00 in the middle, 2.00 in the last third" in normalisation
    assert len(attention_table(one)[1]) == len(shift_table(one)[1]) == 3


def test_networks_without_batch_normalisation_are_told_as_such() -> None:
    one = looked()
    without = Looked(one.maps, one.layers.iloc[:0], 50)
    assert looked_verdicts(without)[-1] == (
        "Normalisation",
        "no network has batch normalisation.",
    )
    assert shift_table(without)[1] == []
