import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score
from tables import rows, scores

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.statistics.performance import (
    performance,
    seed_spread,
    validation_thresholds,
)
from cxr_noise_transforms.study.statistics.scores import best_threshold


def value(perf: pd.DataFrame, metric: str) -> float:
    (found,) = perf[perf.metric == metric].value
    return float(found)


def test_performance_of_scores() -> None:
    (s, y), (noisy, _) = scores(1), scores(2)
    table = pd.concat([rows(s, y), rows(noisy, y, cell=(2, 0))]).sample(frac=1, random_state=0)
    perf = performance(table)
    assert set(perf.metric) == {"auroc", "auprc", "f1", "accuracy", "brier", "ece"}
    clean = perf[perf.sq == 0]
    assert value(clean, "auroc") == pytest.approx(roc_auc_score(y, s))
    assert value(perf[perf.sq == 2], "auroc") == pytest.approx(roc_auc_score(y, noisy))
    assert (perf.n == len(s)).all()
    chance = clean.set_index("metric").chance
    assert chance["auroc"] == 0.5
    assert chance["auprc"] == pytest.approx(y.mean())
    assert chance["f1"] == pytest.approx(2 * y.mean() / (1 + y.mean()))
    assert chance[["brier", "ece"]].isna().all()


def test_images_without_a_value_are_left_out_and_counted() -> None:
    perf = performance(rows(np.array([0.5, np.nan, 0.9]), metric="dice"))
    assert value(perf, "dice") == pytest.approx(0.7)
    assert perf.n.tolist() == [2]
    assert perf.chance.tolist() == [0]
    nothing = performance(rows(np.array([np.nan]), metric="dice"))
    assert nothing.n.tolist() == [0]
    assert nothing.value.isna().all()


def test_metrics_of_images_and_scores_in_one_table() -> None:
    s, y = scores(1)
    table = pd.concat([rows(s, y), rows(s, metric="dice"), rows(s, metric="surface_distance")])
    perf = performance(table)
    assert list(perf.metric) == sorted(perf.metric)
    assert value(perf, "dice") == pytest.approx(s.mean())
    assert perf.set_index("metric").chance[["surface_distance"]].isna().all()


def test_f1_at_a_threshold_from_clean_validation_films() -> None:
    validation, test = scores(4), scores(5)
    noisy = rows(*scores(6), cell=(0, 4))
    thresholds = validation_thresholds(pd.concat([noisy, rows(*validation)]))
    key = ("task", "A", "best", 0, "finding")
    assert thresholds == {key: best_threshold(*validation)}
    expected = f1_score(test[1], test[0] >= thresholds[key])
    assert value(performance(rows(*test), thresholds), "f1_val") == pytest.approx(expected)
    frame = pd.Series(thresholds)
    pd.testing.assert_frame_equal(
        performance(rows(*test), frame), performance(rows(*test), thresholds)
    )
    with pytest.raises(ValueError, match=r"thresholds must have .*'B'.*; it is missing"):
        performance(rows(*test, network="B"), thresholds)


def test_films_without_a_label_are_left_out_of_its_metrics() -> None:
    s, y = scores(1)
    known = np.arange(len(s)) % 3 > 0
    table = rows(s, np.where(known, y, np.nan))
    other = rows(s, y, label="other")
    perf = performance(pd.concat([table, other]))
    expected = performance(rows(s[known], y[known]))
    left = perf[perf.label == "finding"].reset_index(drop=True)
    pd.testing.assert_frame_equal(left, expected)
    assert (left.n == known.sum()).all()
    assert (perf[perf.label == "other"].n == len(s)).all()
    threshold = validation_thresholds(table)
    assert threshold == validation_thresholds(rows(s[known], y[known]))


def test_labels_without_both_classes_have_what_is_defined() -> None:
    s, y = scores(1)
    table = pd.concat(
        rows(s, target, label=name)
        for name, target in (("all", 1 + 0 * y), ("none", 0 * y), ("unknown", np.nan * y))
    )
    value = performance(table).set_index(["label", "metric"]).value
    assert value["all", "truth"] == pytest.approx(s.mean())
    assert value["none", "truth"] == pytest.approx(1 - s.mean())
    assert value[["all"]].isna().sum() == 2
    assert value[["unknown"]].isna().all()
    thresholds = validation_thresholds(table)
    missing = {key[-1] for key, cut in thresholds.items() if np.isnan(cut)}
    assert missing == {"none", "unknown"}
    at_cut = performance(table, thresholds).query("metric == 'f1_val'").set_index("label").value
    assert at_cut["all"] == 1
    assert at_cut[["none", "unknown"]].isna().all()


def test_spread_over_noise_seeds_and_over_trainings_are_apart() -> None:
    noise, training = np.array([0.0, 0.01, 0.05]), np.array([0.0, 0.2])
    table = pd.concat(
        rows(np.array([0.5 + n + t]), metric="dice", noise_seed=i, training_seed=j)
        for i, n in enumerate(noise)
        for j, t in enumerate(training)
    )
    (spread,) = seed_spread(performance(table)).itertuples()
    assert spread.value == pytest.approx(0.62)
    assert spread.noise_sd == pytest.approx(noise.std(ddof=1))
    assert spread.training_sd == pytest.approx(training.std(ddof=1))
    assert (spread.noise_seeds, spread.training_seeds) == (3, 2)
    alone = seed_spread(performance(rows(np.array([0.5]), metric="dice")))
    assert alone[["noise_sd", "training_sd"]].isna().all(axis=None)


def test_a_large_sweep_takes_seconds() -> None:
    s, y = scores(7, 5_000)
    one = rows(s, y)
    table = pd.concat(
        [
            one.assign(network=f"n{n}", sq=sq, se=se, noise_seed=seed)
            for n in range(2)
            for sq, se in LADDER
            for seed in range(3)
        ],
        ignore_index=True,
    )
    start = time.process_time()
    assert len(performance(table)) == 2 * 14 * 3 * 6
    # 420,000 rows; a loop over rows would take a minute
    assert time.process_time() - start < 10
