"""Image files of films, read as grey squares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def open_film(path: Path) -> Image.Image:
    """An image file, decoded.

    Raises:
        ValueError: absent, unreadable or truncated.
    """
    try:
        with Image.open(path) as film:
            film.load()
            return film
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read film {path}: {error}") from error


def read_grey(path: Path, size: int, *, pad: bool = False) -> np.ndarray:
    """An image file as uint8 ``(size, size)``; 16-bit files are scaled from their full range.

    A 12-bit film in a 16-bit file must be stretched to 16 bits before, or it is nearly black.

    Args:
        path: the file.
        size: side of the result in pixels.
        pad: put a film that is not square in the middle of a black square.

    Raises:
        ValueError: unreadable or truncated, or not square and not to be padded.
    """
    film = open_film(path)
    if film.mode == "F":
        raise ValueError(f"film {path} must hold integers, got floating point numbers")
    if film.mode.startswith("I"):
        # 16-bit PNG: Pillow's own conversion to 8 bit saturates at 255
        levels = np.round(np.asarray(film, dtype=np.float64) / 257)
        film = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    grey = film.convert("L")
    if grey.width != grey.height and not pad:
        raise ValueError(f"film {path} must be square, got {grey.width} x {grey.height}")
    return fitted(grey, size)


def fitted(grey: Image.Image, size: int) -> np.ndarray:
    """A grey image as uint8 ``(size, size)``, in the middle of a black square."""
    side = max(grey.size)
    if grey.width != grey.height:
        grey = ImageOps.pad(grey, (side, side), color=0)
    if side != size:
        grey = grey.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(grey)
