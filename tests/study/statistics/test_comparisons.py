import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tables import rows, scores

from cxr_noise_transforms.study.statistics.comparisons import (
    holm,
    monotonicity,
    network_tests,
    paired_tests,
    recovery,
)
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap

SE = (0, 2, 4, 6, 8, 10)


def sweep(
    means: dict[float, float],
    seed: int = 0,
    *,
    metric: str = "dice",
    network: str = "A",
    films: int = 2,
) -> pd.DataFrame:
    """An electronic axis: 40 patients with as many films each."""
    owners = np.arange(40).repeat(films)
    noise = scatter(np.random.default_rng([seed, ord(network)]), len(means), films)
    return pd.concat(
        rows(mean + noise[:, n], metric=metric, network=network, cell=(0, se), patients=owners)
        for n, (se, mean) in enumerate(means.items())
    )


def scatter(generator: np.random.Generator, cells: int, films: int = 2) -> np.ndarray:
    """``(images, cells)``: films of a patient are alike, also in how noise changes them."""

    def effect(scale: float, *shape: int) -> np.ndarray:
        per_patient = generator.normal(0, scale, (40, *shape)).repeat(films, axis=0)
        return per_patient + generator.normal(0, scale / 3, (40 * films, *shape))

    return effect(0.1, 1) + effect(0.05, cells)


def flat(seed: int) -> pd.DataFrame:
    return sweep(dict.fromkeys(SE, 0.5), seed)


def test_holms_example() -> None:
    # the adjusted values of R's p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
    assert np.allclose(
        holm(np.array([0.01, 0.02, 0.03, 0.04, 0.05])), [0.05, 0.08, 0.09, 0.09, 0.09]
    )
    assert np.allclose(holm(np.array([0.9, 0.001, 0.6])), [1, 0.003, 1])
    assert np.allclose(holm(np.array([0.02, np.nan, 0.01])), [0.02, np.nan, 0.02], equal_nan=True)
    assert holm(np.array([])).size == 0


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_tests_of_means_agree_with_the_paired_t_test(alternative: str) -> None:
    table = sweep({0: 0.5, 4: 0.48}, films=1)
    found = paired_tests(bootstrap(table).against(sq=0, se=0), alternative).iloc[0]
    clean, noisy = (table[table.se == se].value for se in (0, 4))
    expected = stats.ttest_rel(noisy, clean, alternative=alternative)
    # the standard error of 9,999 resamples has a relative error of 1 / sqrt(2 * 9,999)
    t = found.value / found.standard_error
    assert t == pytest.approx(expected.statistic, rel=5 / np.sqrt(2 * 9_999))
    nearby = [expected.statistic * (1 + d) for d in (-0.04, 0.04)]
    tails = {"two-sided": lambda t: 2 * stats.t.sf(np.abs(t), 39), "greater": None, "less": None}
    tail = tails[alternative] or (lambda t: stats.t(39).sf(t if alternative == "greater" else -t))
    assert min(map(tail, nearby)) <= found.p <= max(map(tail, nearby))


def test_families_are_adjusted_apart() -> None:
    table = pd.concat(
        sweep({0: 0.5, 2: 0.49, 4: 0.48}, seed, metric=metric)
        for seed, metric in enumerate(("dice", "iou"))
    )
    found = paired_tests(bootstrap(table, resamples=500).against(sq=0, se=0))
    for _, family in found.groupby("metric"):
        assert len(family) == 2
        assert np.allclose(family.p_holm, holm(family.p.to_numpy()))
    together = paired_tests(bootstrap(table, resamples=500).against(sq=0, se=0), family=["task"])
    assert np.allclose(together.p_holm, holm(together.p.to_numpy()))
    assert (together.p_holm >= found.p_holm).all()


def test_equal_cells_are_no_evidence() -> None:
    table = pd.concat([sweep({0: 0.5}), sweep({0: 0.5}).assign(se=2.0)])
    differences = bootstrap(table, resamples=99).against(sq=0, se=0)
    assert paired_tests(differences).p.tolist() == [1]
    assert paired_tests(differences, "greater").p.tolist() == [0.5]
    with pytest.raises(ValueError, match="alternative must be two-sided, greater or less, got up"):
        paired_tests(differences, "up")  # type: ignore[arg-type]


def networks(metric: str, rise: float) -> Resampled:
    table = pd.concat(
        sweep({0: 0.8, 6: 0.4, 8: 0.4 + rise}, metric=metric, network=network) for network in "AB"
    )
    return bootstrap(table, resamples=999)


def test_recovery_is_found_for_every_network_and_their_mean() -> None:
    found = recovery(networks("dice", 0.1), "dice")
    assert found.network.tolist() == ["A", "B", "mean"]
    assert np.allclose(found.value, 0.1, atol=0.04)
    assert (found.lower > 0).all()
    assert (found.p_holm < 0.001).all()
    fall = recovery(networks("dice", -0.1), "dice")
    assert (fall.p > 0.999).all()
    assert (fall.upper < 0).all()


def test_recovery_of_an_error_is_its_fall() -> None:
    found = recovery(networks("surface_distance", -0.1), "surface_distance")
    assert np.allclose(found.value, 0.1, atol=0.04)
    assert (found.p < 0.001).all()


def test_recovery_of_auroc() -> None:
    generator = np.random.default_rng(3)
    targets = (np.arange(200) % 2).astype(float)
    table = pd.concat(
        rows(stats.norm.cdf(generator.normal(effect * targets)), targets, cell=(0, se))
        for se, effect in ((6, 0.2), (8, 2.0))
    )
    found = recovery(bootstrap(table, resamples=999), "auroc").iloc[0]
    assert found.p < 1e-6
    assert found.lower > 0


def test_recovery_needs_its_cells() -> None:
    resampled = bootstrap(sweep({0: 0.8, 6: 0.4}), resamples=9)
    with pytest.raises(ValueError, match=r"must have the cells \(0, 6\) and \(0, 8\)"):
        recovery(resampled, "dice")
    with pytest.raises(ValueError, match=r"must be there for .*; it is missing"):
        recovery(resampled, "dice", milder=(0, 4))
    with pytest.raises(ValueError, match="metric iou must have the cells"):
        recovery(resampled, "iou")


def test_largest_rise_of_each_curve() -> None:
    quantum = sweep({0: 0.8, 2: 0.7, 4: 0.6}, 9).query("se > 0")
    quantum = quantum.rename(columns={"sq": "se", "se": "sq"})
    means = {0: 0.8, 2: 0.6, 4: 0.5, 6: 0.4, 8: 0.5, 10: 0.3}
    table = pd.concat([sweep(means), quantum])
    (found,) = monotonicity(bootstrap(table, resamples=999)).itertuples()
    assert (found.axis, found.milder, found.harder) == ("se", 6, 8)
    assert 0 < found.lower < 0.1 < found.upper
    assert found.p_any == found.p_holm == pytest.approx(7 * found.p)
    assert found.p_holm < 0.001


def test_a_falling_curve_has_no_rise() -> None:
    falling = pd.concat(
        sweep({se: 0.8 - 0.05 * se for se in SE}, network=network) for network in "AB"
    )
    found = monotonicity(bootstrap(falling, resamples=99))
    assert found.network.tolist() == ["A", "B", "mean"]
    assert (found.value < 0).all()
    assert (found.upper < 0).all()
    assert (found.p_any == 1).all()


def test_curves_without_values_are_left_out() -> None:
    empty = sweep(dict.fromkeys(SE, np.nan)).assign(label="absent")
    found = monotonicity(bootstrap(pd.concat([flat(0), empty]), resamples=99))
    assert found.label.tolist() == ["finding"]


def test_a_curve_needs_two_cells() -> None:
    with pytest.raises(ValueError, match="an axis must have at least two cells, got one"):
        monotonicity(bootstrap(sweep({0: 0.5}), resamples=9))


def rejections(studies: int, *, alone: bool = False) -> dict[str, int]:
    """How often a curve that is flat in truth passes for one with a rise, at 5 %.

    Ten tasks are ten studies. With ``alone`` every film passes for a patient of its own.
    """
    found = {"recovery": 0, "monotonicity": 0, "interval": 0}
    table = pd.concat(flat(0).assign(task=f"study{n}") for n in range(10))
    if alone:
        table["patient"] = table.image
    generator = np.random.default_rng(11)
    for seed in range(studies // 10):
        table["value"] = np.concatenate([scatter(generator, len(SE)).T for _ in range(10)]).ravel()
        resampled = bootstrap(table, resamples=500, seed=seed)
        steps = monotonicity(resampled)
        found["recovery"] += (recovery(resampled, "dice").p < 0.05).sum()
        found["monotonicity"] += (steps.p_any < 0.05).sum()
        found["interval"] += (steps.lower > 0).sum()
    return found


@pytest.mark.slow
def test_false_recoveries_are_as_rare_as_promised() -> None:
    studies = 300
    lowest, highest = stats.binom.interval(0.999, studies, 0.05)
    found = rejections(studies)
    assert lowest <= found["recovery"] <= highest
    # no rise passes for real in more than 5 % of flat curves, whichever step is the largest
    assert found["monotonicity"] <= highest
    assert found["interval"] <= stats.binom.isf(0.0005, studies, 0.025)


def test_films_as_patients_would_find_recoveries_that_are_not_there() -> None:
    studies = 120
    highest = stats.binom.isf(0.0005, studies, 0.05)
    found = rejections(studies, alone=True)
    assert found["recovery"] > highest or found["monotonicity"] > highest


def classifiers() -> pd.DataFrame:
    """Two labels; B knows more than A, and C is A."""
    parts = []
    for place, label in enumerate(("Edema", "Consolidation")):
        s, y = scores(place, 200)
        better = 0.5 * s + 0.5 * y
        for name, score in (("A", s), ("B", better), ("C", s)):
            parts.append(rows(score, y, network=name, label=label))
    return pd.concat(parts, ignore_index=True)


def test_networks_are_compared_with_one_of_them() -> None:
    resampled = bootstrap(classifiers(), resamples=400)
    found = network_tests(resampled, "accuracy", "A").set_index(["network", "label"])
    assert len(found) == 3 * 3
    assert found.loc["A"][["difference", "p", "p_holm"]].isna().all(axis=None)
    assert (found.loc["C"].difference == 0).all()
    assert (found.loc["C"].p == 1).all()
    for network in ("A", "B", "C"):
        each = found.loc[network].value
        assert each["mean"] == pytest.approx(each[["Edema", "Consolidation"]].mean())
    np.testing.assert_allclose(
        found.loc["B"].difference, found.loc["B"].value - found.loc["A"].value
    )
    assert (found.loc["B"].p_holm < 0.05).all()


def test_a_difference_of_accuracy_is_a_paired_mean() -> None:
    table = classifiers()
    resamples = 2000
    found = network_tests(bootstrap(table, resamples=resamples), "accuracy", "A")
    right = ((table.value >= 0.5) == table.target).groupby([table.network, table.label])
    differences = right.get_group(("B", "Edema")).astype(float).to_numpy() - right.get_group(
        ("A", "Edema")
    )
    row = found[(found.network == "B") & (found.label == "Edema")].iloc[0]
    assert row.difference == pytest.approx(differences.mean())
    error = differences.std(ddof=1) / len(differences) ** 0.5
    width = row.difference_upper - row.difference_lower
    normal = 2 * stats.norm.isf(0.025) * error
    # of a quantile's own standard error, both ends
    spread = np.sqrt(2 * 0.025 * 0.975 / resamples) / stats.norm.pdf(stats.norm.isf(0.025)) * error
    assert abs(width - normal) < 5 * spread + 1 / len(differences)


def test_a_reference_that_is_not_there_is_refused() -> None:
    resampled = bootstrap(classifiers(), resamples=10)
    with pytest.raises(ValueError, match="reference must be a network with a clean auroc, got 'D'"):
        network_tests(resampled, "auroc", "D")
