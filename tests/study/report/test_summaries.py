from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ladders import score_table
from PIL import Image

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.report.figures import plot_curves, plot_tasks
from cxr_noise_transforms.study.report.markdown import markdown, write_table
from cxr_noise_transforms.study.statistics.summaries import (
    checkpoint_table,
    in_ladder,
    in_order,
    severity_table,
    task_table,
)


@pytest.fixture
def table() -> pd.DataFrame:
    """Two networks, three films; the second network has twice as many rows."""
    rows = [
        {
            "task": "lungs",
            "network": network,
            "weights": "best",
            "training_seed": 0,
            "sq": float(sq),
            "se": float(se),
            "noise_seed": seed,
            "image": f"film{film}",
            "patient": f"patient{film}",
            "source": "",
            "label": "lungs",
            "metric": metric,
            "value": base - 0.02 * sq - 0.04 * se - 0.01 * film,
            "target": np.nan,
        }
        for network, base, seeds in (("A", 0.9, 1), ("B", 0.7, 2))
        for seed in range(seeds)
        for sq, se in LADDER
        for film in range(3)
        for metric in ("dice", "iou")
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


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


def test_markdown_has_one_row_per_cell(table: pd.DataFrame) -> None:
    lines = markdown(severity_table(table)).splitlines()
    assert lines[0].startswith("| s_q | s_e | photons/pixel | sigma | Dice | Dice diff | IoU |")
    assert len(lines) == 2 + len(LADDER)
    assert "| 0 | 10 | inf | 1 | 0.390 | -0.400 |" in lines[8]


def test_files_hold_the_table(table: pd.DataFrame, tmp_path: Path) -> None:
    summary = severity_table(table)
    csv, md = write_table(summary, tmp_path / "summary")
    pd.testing.assert_frame_equal(pd.read_csv(csv), summary, check_dtype=False)
    assert md.read_text() == markdown(summary)


def test_unknown_metrics_and_cells_come_last() -> None:
    assert in_order(["zeta", "auroc", "alpha", "dice"]) == ["dice", "auroc", "alpha", "zeta"]
    assert in_ladder([(3.0, 0.0), (1.0, 0.0), (0.0, 0.0)]) == [(0, 0), (1, 0), (3, 0)]


def test_a_metric_of_ones_own_is_in_table_and_figure(table: pd.DataFrame, tmp_path: Path) -> None:
    own = table.replace({"metric": {"iou": "distance"}})
    assert "distance diff" in markdown(severity_table(own))
    assert plot_curves(own, tmp_path / "curves.png", "title").is_file()


def test_curves_are_drawn(table: pd.DataFrame, tmp_path: Path) -> None:
    plot_tasks(score_table(), tmp_path / "tasks.png", "title")
    for path in (plot_curves(table, tmp_path / "new" / "c.png", "title"), tmp_path / "tasks.png"):
        with Image.open(path) as picture:
            colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
        assert len(colours) > 10


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
