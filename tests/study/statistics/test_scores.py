import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)
from tables import scores

from cxr_noise_transforms.study.statistics.metrics import METRICS, OF_SCORES, constant_answer
from cxr_noise_transforms.study.statistics.scores import best_threshold, score_metrics


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
            "accuracy": accuracy_score(y, s >= 0.5, sample_weight=w),
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


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_a_label_of_one_class_has_what_is_defined(target: float) -> None:
    s, _ = scores(0)
    y = np.full(len(s), target)
    found = {name: value.item() for name, value in score_metrics(s, y, threshold=0.3).items()}
    assert found["brier"] == pytest.approx(brier_score_loss(y, s, labels=[0, 1]))
    assert found["ece"] == pytest.approx(calibration_error(s, y))
    assert found["truth"] == pytest.approx(s.mean() if target else 1 - s.mean())
    ranked = {"auroc", "auprc"} if target else {"auroc", "auprc", "f1", "f1_val"}
    assert {name for name, value in found.items() if np.isnan(value)} == ranked
    if target:
        assert found["f1"] == pytest.approx(f1_score(y, s >= 0.5))
        assert found["f1_val"] == pytest.approx(f1_score(y, s >= 0.3))


def calibration_error(s: np.ndarray, y: np.ndarray) -> float:
    """Over 15 bins, one after the other."""
    places = np.searchsorted(np.linspace(0, 1, 16)[1:-1], s)
    return sum(abs((y - s)[places == place].sum()) for place in range(15)) / len(s)


def test_no_images_have_no_metrics() -> None:
    nothing = np.empty(0)
    for weights in (None, np.empty((0, 3))):
        found = score_metrics(nothing, nothing, weights, threshold=0.5)
        assert all(np.isnan(value).all() for value in found.values())
        assert {len(value) for value in found.values()} == {1 if weights is None else 3}


def test_without_a_threshold_there_is_no_f1_at_it() -> None:
    assert np.isnan(score_metrics(*scores(0), threshold=np.nan)["f1_val"]).all()


def test_names_of_what_scores_become() -> None:
    one, both = np.ones(3), np.array([0.0, 1.0, 1.0])
    names = {*score_metrics(one, one, threshold=0.5), *score_metrics(one, both)}
    assert names == OF_SCORES
    assert METRICS.keys() > OF_SCORES


@given(st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_a_constant_answer_gets_what_is_said(positive: int, negative: int) -> None:
    y = np.repeat([1.0, 0.0], [positive, negative])
    found = score_metrics(np.full(len(y), 0.5), y, threshold=0.5)
    p = y.mean()
    for name in ("auroc", "auprc", "f1", "f1_val"):
        assert constant_answer(name, p) == pytest.approx(found[name].item()), name
    # no other constant has a higher F1
    assert score_metrics(np.zeros(len(y)), y)["f1"].item() == 0
    assert constant_answer("dice") == constant_answer("own") == 0
    assert np.isnan([constant_answer(name, p) for name in ("brier", "ece")]).all()


def test_a_constant_answer_on_the_papers_pairs() -> None:
    # shares of the second finding among films with one label, from the official table
    for share, f1 in ((0.929, 0.963), (0.608, 0.756), (0.137, 0.241)):
        assert round(constant_answer("f1", share), 3) == f1
