from pathlib import Path

import pandas as pd
from ladders import score_table, straight_table

from cxr_noise_transforms import LADDER
from cxr_noise_transforms.study.report.markdown import markdown, write_table
from cxr_noise_transforms.study.statistics.summaries import severity_table, task_table


def test_markdown_has_one_row_per_cell() -> None:
    lines = markdown(severity_table(straight_table())).splitlines()
    assert lines[0].startswith("| s_q | s_e | photons/pixel | sigma | Dice | Dice diff | IoU |")
    assert len(lines) == 2 + len(LADDER)
    assert "| 0 | 10 | inf | 1 | 0.390 | -0.400 |" in lines[8]


def test_files_hold_the_table(tmp_path: Path) -> None:
    summary = severity_table(straight_table())
    csv, md = write_table(summary, tmp_path / "summary")
    pd.testing.assert_frame_equal(pd.read_csv(csv), summary, check_dtype=False)
    assert md.read_text() == markdown(summary)


def test_a_metric_of_ones_own_has_columns() -> None:
    own = straight_table().replace({"metric": {"iou": "distance", "dice": "best_diff"}})
    assert "| distance diff |" in markdown(severity_table(own))
    assert "| distance lost at highest s_q |" in markdown(task_table(own))


def test_nothing_is_a_dash() -> None:
    header, _, row = markdown(task_table(score_table().assign(target=1.0))).splitlines()
    cells = dict(zip(header.split(" | "), row.split(" | "), strict=True))
    assert cells["AUROC"] == cells["AUPRC lost at highest s_e"] == "–"
    assert cells["F1 of a constant answer"] == "1.000"
