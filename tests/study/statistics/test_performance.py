import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)
from tables import rows

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.statistics.performance import (
    best_threshold,
    performance,
    score_metrics,
    seed_spread,
    validation_thresholds,
)


def scores(seed: int, n: int = 60, decimals: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Scores, with many ties where few decimals are kept, and both classes."""
    generator = np.random.default_rng(seed)
    targets = (generator.random(n) < 0.4).astype(float)
    targets[:2] = 0, 1
    logits = generator.normal(targets, 1.0)
    return np.round(1 / (1 + np.exp(-logits)), decimals), targets


def value(perf: pd.DataFrame, metric: str) -> float:
    (found,) = perf[perf.metric == metric].value
    return float(found)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 15]), st.integers(2, 80))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_weighted_metrics_agree_with_scikit_learn(seed: int, decimals: int, n: int) -> None:
    s, y = scores(seed, n, decimals)
    # as in resamples: whole numbers, many of them 0; and any other weights
    generator = np.random.default_rng(seed)
    weights = np.stack([generator.poisson(1, n), generator.random(n), np.ones(n)], axis=1)
    weights[:2] += 1
    found = score_metrics(s, y, weights, threshold=0.3)
    for column, w in enumerate(weights.T):
        expected = {
            "auroc": roc_auc_score(y, s, sample_weight=w),
            "auprc": average_precision_score(y, s, sample_weight=w),
            "f1": f1_score(y, s >= 0.5, sample_weight=w),
            "f1_val": f1_score(y, s >= 0.3, sample_weight=w),
            "brier": brier_score_loss(y, s, sample_weight=w),
        }
        for metric, number in expected.items():
            assert found[metric][column] == pytest.approx(number, abs=1e-12), metric


def test_a_single_class_has_no_auroc() -> None:
    s, y = scores(0)
    found = score_metrics(s, y, np.stack([y, 1 - y], axis=1))
    assert np.isnan(found["auroc"]).all()
    assert found["auprc"][0] == 1
    assert np.isnan(found["auprc"][1])


@pytest.mark.parametrize("decimals", [1, 2, 15])
def test_calibration_error_agrees_with_scikit_learns_curve(decimals: int) -> None:
    s, y = scores(3, 400, decimals)
    s[:4] = 0, 1, 1 / 15, 14 / 15
    edges = np.linspace(0, 1, 16)
    observed, predicted = calibration_curve(y, s, n_bins=15)
    counts = np.bincount(np.searchsorted(edges[1:-1], s))
    expected = np.abs(observed - predicted) @ counts[counts > 0] / len(s)
    assert score_metrics(s, y)["ece"].item() == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 15]))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_best_threshold_agrees_with_scikit_learn(seed: int, decimals: int) -> None:
    s, y = scores(seed, decimals=decimals)
    precision, recall, cuts = precision_recall_curve(y, s)
    total = np.maximum(precision + recall, 1e-300)
    f1 = (2 * precision * recall / total)[:-1]
    # the lowest of the best, up to rounding
    assert best_threshold(s, y) == cuts[f1 > f1.max() - 1e-12].min()
    assert f1_score(y, s >= best_threshold(s, y)) == pytest.approx(f1.max(), abs=1e-12)


def test_threshold_needs_a_positive() -> None:
    with pytest.raises(ValueError, match="targets must hold a 1 for a threshold, got none"):
        best_threshold(np.array([0.1, 0.9]), np.zeros(2))


def test_performance_of_scores() -> None:
    (s, y), (noisy, _) = scores(1), scores(2)
    table = pd.concat([rows(s, y), rows(noisy, y, cell=(2, 0))]).sample(frac=1, random_state=0)
    perf = performance(table)
    assert set(perf.metric) == {"auroc", "auprc", "f1", "brier", "ece"}
    clean = perf[perf.sq == 0]
    assert value(clean, "auroc") == pytest.approx(roc_auc_score(y, s))
    assert value(perf[perf.sq == 2], "auroc") == pytest.approx(roc_auc_score(y, noisy))
    assert (perf.n == len(s)).all()
    chance = clean.set_index("metric").chance
    assert chance["auroc"] == 0.5
    assert chance["auprc"] == pytest.approx(y.mean())
    assert chance["f1"] == 0
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


def test_refusals() -> None:
    s, y = scores(1)
    s[3] = np.nan
    with pytest.raises(
        ValueError,
        match=r"value of a score must be from 0 to 1, got nan for image image0003, .*network B",
    ):
        performance(rows(s, y, network="B"))
    s[3], y[4] = 0.5, np.nan
    with pytest.raises(ValueError, match=r"target of a score must be 0 or 1, got nan .*image0004"):
        performance(rows(s, y))
    with pytest.raises(
        ValueError, match=r"label finding at sq=2, se=0 .* must hold both 0 and 1, got 1 only"
    ):
        performance(rows(s, np.ones(len(s)), cell=(2, 0)))
    with pytest.raises(ValueError, match="columns patient, target; they are missing"):
        performance(rows(s, metric="dice").drop(columns=["patient", "target"]))
    with pytest.raises(ValueError, match="column weights must have a value in every row"):
        performance(rows(s, metric="dice").assign(weights=None))


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
    assert len(performance(table)) == 2 * 14 * 3 * 5
    # 420,000 rows; a loop over rows would take a minute
    assert time.process_time() - start < 10
