"""Lungs on the films of a classifier, from the Landmark dataset's contours of the same films."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np
from PIL import Image

from .landmark import annotated_films, organ_masks
from .reader import read_grey

_ORGANS = ("lungs",)
# the side at which contours are filled, and the border is looked for
_SIDE = 512
# a border is black, up to what resizing leaves in it
_BLACK = 1


def lung_masks(root: Path, images: list[str], size: int) -> dict[str, np.ndarray]:
    """Masks of the lungs for those films of a classifier that the Landmark dataset has as well.

    The dataset pads its films to squares in black; a classifier's are stretched. What lies inside
    of the border is stretched here.

    Args:
        root: folder of the Landmark dataset.
        images: names of the films, with or without their ending.
        size: side of the masks in pixels.

    Returns:
        Masks ``(size, size)`` of 0 and 1 by the name that was given, of those films that are there
        and have lungs.

    Raises:
        FileNotFoundError, ValueError: as :func:`.landmark.segmentation_films`; none of the films
            is there.
    """
    contours = {film["id"]: (film, found) for film, found in annotated_films(root)}
    masks = {}
    for image in images:
        film, found = contours.get(PurePath(image).stem, (None, set()))
        if film is not None and {"RL", "LL"} <= found:
            [whole] = organ_masks(root, film["id"], _ORGANS, _SIDE)
            inside = _inside(read_grey(root / film["image"], _SIDE))
            stretched = Image.fromarray(whole[inside]).resize((size, size))
            masks[image] = np.asarray(stretched, np.uint8)
    if not masks:
        raise ValueError(f"none of the {len(images)} films is in {root} with its lungs")
    return masks


def _inside(grey: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns within a black border."""
    bright = grey > _BLACK
    rows, columns = (np.flatnonzero(bright.any(axis)) for axis in (1, 0))
    if not len(rows):
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
