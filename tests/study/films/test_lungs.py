"""Lungs on the stretched films of a classifier, from padded ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cxr_noise_transforms.study.films.lungs import lung_masks

HALVES = {"RL": (64, 448), "LL": (576, 960)}


def write(root: Path, film: str, *, border: int, halves: dict[str, tuple[int, int]]) -> None:
    """A bright film between two black strips, with a rectangle for every lung that is given."""
    grey = np.full((256, 256), 200, np.uint8)
    grey[:, :border] = grey[:, 256 - border :] = 0
    (root / "Images").mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(root / "Images" / f"{film}.png")
    for contour in ("RL", "LL", "H"):
        folder = root / "landmarks" / contour
        folder.mkdir(parents=True, exist_ok=True)
        if contour in halves:
            left, right = halves[contour]
            corners = [(left, 256), (right, 256), (right, 768), (left, 768)]
            np.save(folder / f"{film}.npy", np.array(corners, float))


def columns(mask: np.ndarray) -> list[int]:
    """First and last column of each part."""
    inside = mask.any(0).astype(int)
    return [*np.flatnonzero(np.diff(inside, prepend=0, append=0))]


def test_what_lies_within_the_border_is_stretched(tmp_path: Path) -> None:
    write(tmp_path, "plain", border=0, halves=HALVES)
    # the middle half of the square is the film: from 256 to 768
    write(tmp_path, "padded", border=64, halves={"RL": (288, 480), "LL": (544, 736)})
    masks = lung_masks(tmp_path, ["plain.png", "padded.png", "other.png"], 128)
    assert masks.keys() == {"plain.png", "padded.png"}
    for mask in masks.values():
        assert mask.shape == (128, 128)
        assert set(np.unique(mask)) == {0, 1}
        assert columns(mask) == pytest.approx([8, 56, 72, 120], abs=1)
        assert np.flatnonzero(mask.any(1))[[0, -1]].tolist() == pytest.approx([32, 96], abs=1)


def test_films_with_half_their_lungs_have_none(tmp_path: Path) -> None:
    write(tmp_path, "half", border=0, halves={"RL": HALVES["RL"]})
    with pytest.raises(ValueError, match=r"none of the 1 films is in .* with its lungs"):
        lung_masks(tmp_path, ["half"], 64)
