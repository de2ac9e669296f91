"""``cxr-noise estimate``: what films carry, in words, a table and a figure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cxr_noise_transforms import quantum_noise
from cxr_noise_transforms.study.command.main import main


def wedge(sq: float, seed: int, full: int = 255) -> np.ndarray:
    """A film whose signal rises, with noise."""
    signal = torch.linspace(0.1, 0.9, 128).expand(128, 128)
    noisy = quantum_noise(signal, sq, seed=seed) if sq else signal
    kind = np.uint8 if full == 255 else np.uint16
    return (noisy.clamp(0, 1) * full).round().numpy().astype(kind)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    root = tmp_path / "films"
    (root / "deep").mkdir(parents=True)
    for seed in range(3):
        Image.fromarray(wedge(1.0, seed)).save(root / "deep" / f"{seed}.png")
    return root


def test_what_a_folder_carries(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(wedge(1.0, 3)).save(films / "squeezed.jpg", quality=50)
    Image.fromarray(wedge(1.0, 3)[:50, :50]).save(films / "stamp.png")
    out = films.parent / "estimate"
    assert main(["estimate", str(films), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 of 5 films can be calibrated" in said
    assert "1 cannot, as squeezed: its noise is not white" in said
    assert "1 cannot, as stamp: films must be at least 64 x 64 to be calibrated" in said
    table = pd.read_csv(out / "estimate.csv").set_index("image")
    assert table.sq.loc[["deep/0", "deep/1", "deep/2"]].between(0.95, 1.05).all()
    assert table.sq.loc[["squeezed", "stamp"]].isna().all()
    with Image.open(out / "estimate.png") as picture:
        assert picture.size == (910, 546)


def test_films_of_twelve_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(wedge(1.0, 0, full=4095)).save(tmp_path / "deep.png")
    out = tmp_path / "out"
    assert main(["estimate", str(tmp_path), "--levels", "4095", "--out", str(out)]) == 0
    assert "1 of 1 films can be calibrated" in capsys.readouterr().out
    assert pd.read_csv(out / "estimate.csv").sq.between(0.95, 1.05).all()


def test_a_folder_of_which_none_can_be_calibrated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(wedge(0.0, 0)).save(tmp_path / "clean.png")
    assert main(["estimate", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "0 of 1 films can be calibrated" in said
    assert "1 cannot, as clean: " in said
