import numpy as np
import pandas as pd
import pytest
from ladders import dice_table, score_table, straight_table

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.statistics.summaries import (
    checkpoint_table,
    in_ladder,
    in_order,
    severity_table,
    task_table,
)


@pytest.fixture
def table() -> pd.DataFrame:
    return straight_table()


def test_severity_table_is_the_mean_over_networks_in_the_ladders_order(table: pd.DataFrame) -> None:
    summary = severity_table(table)
    assert list(zip(summary.sq, summary.se, strict=True)) == list(LADDER)
    # every network counts once, whatever the number of its rows
    assert np.allclose(summary.dice, 0.79 - 0.02 * summary.sq - 0.04 * summary.se)
    assert np.allclose(summary.dice_diff, summary.dice - summary.dice[0])
    assert summary.photons[9] == 250
    assert summary.sigma[6] == 1


def test_task_table_has_what_is_lost_at_the_ends(table: pd.DataFrame) -> None:
    both = task_table(pd.concat([table, table.assign(task="heart", value=table.value / 2)]))
    row = both.set_index("task").loc[["lungs", "heart"]]
    assert np.allclose(row[["dice", "dice_sq", "dice_se"]], [[0.79, 0.2, 0.4], [0.395, 0.1, 0.2]])


def test_checkpoint_table_compares_only_networks_with_both(table: pd.DataFrame) -> None:
    averaged = table[table.network == "A"].assign(
        weights="swa", value=lambda rows: rows.value + 0.01
    )
    both = checkpoint_table(pd.concat([table, averaged])).set_index("weights")
    assert (both.networks == 1).all()
    assert np.allclose(both.dice[["best", "swa"]], [0.89, 0.90])
    assert checkpoint_table(table).empty


def test_unknown_metrics_and_cells_come_last() -> None:
    assert in_order(["zeta", "auroc", "alpha", "dice"]) == ["dice", "auroc", "alpha", "zeta"]
    assert in_ladder([(3.0, 0.0), (1.0, 0.0), (0.0, 0.0)]) == [(0, 0), (1, 0), (3, 0)]


def test_auprc_and_f1_stand_beside_a_constant_answer() -> None:
    table = score_table()
    table["target"] = (table.image < "image0003").astype(float)
    cells, tasks = severity_table(table), task_table(table)
    for summary in (cells, tasks):
        assert np.allclose(summary.auprc_constant, 0.25)
        assert np.allclose(summary.f1_constant, 2 * 0.25 / 1.25)
        assert {"auroc_constant", "brier_constant"}.isdisjoint(summary)
    assert list(cells.columns[7:10]) == ["auprc_constant", "auprc_diff", "f1"]


def test_what_is_not_defined_is_empty() -> None:
    one_class = task_table(score_table().assign(target=1.0)).iloc[0]
    assert one_class[["auroc", "auroc_sq", "auprc", "auprc_se"]].isna().all()
    assert one_class[["truth", "brier", "f1", "f1_sq"]].notna().all()
    table = dice_table()
    without = severity_table(table[table.sq + table.se > 0])
    assert without.dice.notna().all()
    assert without.dice_diff.isna().all()
    one_axis = task_table(table[table.se == 0]).iloc[0]
    assert one_axis.dice_sq > 0
    assert np.isnan(one_axis.dice_se)


def test_a_cell_that_one_network_lacks_has_no_mean() -> None:
    table = dice_table()
    cells = severity_table(table[(table.network == "B") | (table.sq < 10)]).set_index(["sq", "se"])
    assert cells.index[cells.dice.isna()].tolist() == [(10, 0)]
    whole = severity_table(table).set_index(["sq", "se"])
    assert np.array_equal(cells.dice.drop((10, 0)), whole.dice.drop((10, 0)))
    # a network that has not the metric at all is no part of its mean
    alone = severity_table(table[(table.network == "B") | (table.metric == "iou")])
    assert np.allclose(alone.dice, severity_table(table[table.network == "B"]).dice)
