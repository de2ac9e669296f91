"""``--ladder``: the paper's severities, clinical doses, or both."""

from __future__ import annotations

import argparse

import pytest

from cxr_noise_transforms import LADDER, dose_of_quantum_severity
from cxr_noise_transforms.study.command.ladders import (
    add_ladder,
    cells_of,
    dose_words,
    normal_dose,
)
from cxr_noise_transforms.study.report.words import dose_at


def chosen(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_ladder(parser)
    return parser.parse_args(options, argparse.Namespace(size=512))


def test_the_papers_ladder_is_the_default() -> None:
    assert cells_of(chosen()) == [*LADDER]


def test_a_clinical_ladder_is_of_the_films_pixels() -> None:
    clean, *cells = cells_of(chosen("--ladder", "clinical", "--pixel-pitch", "0.15"))
    assert clean == (0.0, 0.0)
    doses = [dose_of_quantum_severity(sq, 0.15) for sq, _ in cells]
    # severities are kept to four digits
    assert doses == pytest.approx([250, 125, 62.5, 31.25, 15.625], rel=2e-4)


def test_both_have_the_clean_cell_once() -> None:
    both = cells_of(chosen("--ladder", "both"))
    assert len(both) == len(set(both)) == len(LADDER) + 5


def test_the_defaults_are_said() -> None:
    assert dose_words(chosen()) == (
        "normal dose: s_q = 0.1744, for an exposure index of 250 and pixels of 0.84 mm "
        "(RQA9, DQE 0.6)"
    )


@pytest.mark.parametrize(
    ("sq", "words"), [(0, "∞"), (0.1744, "1"), (1, "1/33"), (10, "1/3288"), (0.1, "3")]
)
def test_doses_relative_to_normal(sq: float, words: str) -> None:
    assert dose_at(sq, normal_dose(chosen())) == words


@pytest.mark.parametrize("option", ["--exposure-index", "--pixel-pitch"])
@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan"])
def test_what_is_not_above_zero(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        chosen(option, value)
    assert f"must be above 0, got {value}" in capsys.readouterr().err
