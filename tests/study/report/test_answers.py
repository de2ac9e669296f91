import numpy as np
import pandas as pd
from ladders import dice_table, score_table

from cxr_noise_transforms.study.report.answers import headline
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.statistics.performance import performance


def headline_of(table: pd.DataFrame) -> list[str]:
    return headline(find(table, resamples=200))


def test_headline_says_what_is_lost_and_where() -> None:
    table = dice_table(["A"])
    value = performance(table).query("metric == 'dice'").set_index(["sq", "se"]).value
    quantum, electronic = headline_of(table)
    assert quantum.startswith(
        f"Quantum noise: Dice falls from {value[0, 0]:.3f} to {value[10, 0]:.3f} at s_q = 10 "
        f"(10 photons per pixel): {value[10, 0] - value[0, 0]:+.3f} ["
    )
    assert quantum.endswith("p < 0.001. Half of it is never lost on this axis.")
    assert f"falls from {value[0, 0]:.3f} to {value[0, 10]:.3f} at s_e = 10 (sigma 1" in electronic
    # straight lines between the cells
    part = (value[0, 4] - value[0, 0] / 2) / (value[0, 4] - value[0, 10])
    assert electronic.endswith(f"Half of it is lost at s_e = {4 + 6 * part:.1f}.")


def test_half_of_a_score_is_counted_from_a_constant_answer() -> None:
    table = score_table(["A"], films=200)
    flipped = table.value.where(table.sq != 10, 1 - table.value)
    quantum, _ = headline_of(table.assign(value=flipped))
    assert "Half of the gain over a constant answer (0.50) is lost at s_q = " in quantum
    assert "photons per pixel)." in quantum


def test_what_may_be_chance_is_no_fall() -> None:
    table = score_table(["A"])
    table["value"] = np.random.default_rng(0).random(len(table))
    assert all(" goes from " in one and "may be chance." in one for one in headline_of(table))


def test_what_does_not_change_stays() -> None:
    table = score_table()
    assert headline_of(table.assign(value=table.target)) == [
        "Quantum noise: AUROC stays 1.000 at s_q = 10 (10 photons per pixel).",
        "Electronic noise: AUROC stays 1.000 at s_e = 10 (sigma 1 of full scale).",
    ]


def test_tasks_are_told_together() -> None:
    good, poor = score_table(films=100), score_table(films=100).assign(task="another")
    poor["value"] = poor.value.where(poor.sq + poor.se == 0, 1 - poor.value)
    both = pd.concat([good, poor])
    value = performance(both).query("metric == 'auroc'")
    clean, noisy = (
        value[(value.sq == sq) & (value.se == 0)].groupby("task").value.mean() for sq in (0, 10)
    )
    quantum, _ = headline_of(both)
    assert quantum.startswith("Quantum noise: AUROC of 2 tasks falls from ")
    assert f"to {noisy.min():.2f}–{noisy.max():.2f} at s_q = 10 (10 photons per pixel)." in quantum
    assert f"Most: another, {clean['another']:.2f} to {noisy['another']:.2f}." in quantum
    assert f"Least: Effusion / Edema, {clean.max():.2f}" in quantum


def test_tasks_of_other_metrics_are_told_apart() -> None:
    found = headline_of(pd.concat([dice_table(["A"]), score_table(["A"])]))
    assert [one.split()[2] for one in found] == ["Dice", "Dice", "AUROC", "AUROC"]


def test_the_last_severity_is_the_last_of_all_networks() -> None:
    table = dice_table()
    found = headline_of(table[(table.network == "B") | (table.sq < 10)])
    assert "at s_q = 4 (62.5 photons per pixel)" in found[0]


def test_single_cells_and_both_noises() -> None:
    table = dice_table(["A"])
    clean, both = (table.sq == 0) & (table.se == 0), (table.sq == 1) & (table.se == 1)
    (only,) = headline_of(table[clean])
    assert only.startswith("Clean films: Dice is 0.9")
    assert only.endswith(" without noise. No noise was measured.")
    (found,) = headline_of(table[clean | both])
    assert found.startswith("Both noises: Dice falls from ")
    (alone,) = headline_of(table[both])
    assert alone.endswith("There is no value without noise to compare it with.")


def test_without_a_truth_there_is_no_answer() -> None:
    assert headline_of(score_table().assign(target=np.nan)) == [
        "Nothing could be measured: no film has a truth."
    ]


def test_labels_of_one_class_have_an_answer() -> None:
    table = score_table(["A"], films=100)
    mean = table.groupby(["sq", "se"]).value.mean()
    for target, truth in ((1.0, mean), (0.0, 1 - mean)):
        quantum, electronic = headline_of(table.assign(target=target))
        said = f"from {truth[0, 0]:.3f} to"
        assert f"mean probability of the truth goes {said} {truth[10, 0]:.3f} at" in quantum
        assert f"mean probability of the truth goes {said} {truth[0, 10]:.3f} at" in electronic
