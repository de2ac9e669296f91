"""Intervals of differences between groups hold the truth, and tests find none where none is."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tables import rows

from cxr_noise_transforms.study.statistics.subgroups import Subgroups, subgroups

FILMS, GAP, MORE = 60, 0.04, 0.06
GROUPS = np.where(np.arange(FILMS) % 5 < 2, "A", "B")
ILL = (np.arange(FILMS) % 3 == 0).astype(float)
# of scores, by group
EFFECTS = {"A": 0.8, "B": 1.6}


def study(generator: np.random.Generator, apart: float) -> pd.DataFrame:
    """Dice in two cells, and scores, of a group that is better, loses more, and is told better."""
    is_b = GROUPS == "B"
    film = generator.normal(0, 0.05, FILMS)
    clean = 0.7 + apart * GAP * is_b + film
    noisy = clean - 0.1 - apart * MORE * is_b + generator.normal(0, 0.04, FILMS)
    effect = EFFECTS["A"] + apart * (EFFECTS["B"] - EFFECTS["A"]) * is_b
    score = stats.norm.cdf(generator.normal(effect * ILL, 1))
    parts = [
        rows(clean, metric="dice"), rows(noisy, metric="dice", cell=(4, 0)), rows(score, ILL),
    ]  # fmt: skip
    return pd.concat(parts).assign(sex=np.tile(GROUPS, 3))


def found(studies: int, apart: float) -> dict[str, list[pd.Series]]:
    """What every study says of dice, its change, and AUROC."""
    generator = np.random.default_rng(5)
    said: dict[str, list[pd.Series]] = {"dice": [], "change": [], "auroc": []}
    for seed in range(studies):
        one: Subgroups = subgroups(
            study(generator, apart), "sex", reference="A", resamples=300, seed=seed
        )
        dice = one.select(metric="dice")
        said["dice"].append(dice.select(sq=0).differences().iloc[0])
        said["change"].append(dice.differences_of_changes().iloc[0])
        said["auroc"].append(one.select(metric="auroc", sq=0).differences().iloc[0])
    return said


def auroc(effect: float) -> float:
    return float(stats.norm.cdf(effect / np.sqrt(2)))


@pytest.mark.slow
def test_intervals_of_differences_cover_the_truth() -> None:
    truth = {"dice": GAP, "change": -MORE, "auroc": auroc(EFFECTS["B"]) - auroc(EFFECTS["A"])}
    lowest, highest = stats.binom.interval(0.999, 200, 0.95)
    for name, rows_of in found(200, apart=1.0).items():
        held = sum(row.lower <= truth[name] <= row.upper for row in rows_of)
        assert lowest <= held <= highest, name
        # and would not hold that there is no difference
        assert sum(row.lower <= 0 <= row.upper for row in rows_of) < lowest, name


@pytest.mark.slow
def test_where_there_is_no_difference_five_in_a_hundred_are_found() -> None:
    _, most = stats.binom.interval(0.999, 200, 0.05)
    for name, rows_of in found(200, apart=0.0).items():
        wrong = sum(row.p < 0.05 for row in rows_of)
        assert 1 <= wrong <= most, name
        # with an error of two thirds its size there would be too many
        p = [2 * stats.norm.sf(abs(row.value / row.standard_error) * 1.5) for row in rows_of]
        assert sum(np.array(p) < 0.05) > most, name
