from pathlib import Path

import numpy as np
import pandas as pd
from ladders import score_table, straight_table
from PIL import Image

from cxr_noise_transforms.study.report.figures import plot_curves, plot_tasks


def test_curves_are_drawn(tmp_path: Path) -> None:
    plot_tasks(score_table(), tmp_path / "tasks.png", "title")
    plot_curves(straight_table(), tmp_path / "new" / "curves.png", "title")
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as picture:
            colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
        assert len(colours) > 10


def test_doses_are_a_second_scale(tmp_path: Path) -> None:
    for plot, table in ((plot_tasks, score_table()), (plot_curves, straight_table())):
        plain, dosed = tmp_path / "plain.png", tmp_path / "dosed.png"
        plot(table, plain, "title")
        plot(table, dosed, "title", normal_dose=0.17)
        assert plain.read_bytes() != dosed.read_bytes()


def test_what_is_not_defined_is_not_drawn(tmp_path: Path) -> None:
    both = pd.concat([score_table().assign(target=1.0), score_table().assign(task="another")])
    assert plot_tasks(both, tmp_path / "tasks.png", "title").is_file()
    own = straight_table().replace({"metric": {"iou": "own"}})
    own = own[(own.network == "A") | (own.metric == "own")]
    assert plot_curves(own, tmp_path / "curves.png", "title").is_file()
