import numpy as np
import pandas as pd
import pytest
from tables import rows, scores

from cxr_noise_transforms.study.statistics.long_table import check_table, is_complete

GOOD = rows(*scores(1), network="B")


def changed(column: str, value: object) -> pd.DataFrame:
    """The fourth row has another value."""
    table = GOOD.astype({column: object})
    table.loc[3, column] = value
    return table.infer_objects()


def test_a_good_table_passes() -> None:
    check_table(GOOD)
    check_table(changed("target", np.nan))
    check_table(rows(np.array([0.5, np.nan]), metric="dice"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (changed("value", np.nan), r"value of a score must be from 0 to 1, got nan for image"),
        (changed("value", 1.5), r"value of a score must be from 0 to 1, got 1.5"),
        (changed("target", 2), r"target of a score must be 0, 1 or empty, got 2"),
        (changed("sq", -1), r"sq must be finite and not negative, got -1"),
        (changed("se", np.inf), r"se must be finite and not negative, got inf"),
        (rows(np.array([0, np.inf]), metric="own"), r"value must be finite, or empty .*, got inf"),
        (changed("metric", "auroc"), r"metric must not have the name of one made from scores"),
        (GOOD.assign(network="mean"), r"network must have another name than the mean of networks"),
        (pd.concat([GOOD, GOOD[3:4]]), r"table must have one row per image and metric of a cell"),
        (GOOD.drop(columns=["patient", "target"]), r"columns patient, target; they are missing"),
        (GOOD.assign(weights=None), r"column weights must have a value in every row"),
        (GOOD.assign(network=""), r"column network must have a value in every row"),
        (changed("patient", ""), r"column patient must have a value in every row"),
        (changed("label", ""), r"column label must have a value in every row"),
        (GOOD.assign(training_seed=0.5), r"training_seed must be a whole number .*, got 0.5"),
        (GOOD.assign(noise_seed=1.5), r"noise_seed must be a whole number in every row, got 1.5"),
        (GOOD[:0], r"table must have at least one row, got none"),
    ],
)  # fmt: skip
def test_refusals(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_table(table)


def test_a_refusal_says_where() -> None:
    where = r"label finding at sq=0, se=0 \(task task, network B\)"
    with pytest.raises(ValueError, match=where):
        check_table(changed("value", 2))


def test_a_table_is_complete_if_all_networks_have_the_same_rows() -> None:
    noisy = rows(*scores(2), cell=(2, 0), network="B")
    both = pd.concat([GOOD, noisy])
    whole = pd.concat([both, both.assign(network="A")])
    assert is_complete(whole)
    assert is_complete(pd.concat([whole, whole.assign(weights="swa")[: len(both)]]))
    for lost in (whole.sq == 2, whole.image == "image0003"):
        assert not is_complete(whole[~(lost & (whole.network == "A"))])
