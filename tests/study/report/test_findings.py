import numpy as np
import pandas as pd
import pytest
from ladders import dice_table, score_table

from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.statistics.performance import validation_thresholds


def test_worst_films_come_first() -> None:
    table = dice_table(["A"])
    table.loc[table.image == "image0003", "value"] /= 3
    one = find(table)[0]
    films = one.films("A")
    assert films.index[0] == "image0003"
    assert films.loc["image0003", (0.0, 4.0)] == pytest.approx(
        table.query("image == 'image0003' and se == 4 and metric == 'dice'").value.item()
    )
    assert one.failures(films)[(0.0, 10.0)].all()
    assert not one.failures(films)[(0.0, 0.0)].any()


def test_a_score_fails_on_the_wrong_side() -> None:
    one = find(score_table(["A"]))[0]
    films = one.films("A")
    table = one.table.select(sq=0, se=0).frame().set_index("image")
    wrong = (table.value >= 0.5) != (table.target == 1)
    assert one.failures(films)[(0.0, 0.0)].to_dict() == wrong.to_dict()


def test_networks_in_other_cells_have_no_mean_there() -> None:
    table = dice_table()
    one = find(table[(table.network == "B") | (table.sq < 10)], resamples=50)[0]
    assert np.isnan(one.levels.value["dice", 10, 0])
    assert np.isnan(one.changes.value["dice", 10, 0])
    assert one.last("dice", "sq") == 4
    whole = find(table, resamples=50)[0]
    pd.testing.assert_frame_equal(one.levels.loc["dice", 0.0], whole.levels.loc["dice", 0.0])


def test_the_reports_metric_is_one_with_a_value() -> None:
    table = score_table()
    assert find(table)[0].metrics == ["auroc", "auprc", "f1", "accuracy", "brier", "ece"]
    assert find(table.assign(target=0.0))[0].metrics == ["truth", "accuracy", "brier", "ece"]
    unknown = find(table.assign(target=np.nan))[0]
    assert unknown.levels.value.isna().all()
    masks = dice_table().assign(value=np.nan)
    both = pd.concat([masks, score_table().assign(task="lungs", label="lungs")])
    assert find(both)[0].film_metric == "score"


def test_only_networks_of_the_reported_checkpoint_are_reported() -> None:
    table = dice_table(weights=("best", "swa"))
    one = find(table[(table.network == "B") | (table.weights == "swa")], resamples=50)[0]
    assert one.networks == ["B"]
    alone = table[(table.network == "B") & (table.weights == "best") & (table.metric == "dice")]
    clean = alone[(alone.sq == 0) & (alone.se == 0)]
    assert one.levels.value["dice", 0, 0] == pytest.approx(clean.value.mean())


def test_names_may_be_numbers() -> None:
    table = score_table(["A"]).assign(label=1, network=2)
    table["image"] = table.image.str.removeprefix("image").astype(int)
    thresholds = validation_thresholds(table)
    one = find(table, thresholds, resamples=20)[0]
    assert (one.networks, one.labels) == (["2"], ["1"])
    assert "f1_val" in one.metrics
    assert set(one.films("2").index) == {str(number) for number in range(12)}


def test_other_degradations_are_paired_with_the_same_films() -> None:
    plain = dice_table()
    low = plain[(plain.sq == 0) & (plain.se == 0)].assign(degradation="contrast=0.5")
    low["value"] -= 0.1
    both = pd.concat([plain.assign(degradation="none"), low], ignore_index=True)
    (one,) = find(both, resamples=50)
    (dice,) = one.controls[one.controls.metric == "dice"].itertuples()
    assert (dice.degradation, dice.sq, dice.se) == ("contrast=0.5", 0, 0)
    assert dice.value == pytest.approx(-0.1)
    (alone,) = find(plain, resamples=50)
    pd.testing.assert_frame_equal(one.levels, alone.levels)
    assert alone.controls.empty


def test_a_table_of_degraded_films_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="must have films without a degradation"):
        find(dice_table().assign(degradation="contrast=0.5"))
