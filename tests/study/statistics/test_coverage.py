"""Intervals of made-up studies hold the truth as often as they say."""

import numpy as np
import pandas as pd
from scipy import stats
from tables import rows

from cxr_noise_transforms.study.statistics.resampling import bootstrap

MEAN, SHIFT, EFFECT = 0.7, 0.05, 1.0
ILL = (np.arange(40) % 2).repeat(3)


def study(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dice in two cells, and a score, of 40 patients with 3 films each, alike within a patient."""

    def effect(scale: float) -> np.ndarray:
        return generator.normal(0, scale, 40).repeat(3) + generator.normal(0, scale / 2, 120)

    clean = MEAN + effect(0.05)
    return clean, clean - SHIFT + effect(0.03), stats.norm.cdf(EFFECT * ILL + effect(1.0))


def coverage(unit: str, studies: int) -> dict[str, int]:
    """How many of the studies' 95 % intervals hold the truth; ten tasks are ten studies."""
    truth = {
        "mean": MEAN,
        "difference": -SHIFT,
        # the difference of two scores has variance 2 (1 + 1/4)
        "auroc": stats.norm.cdf(EFFECT / np.sqrt(2.5)),
    }
    held = dict.fromkeys(truth, 0)
    owners = np.arange(40).repeat(3) if unit == "patient" else None
    blank = np.zeros(120)
    one = pd.concat(
        [
            rows(blank, metric="dice", patients=owners),
            rows(blank, metric="dice", patients=owners, cell=(2, 0)),
            rows(blank, ILL, patients=owners),
        ]
    )
    table = pd.concat(one.assign(task=f"study{n}") for n in range(10))
    generator = np.random.default_rng(11)
    for seed in range(studies // 10):
        table["value"] = np.concatenate([study(generator) for _ in range(10)]).ravel()
        resampled = bootstrap(table, resamples=500, seed=seed)
        found = {
            "mean": resampled.select(metric="dice", sq=0),
            "difference": resampled.select(metric="dice").against(sq=0, se=0),
            "auroc": resampled.select(metric="auroc"),
        }
        for name, number in truth.items():
            intervals = found[name].intervals()
            held[name] += intervals.eval(f"lower <= {number} <= upper").sum()
    return held


def test_intervals_cover_the_truth() -> None:
    lowest, highest = stats.binom.interval(0.999, 300, 0.95)
    for name, held in coverage("patient", 300).items():
        assert lowest <= held <= highest, name


def test_intervals_that_resample_films_do_not_cover_the_truth() -> None:
    lowest, _ = stats.binom.interval(0.999, 120, 0.95)
    for name, held in coverage("film", 120).items():
        assert held < lowest, name
