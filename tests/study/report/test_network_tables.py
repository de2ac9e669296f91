from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from cxr_noise_transforms.study.report.networks import networks_table, plane_table, plot_plane

TESTS = pd.DataFrame(
    {
        "network": ["flip", "flip", "ones", "ones"],
        "label": ["Edema", "mean"] * 2,
        "value": [0.8, 0.75, 0.9, 0.85],
        "lower": [0.7, 0.65, 0.8, 0.75],
        "upper": [0.9, 0.85, 1.0, 0.95],
        "chance": [0.6, 0.7, 0.6, 0.7],
        "difference": [np.nan, np.nan, 0.1, 0.1],
        "difference_lower": [np.nan, np.nan, 0.02, 0.03],
        "difference_upper": [np.nan, np.nan, 0.18, 0.17],
        "p_holm": [np.nan, np.nan, 0.01, 0.0001],
    }
)
PLANE = pd.DataFrame(
    {
        "network": ["a", "a", "b"],
        "size": [64, 64, 32],
        "photons": [np.inf, 12.5, np.inf],
        "value": [0.9, 0.6, 0.8],
        "lower": [0.85, 0.5, 0.7],
        "upper": [0.95, 0.7, 0.9],
        "chance": [0.5] * 3,
    }
)


def test_every_network_has_its_levels_and_its_difference() -> None:
    table = networks_table(TESTS, "auroc", "Policies")
    assert table.header == [
        "network", "Edema", "mean", "difference of the mean", "p (Holm)"
    ]  # fmt: skip
    assert table.rows == [
        ["flip", "0.800 [0.700, 0.900]", "0.750 [0.650, 0.850]", "–", "–"],
        ["ones", "0.900 [0.800, 1.000]", "0.850 [0.750, 0.950]", "+0.100 [+0.030, +0.170]",
         "<0.001"],
    ]  # fmt: skip


def test_accuracy_stands_beside_that_of_a_constant_answer() -> None:
    table = networks_table(TESTS, "accuracy", "Policies")
    assert table.rows[0] == ["constant answer", "0.600", "0.700", "", ""]


def test_one_label_needs_no_mean() -> None:
    table = networks_table(TESTS[TESTS.label == "Edema"], "auroc", "Policies")
    assert table.header == ["network", "Edema", "difference of Edema", "p (Holm)"]
    assert table.rows[1][2] == "+0.100 [+0.020, +0.180]"


def test_the_plane_has_a_row_per_dose_and_a_column_per_size() -> None:
    table = plane_table(PLANE, "auroc")
    assert table.header == ["photons per mm²", "64 px", "32 px"]
    assert table.rows == [
        ["no noise", "0.900 [0.850, 0.950]", "0.800 [0.700, 0.900]"],
        ["12.5", "0.600 [0.500, 0.700]", "–"],
    ]


def test_the_plane_is_a_picture(tmp_path: Path) -> None:
    path = plot_plane(PLANE, tmp_path / "plane.png", "auroc", "five findings")
    colours = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 50
