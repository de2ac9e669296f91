"""What is said of why networks fail, of tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from tables import rows

from cxr_noise_transforms.study.report.explained import (
    BAND_NAMES,
    arm_words,
    find_explained,
    verdicts,
)
from cxr_noise_transforms.study.report.explained_tables import (
    band_points,
    band_table,
    equal_points,
    equal_table,
)
from cxr_noise_transforms.study.report.explaining import panels
from cxr_noise_transforms.study.report.looked import (
    Looked,
    attention_table,
    looked_verdicts,
    shift_table,
)

SEVERITIES = (1.0, 2.0, 3.0, 6.0)


def table(dependence: float) -> pd.DataFrame:
    """White noise costs 0.1 per severity, photons less by the dependence, low bands 0.15, others 0.

    Unclipped, nothing costs anything. Network B loses twice as much of all this as A, and group
    normalisation, which A alone has, and pruning change its losses by half. Without the clean cell
    of any kind but electronic noise, as a sweep has it.
    """
    generator = np.random.default_rng(0)
    slopes = {"none": 0.1, "quantum": 0.1 - dependence, "unclipped": 0.0, "quantum-unclipped": 0.0}
    slopes |= {band: 0.15 * (place < 2) for place, band in enumerate(BAND_NAMES)}
    made = {("A", "clean"): 1, ("B", "clean"): 2, ("A", "clean, group norm"): 0.5}
    made |= {("A", "clean, 50% pruned"): 1.5, ("B", "clean, 50% pruned"): 3}
    parts = []
    for (network, weights), factor in made.items():
        measured = list(slopes.items())
        if "pruned" in weights:
            measured = measured[:2]
        for kind, slope in measured:
            for se in (0.0, *SEVERITIES) if kind == "none" else SEVERITIES:
                value = 0.95 - factor * slope * se / 2 + generator.normal(0, 0.02, 40)
                part = rows(value, cell=(0.0, se), metric="dice", network=network)
                parts.append(part.assign(weights=weights, degradation=kind))
    return pd.concat(parts, ignore_index=True)


def test_a_difference_at_equal_rms_is_signal_dependence_and_none_is_scale() -> None:
    one = find_explained(table(0.05), resamples=200)
    # networks lose 0.075 per severity on the average, and a half of that to photons
    assert one.difference.value["clean", "quantum"] == pytest.approx(0.0375 * 3, abs=0.01)
    assert one.differences.value["clean", "quantum", 2.0] == pytest.approx(0.075, abs=0.01)
    assert one.difference.value["clean", "quantum-unclipped"] == pytest.approx(0, abs=0.01)
    found = dict(verdicts(one))
    scale = found["Scale or signal (trained on clean films)"]
    assert "signal dependence and saturation make quantum noise cost less, by " in scale
    assert scale.endswith(
        "signal dependence alone makes no difference that these films could show."
    )
    bands = found["Frequencies (trained on clean films)"]
    assert one.telling == 6
    assert "most at 0.0" in bands
    assert "At least half as much as the worst cost: 0.00 to 0.06, 0.06 to 0.12." in bands
    same = dict(verdicts(find_explained(table(0.0), resamples=200)))
    scale = same["Scale or signal (trained on clean films)"]
    assert "what differs at equal severities is the scale. On films that" in scale


def test_what_was_compressed_is_no_training() -> None:
    one = find_explained(table(0.05), resamples=50)
    assert one.arms == ["clean", "clean, group norm"]
    assert [arm for arm, _ in one.difference.index] == 2 * ["clean"] + 2 * ["clean, group norm"]
    assert arm_words("clean, group norm") == "trained on clean films, group norm"
    assert arm_words("ladder") == "trained with noise, ladder"


def test_a_training_that_never_learned_is_left_out_and_told() -> None:
    once = table(0.05)
    again = once[once.weights != "clean, 50% pruned"].assign(training_seed=1)
    nothing = (again.network == "A") & (again.weights == "clean, group norm")
    again["value"] = again.value.where(~nothing, 0.0)
    one = find_explained(pd.concat([once, again], ignore_index=True), resamples=50)
    told = dict(verdicts(one))["Trainings that failed"]
    assert told == ("A, clean, group norm, training 2, 0.00 on clean films. They are left out.")
    # the copies that were made of it go with it, and hide no failure
    crushed = (again.network == "B") & (again.weights == "clean")
    measured = again.degradation.isin(("none", "quantum"))
    copies = again[crushed & measured].assign(weights="clean, 8 bits", value=0.0)
    again["value"] = again.value.where(~crushed, 0.2)
    both = find_explained(pd.concat([once, again, copies], ignore_index=True), resamples=50)
    assert set(both.failed.weights) == {"clean", "clean, group norm"}
    assert "clean, 8 bits" not in set(both.table.weights)
    alone = find_explained(once, resamples=50)
    assert "Trainings that failed" not in dict(verdicts(alone))
    arm = ("clean, group norm", "A", "none", 6.0)
    assert one.levels.value[arm] == alone.levels.value[arm]


def test_tables_and_panels_have_every_severity_band_and_network() -> None:
    one = find_explained(table(0.05), resamples=50)
    header, equal = equal_table(one)
    assert [row[1] for row in equal] == 2 * ["0.1", "0.2", "0.3", "0.6"]
    assert {len(row) for row in equal} == {len(header)}
    header, bands = band_table(one)
    assert header[2:] == ["A", "B", "mean"]
    assert len(bands) == 2 * (len(BAND_NAMES) + 1)
    # B has no group normalisation
    assert {row[3] for row in bands if row[0] != "clean"} == {"–"}
    assert sorted(equal_points(one).severity.unique()) == pytest.approx([0, 0.1, 0.2, 0.3, 0.6])
    points = band_points(one, "clean")
    assert points.severity.min() == pytest.approx(1 / 32)
    assert len(points) == 3 * len(BAND_NAMES)
    files = ["equal.png", "networks.png", "variants.png", "bands-0.png", "bands-1.png"]
    assert [picture.file for picture in panels(one)] == files


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


def test_a_network_that_finds_nothing_is_left_out_of_the_mean_of_maps() -> None:
    one = looked()
    nothing = one.maps.assign(network="B")
    # finds nothing under noise
    nothing["value"] = nothing.value.where((nothing.metric == "confidence") | (nothing.se == 0))
    both = Looked(pd.concat([one.maps, nothing], ignore_index=True), one.layers, 50)
    assert both.silent == [("clean", "B")]
    cell = ("clean", "quantum", 2.0)
    assert both.level(cell, "inside").value == one.level(cell, "inside").value == 0.5
    words = dict(looked_verdicts(both))["Attention (trained on clean films)"]
    assert words.endswith("Without B, which finds nothing in some cells.")
    # nor is one that never finds anything
    never = nothing.assign(value=nothing.value.where(nothing.metric == "confidence"))
    both = Looked(pd.concat([one.maps, never], ignore_index=True), one.layers, 50)
    assert both.silent == [("clean", "B")]
    # of it alone there is no mean, and no failure
    alone = Looked(nothing, one.layers, 50)
    assert np.isnan(alone.level(cell, "inside").value)
    assert len(attention_table(alone)[1]) == 3


def test_networks_without_batch_normalisation_are_told_as_such() -> None:
    one = looked()
    without = Looked(one.maps, one.layers.iloc[:0], 50)
    assert looked_verdicts(without)[-1] == (
        "Normalisation",
        "no network has batch normalisation.",
    )
    assert shift_table(without)[1] == []
