"""What a hardening's report says, of tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from tables import rows

from cxr_noise_transforms.study.report.hardened import (
    arm_table,
    arm_words,
    find_hardened,
    square,
    verdicts,
)

ARMS = {"clean": 0.08, "ladder": 0.01, "clean, all films": 0.04, "ladder, all films": 0.01}


def table(metric: str = "dice") -> pd.DataFrame:
    """Arms with slopes of their own; the ladder's costs 0.02 on clean films, 0.1 in contrast."""
    generator = np.random.default_rng(0)
    target = (np.arange(40) % 2).astype(float)
    parts = []
    for seed in (0, 1):
        for arm, slope in ARMS.items():
            cost = 0.02 * arm.startswith("ladder")
            cells = [(0.0, 0.0), (5.0, 0.0), (10.0, 0.0), (0.0, 5.0), (0.0, 10.0)]
            for cell in cells:
                about = {"cell": cell, "training_seed": seed, "metric": metric}
                value = 0.9 - cost - slope * sum(cell) + generator.normal(0, 0.01, 40) + seed / 100
                if metric == "score":
                    shift = (target - 0.5) * np.clip(value, 0, 1) + 0.5
                    value = np.clip(shift + generator.normal(0, 0.2, 40), 0, 1)
                parts.append(
                    rows(value, target if metric == "score" else None, **about).assign(
                        weights=arm, degradation="none"
                    )
                )
            if metric == "dice":
                parts.append(
                    rows(np.full(40, 0.8 - 5 * cost), metric=metric, training_seed=seed).assign(
                        weights=arm, degradation="contrast=0.5"
                    )
                )
    return pd.concat(parts, ignore_index=True)


def test_gains_costs_and_losses_are_those_of_the_table() -> None:
    one = find_hardened(table(), resamples=200)
    assert one.arms == list(ARMS)
    gain = one.gains.loc[("ladder", "sq")]
    assert gain.value == pytest.approx(0.07 * 5 - 0.02, abs=0.01)
    assert gain.lower < gain.value < gain.upper
    assert gain.p_holm < 0.001
    assert one.costs.loc[("ladder", "none")].value == pytest.approx(-0.02, abs=0.01)
    assert one.kept.value["clean", "se"] < 1 < one.kept.value["ladder", "se"]
    words = dict(verdicts(one))
    assert words["In short"].startswith("Dice on clean films is 0.9")
    assert "with noise in training (ladder" in words["In short"]
    assert words["What does not help"].startswith("significant losses are ladder: -0.100")
    assert "-0.100 [-0.100, -0.100] under contrast=0.5" in words["What does not help"]


def test_the_table_has_a_row_per_arm_and_the_square_both_trainings() -> None:
    one = find_hardened(table(), resamples=200)
    header, found = arm_table(one)
    assert [row[0] for row in found] == list(ARMS)
    assert {len(row) for row in found} == {len(header)}
    header, corners = square(one)
    assert [row[0] for row in corners] == ["clean", "ladder"]
    assert header[-1] == "re-estimated from all films"
    assert corners[0][1].startswith("s_q = 10: 0.1")


def test_trainings_are_the_spread_of_the_gain() -> None:
    shifted = table()
    better = (shifted.weights == "ladder") & (shifted.training_seed == 1)
    shifted.loc[better, "value"] += 0.1
    one = find_hardened(shifted, resamples=50)
    assert one.training_sd["ladder", "sq"] == pytest.approx(0.1 / 2**0.5, rel=0.1)
    assert one.training_sd["clean, all films", "sq"] < 0.01


def test_classifiers_are_told_by_their_first_metric() -> None:
    one = find_hardened(table("score"), resamples=100)
    assert one.metric == "auroc"
    assert all("AUROC" in sentence for _, sentence in verdicts(one)[:-1])


def test_no_loss_is_said_as_well() -> None:
    same = table()
    same = same[same.weights == "clean"]
    one = find_hardened(pd.concat([same, same.assign(weights="top")]), resamples=50)
    words = dict(verdicts(one))
    assert words["What does not help"].startswith("no arm is significantly worse")


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        ("clean, 8 films", "Trained on clean films, batch normalisation re-estimated from 8 films"),
        ("clean, denoised", "Trained on clean films, a denoiser in front"),
        ("top", "Trained with the top's noise alone"),
    ],
)
def test_arms_have_names_in_words(arm: str, words: str) -> None:
    assert arm_words(arm).startswith(words)
