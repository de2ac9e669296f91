from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report import (
    markdown,
    plot_curves,
    summarise,
    typical_film,
    write_summary,
)


@pytest.fixture
def table() -> pd.DataFrame:
    """Two networks, three films; the second network has twice as many rows."""
    rows = [
        {
            "network": network,
            "sq": sq,
            "se": se,
            "noise_seed": seed,
            "image": f"film{film}",
            "organ": "lungs",
            "metric": metric,
            "value": base - 0.02 * sq - 0.04 * se - 0.01 * film,
        }
        for network, base, seeds in (("A", 0.9, 1), ("B", 0.7, 2))
        for seed in range(seeds)
        for sq, se in LADDER
        for film in range(3)
        for metric in ("dice", "iou")
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_summary_is_the_mean_over_networks_in_the_ladders_order(table: pd.DataFrame) -> None:
    summary = summarise(table)
    assert list(zip(summary.sq, summary.se, strict=True)) == list(LADDER)
    # every network counts once, whatever the number of its rows
    assert np.allclose(summary.dice, 0.79 - 0.02 * summary.sq - 0.04 * summary.se)
    assert np.allclose(summary.dice_diff, summary.dice - summary.dice[0])
    assert summary.photons[9] == 250
    assert summary.sigma[6] == 1


def test_markdown_has_one_row_per_cell(table: pd.DataFrame) -> None:
    lines = markdown(summarise(table)).splitlines()
    assert lines[0].startswith("| s_q | s_e | photons/pixel | sigma | Dice | Dice diff | IoU |")
    assert len(lines) == 2 + len(LADDER)
    assert "| 0 | 10 | inf | 1 | 0.390 | -0.400 |" in lines[8]


def test_summary_files_hold_the_summary(table: pd.DataFrame, tmp_path: Path) -> None:
    summary = summarise(table)
    csv, md = write_summary(summary, tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(csv), summary, check_dtype=False)
    assert md.read_text() == markdown(summary)


def test_typical_film_is_the_median(table: pd.DataFrame) -> None:
    assert typical_film(table, "A") == "film1"


def test_curves_are_drawn(table: pd.DataFrame, tmp_path: Path) -> None:
    path = plot_curves(table, tmp_path / "figures" / "curves.png", "title")
    with Image.open(path) as picture:
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")

    def fail_halfway() -> None:
        with whole_file(path) as beside:
            beside.write_text("half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
