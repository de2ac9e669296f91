"""Which networks fail first, of tables whose answer is known."""

import pandas as pd
import pytest
from test_explained import SEVERITIES, table

from cxr_noise_transforms.study.report.explained import Explained, find_explained
from cxr_noise_transforms.study.report.variants import (
    network_points,
    network_table,
    variant_points,
    variant_table,
    variant_verdicts,
    variants,
)


@pytest.fixture(scope="module")
def one() -> Explained:
    return find_explained(table(0.05), resamples=200)


def test_a_variant_is_compared_on_the_networks_that_both_ways_have(one: Explained) -> None:
    normalised, pruned = variants(one)
    assert (normalised.arm, normalised.networks) == ("clean, group norm", ["A"])
    assert (pruned.arm, pruned.networks) == ("clean, 50% pruned", ["A", "B"])
    for se in SEVERITIES:
        # A loses 0.05 per severity, half of which group normalisation spares it
        assert normalised.extra.value[se] == pytest.approx(0.025 * se, abs=0.015)
        # both lose 0.075 on the average, and half as much again once pruned
        assert pruned.extra.value[se] == pytest.approx(-0.0375 * se, abs=0.015)
    assert (normalised.extra.lower <= normalised.extra.value).all()
    assert normalised.levels.value["clean", 0.0] == pytest.approx(0.95, abs=0.01)


def test_sentences_say_who_fails_first(one: Explained) -> None:
    found = dict(variant_verdicts(one))
    architecture = found["Architecture"]
    assert "Dice of A changes by -0.1" in architecture
    assert "that of B by -0." in architecture
    assert "the two differ: -0.1" in architecture
    assert "after Bonferroni over 1 pairs" in architecture
    assert found["Variant (clean, group norm)"].endswith("(p < 0.001), it loses less.")
    assert found["Variant (clean, 50% pruned)"].endswith("(p < 0.001), it loses more.")


def test_what_is_nothing_on_clean_films_has_little_to_lose() -> None:
    crushed = table(0.05)
    pruned = crushed.weights == "clean, 50% pruned"
    crushed["value"] = crushed.value.where(~pruned, crushed.value / 3)
    words = dict(variant_verdicts(find_explained(crushed, resamples=50)))
    assert words["Variant (clean, 50% pruned)"].endswith("of which it has little to lose.")


def test_networks_that_are_one_are_not_told_apart() -> None:
    same = table(0.05)
    same = same[(same.network == "A") & (same.weights == "clean")]
    again = same.assign(weights="clean, group norm")
    twins = find_explained(pd.concat([same, again], ignore_index=True), resamples=200)
    [(lead, words)] = variant_verdicts(twins)
    assert lead == "Variant (clean, group norm)"
    assert "differs by +0.000 [+0.000, +0.000]" in words


def test_tables_and_curves_have_every_network_and_variant(one: Explained) -> None:
    header, rows = network_table(one)
    assert [row[0] for row in rows] == ["A", "B"]
    assert {len(row) for row in rows} == {len(header)}
    assert {row[1] for row in rows} == {"1"}
    # one training has no spread
    assert {row[-1] for row in rows} == {"–"}
    header, rows = variant_table(one)
    assert [row[:2] for row in rows] == [["clean, group norm", "A"], ["clean, 50% pruned", "A, B"]]
    assert {len(row) for row in rows} == {len(header)}
    common, points = variant_points(one)
    assert common == ["A"]
    assert sorted(points.name.unique()) == ["clean", "clean, 50% pruned", "clean, group norm"]
    assert len(network_points(one)) == 2 * (1 + len(SEVERITIES))


def test_the_spread_over_trainings_is_that_of_the_changes() -> None:
    first = table(0.05)
    second = first.assign(training_seed=1, value=first.value - 0.05 * (first.se == 3))
    both = find_explained(pd.concat([first, second], ignore_index=True), resamples=50)
    _, rows = network_table(both)
    assert {row[1] for row in rows} == {"2"}
    # two values that are 0.05 apart
    assert [float(row[-1]) for row in rows] == pytest.approx(2 * [0.05 / 2**0.5], abs=6e-4)
