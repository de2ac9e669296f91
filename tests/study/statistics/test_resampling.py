import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from tables import rows

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.statistics.performance import performance
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap


def dice(seed: int, n: int = 41) -> np.ndarray:
    return np.random.default_rng(seed).beta(8, 2, n)


def scores(seed: int, patients: int = 31, films: int = 2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = np.repeat(np.arange(patients) % 3 == 0, films).astype(float)
    return 1 / (1 + np.exp(-generator.normal(targets, 1.0))), targets


def only(frame: pd.DataFrame) -> pd.Series:
    (place,) = range(len(frame))
    return frame.iloc[place]


def test_intervals_of_means_agree_with_scipy() -> None:
    values = dice(0)
    found = only(bootstrap(rows(values, metric="dice"), resamples=999, seed=5).intervals(0.9))
    # scipy draws the same resamples from the same generator; its intervals are not widened
    widening = np.sqrt(41 / 40)
    expected = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=999,
        confidence_level=1 - 2 * stats.norm.cdf(widening * stats.t(40).ppf(0.05)),
        method="percentile",
        rng=np.random.default_rng(5),
    )
    assert found.value == pytest.approx(values.mean(), abs=1e-12)
    assert found.lower == pytest.approx(expected.confidence_interval.low, abs=1e-12)
    assert found.upper == pytest.approx(expected.confidence_interval.high, abs=1e-12)
    assert found.standard_error == pytest.approx(expected.standard_error * widening, abs=1e-12)


def test_draws_of_auroc_are_those_of_resampled_patients() -> None:
    s, y = scores(1)
    patients = np.arange(31).repeat(2)
    resampled = bootstrap(rows(s, y, patients=patients), resamples=50, seed=5)
    draws = resampled.select(metric="auroc").draws[0]
    generator = np.random.default_rng(5)
    for draw in draws:
        chosen = generator.integers(0, 31, 31)
        films = np.concatenate([2 * chosen, 2 * chosen + 1])
        assert draw == pytest.approx(roc_auc_score(y[films], s[films]), abs=1e-12)


def test_values_are_those_of_performance_averaged_over_seeds() -> None:
    table = pd.concat(
        rows(*scores(noise, films=1), noise_seed=noise, training_seed=training, cell=cell)
        for noise in range(2)
        for training in range(2)
        for cell in ((0, 0), (2, 0))
    )
    thresholds = {("task", "A", "best", training, "finding"): 0.3 for training in range(2)}
    found = bootstrap(table.sample(frac=1, random_state=0), thresholds, resamples=9).groups
    expected = performance(table, thresholds).groupby(["sq", "metric"]).value.mean()
    pd.testing.assert_series_equal(found.set_index(["sq", "metric"]).value, expected)
    assert (found.patients == 31).all()


def test_result_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    table = rows(dice(0), metric="dice")
    first, second, other = (
        bootstrap(t, resamples=20, seed=seed).draws
        for t, seed in ((table, 1), (table.sample(frac=1, random_state=0), 1), (table, 2))
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("threads", [1, 3])
def test_resamples_are_drawn_in_blocks_by_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    table = pd.concat([rows(*scores(1)), rows(dice(0), metric="dice")])
    whole = bootstrap(table, resamples=100)
    module = "cxr_noise_transforms.study.statistics.weighted_sums"
    monkeypatch.setattr(f"{module}._BLOCK", 7)
    monkeypatch.setattr(f"{module}._MANY", 1)
    monkeypatch.setattr("torch.get_num_threads", lambda: threads)
    assert np.array_equal(bootstrap(table, resamples=100).draws, whole.draws)


def test_default_number_of_resamples() -> None:
    assert bootstrap(rows(*scores(1))).draws.shape == (6, 2_000)
    assert bootstrap(rows(dice(0), metric="dice")).draws.shape == (1, 9_999)


@pytest.fixture
def two_networks() -> Resampled:
    """Networks A and B; B is worse by 0.1 with some scatter, both lose 0.2 at se = 4."""
    table = pd.concat(
        rows(
            dice(0) - 0.1 * (network == "B") - 0.05 * se + 0.02 * dice(10 * se + ord(network)),
            metric="dice",
            network=network,
            cell=(0, se),
        )
        for network in "AB"
        for se in (0, 4)
    )
    return bootstrap(table, resamples=2_000)


def test_differences_are_paired(two_networks: Resampled) -> None:
    drops = two_networks.against(sq=0, se=0)
    assert drops.groups.se.tolist() == [4, 4]
    found = drops.intervals()
    assert np.allclose(found.value, -0.2, atol=0.02)
    # the scatter between patients, far larger than that of differences, has cancelled
    assert (found.standard_error < two_networks.intervals().standard_error.min() / 5).all()
    networks = two_networks.against(network="B")
    assert networks.groups.network.tolist() == ["A", "A"]
    assert np.allclose(networks.intervals().lower, 0.1, atol=0.02)


def test_relative_differences(two_networks: Resampled) -> None:
    groups = two_networks.groups.set_index(["network", "se"]).value
    found = two_networks.against(relative=True, sq=0, se=0).groups.set_index("network").value
    for network in "AB":
        expected = groups[(network, 4)] / groups[(network, 0)] - 1
        assert found[network] == pytest.approx(expected)


def test_mean_over_networks(two_networks: Resampled) -> None:
    mean = two_networks.mean_over("network")
    assert mean.groups.network.tolist() == ["mean", "mean"]
    assert np.allclose(mean.draws[0], two_networks.select(se=0).draws.mean(axis=0))
    assert mean.groups.value[0] == pytest.approx(two_networks.select(se=0).groups.value.mean())


def test_selection(two_networks: Resampled) -> None:
    chosen = two_networks.select(network=["A", "B"], se=4)
    assert chosen.groups.network.tolist() == ["A", "B"]
    assert np.array_equal(chosen.draws, two_networks.draws[[1, 3]])
    nothing = two_networks.select(network="C")
    assert nothing.intervals().empty
    assert nothing.mean_over("network").draws.shape == (0, 2_000)


def test_a_missing_counterpart_is_named(two_networks: Resampled) -> None:
    with pytest.raises(ValueError, match=r"'network': 'C'.* must be there for .*; it is missing"):
        two_networks.against(network="C")


def test_resamples_of_one_class_have_no_auroc_and_are_counted() -> None:
    s, y = scores(1, films=1)
    y[:] = 0
    y[4] = 1
    found = bootstrap(rows(s, y), resamples=400).intervals().set_index("metric")
    # a patient is in a resample with probability 1 - (1 - 1/P)^P
    expected = stats.binom(400, 1 - (30 / 31) ** 31)
    assert abs(found.resamples["auroc"] - expected.mean()) < 5 * expected.std()
    assert found.lower["auroc"] <= found.value["auroc"] <= found.upper["auroc"]
    assert found.resamples["brier"] == 400


def test_images_without_a_value_are_left_out() -> None:
    values = dice(0)
    values[::2] = np.nan
    found = only(bootstrap(rows(values, metric="dice"), resamples=99).intervals())
    assert found.value == pytest.approx(np.nanmean(values))
    assert found.patients == 20
    nothing = only(bootstrap(rows(values * np.nan, metric="dice"), resamples=99).intervals())
    assert nothing.patients == 0
    assert np.isnan([nothing.value, nothing.lower, nothing.upper]).all()


def test_films_without_a_label_are_left_out() -> None:
    s, y = scores(1, films=1)
    known = np.arange(len(s)) % 4 > 0
    missing = bootstrap(rows(s, np.where(known, y, np.nan)), resamples=50).groups
    fewer = performance(rows(s[known], y[known]))
    pd.testing.assert_series_equal(missing.value, fewer.value)
    pd.testing.assert_series_equal(missing.chance, fewer.chance)
    assert (missing.patients == known.sum()).all()


def test_a_label_of_one_class_has_what_is_defined() -> None:
    s, y = scores(1)
    found = bootstrap(rows(s, 1 + 0 * y), resamples=50).intervals().set_index("metric")
    assert found.index[found.value.isna()].tolist() == ["auprc", "auroc"]
    assert (found.lower <= found.value)[found.value.notna()].all()


def test_one_patient_has_values_and_no_intervals() -> None:
    found = bootstrap(rows(dice(0), metric="dice").assign(patient="same"), resamples=9).intervals()
    assert found.value.item() == pytest.approx(dice(0).mean())
    assert found[["lower", "upper", "standard_error"]].isna().all(axis=None)


def test_cells_of_other_images_have_their_own_mean() -> None:
    clean, noisy = dice(0), dice(1)
    table = pd.concat([rows(clean, metric="dice"), rows(noisy, metric="dice", cell=(2, 0))[1:]])
    found = bootstrap(table, resamples=9).groups.set_index("sq")
    assert found.value[2] == pytest.approx(noisy[1:].mean())
    assert found.patients.tolist() == [41, 40]


def test_a_mean_is_over_all_that_have_the_metric(two_networks: Resampled) -> None:
    s, y = scores(1, films=1)
    table = pd.concat([rows(s, y), rows(s, 1 + 0 * y, label="always")])
    resampled = bootstrap(table, resamples=20)
    mean = resampled.mean_over("label").groups.set_index("metric")
    alone = resampled.groups.set_index(["label", "metric"])
    # a label of one class has no part in the mean of AUROC, nor one of two in that of the truth
    assert mean.value["auroc"] == alone.value["finding", "auroc"]
    assert mean.value["truth"] == alone.value["always", "truth"]
    assert mean.value["brier"] == pytest.approx(alone.value[:, "brier"].mean())
    # of a cell that one network lacks there is no mean
    fewer = two_networks.take(np.array([0, 1, 2])).mean_over("network")
    assert fewer.groups.value.notna().tolist() == [True, False]
    assert np.isnan(fewer.draws).all(axis=1).tolist() == [False, True]


def test_completed_has_every_network_in_every_cell(two_networks: Resampled) -> None:
    whole = two_networks.take(np.array([1, 2])).completed()
    found = whole.groups.set_index(["network", "se"])
    assert found.index.tolist() == [("A", 0), ("A", 4), ("B", 0), ("B", 4)]
    assert found.value.notna().tolist() == [False, True, True, False]
    assert found.patients.tolist() == [0, 41, 41, 0]
    assert np.array_equal(whole.draws[1:3], two_networks.draws[1:3])
    assert np.isnan(whole.draws[[0, 3]]).all()
    assert two_networks.completed().groups.equals(two_networks.groups)


def test_nothing_is_relative_to_nothing() -> None:
    table = pd.concat([rows(0 * dice(0), metric="dice"), rows(dice(0), metric="dice", cell=(0, 4))])
    found = bootstrap(table, resamples=9).against(relative=True, sq=0, se=0)
    assert np.isnan(found.groups.value).all()
    assert np.isnan(found.draws).all()


def test_level_is_checked() -> None:
    with pytest.raises(ValueError, match="level must be between 0 and 1, got 95"):
        bootstrap(rows(dice(0), metric="dice"), resamples=9).intervals(95)


def test_a_sweep_of_a_hundred_films_takes_seconds() -> None:
    one = rows(*scores(1, 100, 1))
    table = pd.concat(
        one.assign(network=f"n{n}", sq=sq, se=se, noise_seed=seed)
        for n in range(3)
        for sq, se in LADDER
        for seed in range(3)
    )
    start = time.process_time()
    assert bootstrap(table, resamples=2_000).draws.shape == (3 * 14 * 6, 2_000)
    assert time.process_time() - start < 30
