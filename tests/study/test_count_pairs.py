"""The arithmetic of the paper's pairs: its counts, its bounds, and what the page says of them."""

import gzip
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import write_table
from scipy.stats import norm
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from cxr_noise_transforms.study.films import PAIRS
from cxr_noise_transforms.study.films.chestxray14 import pair_names, read_findings

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "docs" / "count_pairs.py"))
RESULT = ROOT / "examples" / "results" / "pairs.csv"

open_shares = st.floats(0.05, 0.95)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Ten films of a second finding alone and five of a first, and six of each with a mass."""
    names = sorted({finding for pair in PAIRS for finding in pair_names(pair)})
    numbers = {finding: 5 + 5 * number for number, finding in enumerate(names)}
    rows = [
        (f"{finding}-{number}.png", finding if number < count else f"{finding}|Mass", number)
        for finding, count in numbers.items()
        for number in range(count + 6)
    ]
    return write_table(tmp_path, rows)


def test_films_are_counted_with_the_finding_alone_and_with_others(table: Path) -> None:
    packed = table.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    found = SCRIPT["count"](read_findings(packed)).set_index(["pair", "films", "positive"])
    assert len(found) == 6 * 2 * 2
    # the findings by the alphabet: Atelectasis 5, Edema 10, Effusion 15, ...
    alone = found.loc[("Effusion / Edema", "alone", "second")]
    assert (alone["first"], alone.second, alone.share) == (15, 10, 0.4)
    assert alone.constant_f1 == pytest.approx(2 * 0.4 / 1.4)
    others = found.loc[("Effusion / Edema", "with others", "first")]
    assert (others["first"], others.second) == (21, 16)
    assert others.share == pytest.approx(21 / 37)


@given(open_shares, open_shares)
def test_no_classifier_is_above_the_highest_auprc(auroc: float, share: float) -> None:
    """Two curves that bound it from below: one step at the AUROC, and the straight one."""
    highest = SCRIPT["highest_auprc"](auroc, share)
    recall = (np.arange(20000) + 0.5) / 20000
    for false in (recall >= auroc, np.full_like(recall, 1 - auroc)):
        precision = share * recall / (share * recall + (1 - share) * false)
        assert precision.mean() <= highest + 1 / len(recall)
    assert highest <= 1


@given(st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_drawn_scores_stay_below_the_highest_auprc(seed: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    target = np.repeat([0, 1], [200, 100])
    score = apart * target + rng.standard_t(2, 300)
    auroc, auprc = roc_auc_score(target, score), average_precision_score(target, score)
    # a film more or less in front of each positive one
    assert auprc <= SCRIPT["highest_auprc"](min(auroc + 1 / 100, 1 - 1e-6), 1 / 3)


@pytest.mark.parametrize(("auroc", "share"), [(0.605, 0.93), (0.74, 0.14), (0.881, 0.64)])
def test_likely_values_are_those_of_normal_scores(auroc: float, share: float) -> None:
    films, rng = 400_000, np.random.default_rng(0)
    target = rng.random(films) < share
    score = rng.normal(size=films) + target * np.sqrt(2) * norm.ppf(auroc)
    likely_auprc, likely_f1 = SCRIPT["likely"](auroc, share)
    parts = [
        average_precision_score(target[part], score[part])
        for part in np.array_split(np.arange(films), 20)
    ]
    error = np.std(parts, ddof=1) / np.sqrt(len(parts))
    assert abs(np.mean(parts) - likely_auprc) < 5 * error
    precision, recall, _ = precision_recall_curve(target, score)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max()
    # of the share of positives and of recall, each a proportion
    assert abs(best - likely_f1) < 5 / np.sqrt(films * min(share, 1 - share))


def test_the_page_says_what_the_result_holds() -> None:
    text = (ROOT / "docs" / "study.md").read_text()
    block = text.split(SCRIPT["BEGIN"])[1].split(SCRIPT["END"])[0]
    assert block.strip() == SCRIPT["page"](pd.read_csv(RESULT)).strip()
    assert "Fibrosis / Infiltration has an AUPRC of 0.948 at an AUROC of 0.605, where none" in block


def test_the_result_is_that_of_the_official_table(official_table: Path) -> None:
    fresh = SCRIPT["count"](read_findings(official_table))
    pd.testing.assert_frame_equal(fresh, pd.read_csv(RESULT), rtol=1e-5)
