import numpy as np
import pandas as pd
import pytest
from ladders import dice_table, score_table

from cxr_noise_transforms.study.report.answers import headline
from cxr_noise_transforms.study.report.findings import find
from cxr_noise_transforms.study.report.sentences import remarks
from cxr_noise_transforms.study.report.words import NOISE


def remarks_on(table: pd.DataFrame) -> dict[str, str]:
    return {lead: words for block in remarks(find(table)[0]) for lead, words in block.points}


@pytest.mark.parametrize("rises", [True, False])
def test_a_rise_is_told_from_chance(rises: bool) -> None:
    table = dice_table(["A"], films=40)
    table.loc[(table.sq == 10) & rises, "value"] += 0.2
    recovery = remarks_on(table)["Recovery."]
    if rises:
        assert recovery.startswith("Some gain is more than chance between patients")
    else:
        assert recovery == "None: at every step of both axes it gets worse, or stays."


def test_few_patients_are_told() -> None:
    assert remarks_on(dice_table())["Few patients."].startswith("With 6 test patients")
    assert "Few patients." not in remarks_on(dice_table(films=30))
    assert "Few patients." not in remarks_on(dice_table(films=1))
    assert remarks_on(dice_table(films=1))["One patient."]


def test_labels_of_one_class_are_told() -> None:
    table = score_table()
    both = pd.concat([table, table.assign(label="Mass", target=1.0)])
    words = "Every film shows Mass: of one class there is neither AUROC nor AUPRC."
    assert remarks_on(both)["One class."] == words
    assert remarks_on(table.assign(target=0.0))["One class."].startswith("No film shows Edema")
    assert "One class." not in remarks_on(table)


def test_labels_without_a_truth_are_told() -> None:
    table = dice_table(labels=("lungs", "heart"))
    table.loc[table.label == "heart", "value"] = np.nan
    assert remarks_on(table)["Nothing to measure."] == "No film has a truth for heart."


def test_networks_on_other_films_are_told() -> None:
    table = dice_table()
    assert "Unequal." not in remarks_on(table)
    assert remarks_on(table[(table.network == "B") | (table.image != "image0000")])["Unequal."]


def test_networks_that_are_equal_are_not_ranked() -> None:
    table = dice_table()
    assert "A has the highest Dice" in remarks_on(table)["Networks."]
    assert "Networks." not in remarks_on(table.assign(value=0.5))


def test_chance_is_told_where_there_was_no_skill() -> None:
    table = score_table().assign(value=0.5)
    assert remarks_on(table)["Weak without noise."]
    assert "Weak without noise." not in remarks_on(score_table(films=100))


def test_one_task_of_several_has_its_own_answer() -> None:
    (one,) = find(dice_table(), resamples=50)
    told = [sentence for _, sentence in remarks(one, alone=False)[0].points]
    assert [
        f"{lead}: {sentence}" for lead, sentence in zip(NOISE.values(), told, strict=False)
    ] == (headline([one]))
    assert not set(told[:2]) & {sentence for _, sentence in remarks(one)[0].points}
