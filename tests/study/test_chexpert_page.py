"""The page of the second study says what its committed results say."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

DOCS = Path(__file__).parents[2] / "docs"


PAGE, WIDTH = (
    SimpleNamespace(**runpy.run_path(str(DOCS / f"{name}.py")))
    for name in ("make_chexpert", "interval_width")
)


@pytest.mark.slow
def test_the_page_holds_what_the_script_writes() -> None:
    of_policies, policy_draws = PAGE.policies()
    of_sizes, size_draws = PAGE.sizes()
    page = (DOCS / "study-chexpert.md").read_text()
    for lines in (of_policies, of_sizes, PAGE.claims(policy_draws, size_draws)):
        assert "\n".join(lines) in page


@pytest.mark.parametrize(
    ("value", "lower", "upper", "p", "nothing", "something"),
    [
        (-0.001, -0.015, 0.012, 0.9, "confirmed", "refuted"),
        (-0.05, -0.09, -0.01, 0.01, "refuted", "confirmed"),
        (0.05, 0.01, 0.09, 0.01, "cannot be told here", "refuted"),
        (-0.03, -0.10, 0.04, 0.4, "cannot be told here", "cannot be told here"),
    ],
)
def test_a_verdict_needs_an_interval(
    value: float,
    lower: float,
    upper: float,
    p: float,
    nothing: str,
    something: str,
) -> None:
    change = pd.Series({"value": value, "lower": lower, "upper": upper, "p": p})
    assert (PAGE.no_loss(change), PAGE.loss(change)) == (nothing, something)


def test_the_simulated_networks_have_the_auroc_that_is_asked_for() -> None:
    first, second = WIDTH.two_networks(np.random.default_rng(1), 50, (0.9, 0.8))
    for found, asked in ((first, 0.9), (second, 0.8)):
        assert abs(found.mean() - asked) < 5 * found.std() / len(found) ** 0.5
    # of equal shares the best cut is midway
    assert WIDTH.accuracy(100, 0.9) == pytest.approx(norm.cdf(WIDTH.distance(0.9) / 2))
