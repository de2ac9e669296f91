"""Groups of films on the same resamples of all patients."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tables import rows, scores

from cxr_noise_transforms.study.statistics.resampling import bootstrap
from cxr_noise_transforms.study.statistics.subgroups import Subgroups, subgroups

CELL = ["sq", "se", "metric"]
RESAMPLES = 9_999


def sweep(
    groups: np.ndarray, patients: np.ndarray | None = None, seed: int = 0, gap: float = 0.0
) -> pd.DataFrame:
    """Dice of films in three cells; the group "B" loses more by ``gap`` at sq = 4."""
    generator = np.random.default_rng(seed)
    owners = np.arange(len(groups)) if patients is None else patients
    film = generator.normal(0, 0.1, owners.max() + 1)[owners]
    film = film + generator.normal(0, 0.03, len(groups))
    return pd.concat(
        rows(
            mean - gap * (sq > 0) * (groups == "B") + film + generator.normal(0, 0.05, len(groups)),
            metric="dice", cell=(sq, se), patients=owners,
        ).assign(sex=groups)
        for (sq, se), mean in {(0, 0): 0.8, (4, 0): 0.6, (0, 4): 0.5}.items()
    )  # fmt: skip


AB = np.where(np.arange(70) % 7 < 3, "A", "B")


def by_cell(found: pd.DataFrame) -> pd.DataFrame:
    return found.set_index(["group", *CELL]).sort_index()


def test_each_groups_curve_is_that_of_its_films() -> None:
    found = by_cell(subgroups(sweep(AB), "sex", resamples=99).levels())
    for name in "AB":
        alone = bootstrap(sweep(AB).query(f"sex == '{name}'"), resamples=1).groups
        expected = alone.set_index(CELL).sort_index()
        assert np.allclose(found.loc[name].value, expected.value)
        assert (found.loc[name].patients == expected.patients).all()


def test_a_single_group_is_the_whole_table() -> None:
    target = scores(1)[1]
    table = pd.concat([rows(scores(seed)[0], target, cell=(seed, 0)) for seed in (0, 1)])
    table = pd.concat([table, rows(np.linspace(0, 1, 60), metric="dice")])
    one = subgroups(table.assign(sex="all"), "sex", resamples=200)
    whole = bootstrap(table, resamples=200).completed()
    expected = whole.intervals().drop(columns="degradation")
    pd.testing.assert_frame_equal(one.levels().drop(columns="group"), expected)
    assert one.reference == "all"
    for nothing in (one.differences(), one.differences_of_changes()):
        assert nothing.empty
        assert {"group", "value", "p_holm", "reference_patients"} <= set(nothing)


def test_differences_of_unrelated_patients_are_welchs() -> None:
    table = sweep(AB, gap=0.05)
    found = subgroups(table, "sex", reference="B", resamples=RESAMPLES)
    wide = table.pivot_table("value", ["image", "sex"], ["sq", "se"]).reset_index("sex")
    clean = wide[0.0, 0.0]
    for tests, values in (
        (found.differences(), {cell: wide[cell] for cell in ((0, 0), (4, 0), (0, 4))}),
        (found.differences_of_changes(), {c: wide[c] - clean for c in ((4, 0), (0, 4))}),
    ):
        assert len(tests) == len(values)
        for row in tests.itertuples():
            a, b = (values[row.sq, row.se][wide.sex == name] for name in "AB")
            expected = stats.ttest_ind(a, b, equal_var=False)
            assert row.value == pytest.approx(a.mean() - b.mean())
            t = row.value / row.standard_error
            # of 9,999 resamples, and of groups whose sizes vary among them
            error = 5 / np.sqrt(2 * RESAMPLES) + 1 / 30
            assert t == pytest.approx(expected.statistic, rel=error)
            nearby = expected.statistic * np.array([1 - error, 1 + error])
            low, high = sorted(2 * stats.t.sf(np.abs(nearby), expected.df))
            assert low * 0.98 <= row.p <= high * 1.02
            assert (row.patients, row.reference_patients) == (30, 40)


def test_differences_within_patients_are_paired() -> None:
    """Everybody has a film of both views: the difference is that of a paired t-test."""
    owners = np.arange(40).repeat(2)
    views = np.tile(["PA", "lateral"], 40)
    table = sweep(views, owners)
    found = subgroups(table, "sex", reference="PA", resamples=RESAMPLES)
    assert found.shared == {"PA", "lateral"}
    row = found.select(sq=0, se=0).differences().iloc[0]
    clean = table[(table.sq == 0) & (table.se == 0)]
    values = [clean[clean.sex == view].sort_values("patient").value for view in ("lateral", "PA")]
    expected = stats.ttest_rel(*(one.to_numpy() for one in values))
    t = row.value / row.standard_error
    assert t == pytest.approx(expected.statistic, rel=5 / np.sqrt(2 * RESAMPLES))
    # apart, as if they were of other patients, it would be far less certain
    unpaired = stats.ttest_ind(*values, equal_var=False)
    assert abs(t) > 1.5 * abs(unpaired.statistic)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 30))
def test_groups_with_their_names_changed_round_are_mirrored(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.choice(["A", "B"], size)
    groups[:4] = "A", "B", "A", "B"
    table = sweep(groups, seed=seed)
    one = subgroups(table, "sex", reference="B", resamples=50)
    renamed = {"A": "B", "B": "A"}
    other = subgroups(table.assign(sex=table.sex.map(renamed)), "sex", reference="A", resamples=50)
    for first, second in (
        (one.levels(), other.levels().assign(group=lambda rows: rows.group.map(renamed))),
        (one.changes(), other.changes().assign(group=lambda rows: rows.group.map(renamed))),
    ):
        pd.testing.assert_frame_equal(by_cell(first), by_cell(second))
    turned = subgroups(table, "sex", reference="A", resamples=50)
    for tests, back in (
        (one.differences(), turned.differences()),
        (one.differences_of_changes(), turned.differences_of_changes()),
    ):
        assert np.allclose(tests.value, -back.value)
        assert np.allclose(tests.lower, -back.upper)
        assert np.allclose(tests.upper, -back.lower)
        assert np.allclose(tests.p, back.p)


def test_the_difference_of_changes_is_the_change_of_the_difference() -> None:
    found = subgroups(sweep(AB, gap=0.1), "sex", reference="A", resamples=50)
    more = found.differences_of_changes().set_index(["sq", "se"]).value
    differences = found.differences().set_index(["sq", "se"]).value
    assert np.allclose(more, differences[more.index] - differences[0, 0])
    changes = found.changes().set_index(["group", "sq", "se"]).value
    assert np.allclose(more, changes["B"] - changes["A"])
    assert more[4, 0] == pytest.approx(-0.1, abs=0.05)


def test_networks_and_labels_are_averaged() -> None:
    parts = [sweep(AB, seed=n).assign(network=f"N{n}", label=f"L{n % 2}") for n in range(2)]
    parts += [part.assign(label=f"L{n}", value=part.value / 2)
              for part, n in zip(parts, (1, 0), strict=True)]  # fmt: skip
    every = subgroups(pd.concat(parts), "sex", resamples=50)
    mean = every.mean_over("label").mean_over("network")
    cell = ["group", "sq", "se"]
    expected = every.levels().groupby(cell).value.mean()
    assert np.allclose(mean.levels().set_index(cell).value[expected.index], expected)
    assert len(mean.differences()) == 3
    assert len(every.differences()) == 3 * 4


def test_families_are_cells_and_groups_of_a_metric() -> None:
    three = np.array(["A", "B", "C"] * 20)
    table = pd.concat([sweep(three), sweep(three, seed=1).assign(metric="iou")])
    found = subgroups(table, "sex", reference="A", resamples=200).differences()
    for _, family in found.groupby("metric"):
        assert len(family) == 6
        assert family.p_holm.min() == pytest.approx(min(1, 6 * family.p.min()))


# what is not defined


def test_a_group_of_one_class_has_no_auroc_and_refuses_nothing() -> None:
    values, targets = scores(0)
    groups = np.where(targets == 1, "ill", "mixed")
    groups[np.flatnonzero(targets == 1)[:5]] = "mixed"
    table = pd.concat([rows(values, targets, cell=(sq, 0)).assign(sex=groups) for sq in (0, 4)])
    found = subgroups(table, "sex", resamples=100)
    auroc = found.select(metric="auroc")
    assert auroc.levels().set_index("group").value.isna()["ill"].all()
    assert auroc.differences()[["value", "lower", "p", "p_holm"]].isna().all(axis=None)
    assert found.select(metric="brier").differences().p.notna().all()


def test_a_label_that_a_group_lacks_leaves_it_without_a_mean() -> None:
    values, targets = scores(0)
    groups = np.where(np.arange(60) < 20, "A", "B")
    lacking = np.where(groups == "A", 0.0, targets)
    both = [rows(values, targets, label="one"), rows(values, lacking, label="two")]
    found = subgroups(pd.concat(both).assign(sex=np.tile(groups, 2)), "sex", resamples=50)
    mean = found.mean_over("label").select(metric="auroc").levels().set_index("group").value
    assert mean.isna().to_dict() == {"A": True, "B": False}


def test_one_patient_has_a_value_and_no_interval() -> None:
    groups = np.array(["A"] + ["B"] * 19)
    found = subgroups(sweep(groups), "sex", resamples=100)
    level = by_cell(found.levels()).loc["A"]
    assert level.value.notna().all()
    assert level[["lower", "upper"]].isna().all(axis=None)
    tests = found.differences()
    assert tests.value.notna().all()
    assert tests[["lower", "upper", "p", "p_holm"]].isna().all(axis=None)
    assert found.counts.patients.to_dict() == {"A": 1, "B": 19}


def test_unknown_films_have_a_curve_and_no_test() -> None:
    groups = np.array([*["A"] * 10, *["B"] * 12, *[""] * 20, *["unknown"] * 20])
    table = sweep(groups)
    table.loc[table.sex == "", "sex"] = np.nan
    found = subgroups(table, "sex", resamples=50)
    assert found.names == ["A", "B", "unknown"]
    assert found.reference == "B"
    assert set(found.differences().group) == {"A"}
    assert found.levels().group.value_counts().to_dict() == {"A": 3, "B": 3, "unknown": 3}
    assert found.counts.patients["unknown"] == 40
    nobody = subgroups(table.assign(sex=np.nan), "sex", resamples=50)
    assert (nobody.reference, nobody.others, len(nobody.differences())) == ("", [], 0)


def test_a_cell_without_the_reference_has_no_difference() -> None:
    table = sweep(AB)
    part = table[(table.sex == "A") | (table.se == 0)]
    found = subgroups(part, "sex", reference="B", resamples=50)
    assert set(found.differences().se) == {0.0}
    assert set(found.levels().query("group == 'A'").se) == {0.0, 4.0}


def test_films_that_are_degraded_otherwise_are_left_out() -> None:
    table = sweep(AB)
    worse = table.assign(degradation="contrast=0.5", value=0.0)
    both = pd.concat([table.assign(degradation="none"), worse])
    found = subgroups(both, "sex", resamples=50).levels()
    pd.testing.assert_frame_equal(found, subgroups(table, "sex", resamples=50).levels())


def test_sources_are_groups_too() -> None:
    found: Subgroups = subgroups(sweep(AB).assign(source=np.tile(AB, 3)), "source", resamples=50)
    expected = subgroups(sweep(AB), "sex", resamples=50)
    pd.testing.assert_frame_equal(found.differences(), expected.differences())


def test_refusals() -> None:
    table = sweep(AB)
    torn = table.assign(sex=np.where(table.sq > 0, "A", table.sex))
    for changed, column, message in (
        (table, "age", r"^column must be one of groups, got 'age'; the table has sex$"),
        (table, "network", "got 'network'"),
        (torn, "sex", "^sex must be one group per image, got A and B of image image0003$"),
        (pd.concat([table, table.assign(task="other")]), "sex", "one task, got task, other"),
    ):
        with pytest.raises(ValueError, match=message):
            subgroups(changed, column, resamples=9)
    with pytest.raises(ValueError, match=r"must be a group of sex \(A, B\), got 'C'"):
        subgroups(table, "sex", reference="C", resamples=9)
