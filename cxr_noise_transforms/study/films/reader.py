"""Image files of films, read as grey squares."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

# tags of TIFF, the last one of EXIF too
_BITS, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274
_WHITE_IS_ZERO = 0
# a film that stays below this share of full scale is nearly black
DARK = 0.25
_UNREADABLE = (OSError, SyntaxError, Image.DecompressionBombError)


class Stored(NamedTuple):
    """The grey values of a film as they are in its file.

    Attributes:
        values: integers from 0 to ``full``.
        full: the value of full scale.
        white_is_zero: whether full scale is black.
    """

    values: np.ndarray
    full: int
    white_is_zero: bool

    def in_8_bits(self) -> np.ndarray:
        """The values on the scale from 0, black, to 255, white."""
        levels = self.values
        if self.full != 255:
            # Pillow's own conversion to 8 bits saturates at 255
            levels = np.round(levels * 255.0 / self.full).astype(np.uint8)
        return 255 - levels if self.white_is_zero else levels


def open_film(path: Path) -> Image.Image:
    """An image file, decoded.

    Raises:
        ValueError: absent, unreadable or truncated, or stored turned.
    """
    try:
        with Image.open(path) as film:
            orientation = film.getexif().get(_ORIENTATION, 1)
            film.load()
    except _UNREADABLE as error:
        raise ValueError(f"cannot read film {path}: {error}") from error
    if orientation in range(2, 9):
        # some readers turn it and others do not: masks and networks may be of either
        raise ValueError(f"film {path} must be stored upright, got orientation {orientation}")
    return film


def stored_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file, from its header.

    Raises:
        ValueError: absent or unreadable.
    """
    try:
        with Image.open(path) as film:
            return film.width, film.height
    except _UNREADABLE as error:
        raise ValueError(f"cannot read film {path}: {error}") from error


def stored_grey(path: Path, levels: int | None = None) -> Stored:
    """The grey values of a film, colours as their luminance.

    Args:
        path: the file.
        levels: the value of full scale where it is less than the file could hold, 4095 for 12 bits
            in a 16-bit file; ``None`` for all that the file could hold.

    Raises:
        ValueError: unreadable or truncated; not of integers, or of integers that have no scale
            without ``levels``; colours of 16 bits with ``levels``; values beyond ``levels``.
    """
    if levels is not None and levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    film = open_film(path)
    if film.mode == "F":
        raise ValueError(f"film {path} must hold integers, got floating point numbers")
    if film.mode.startswith("I"):
        values, full = np.asarray(film, dtype=np.int64), _full_scale(film) or levels
        white_is_zero = _tag(film, _PHOTOMETRIC) == _WHITE_IS_ZERO
    else:
        if levels is not None and _is_cut(path):
            raise ValueError(f"film {path} must be grey to be read with levels, got {film.mode}")
        values, full, white_is_zero = _luminance(film, path), 255, False
    if full is None:
        raise ValueError(
            f"film {path} holds signed or 32-bit integers: their full scale must be given as levels"
        )
    full = min(full, levels or full)
    if values.min() < 0 or values.max() > full:
        raise ValueError(
            f"film {path} must hold values from 0 to {full}, got {values.min()} to {values.max()}"
        )
    return Stored(values, full, white_is_zero)


def read_grey(path: Path, size: int, *, pad: bool = False, levels: int | None = None) -> np.ndarray:
    """An image file as uint8 ``(size, size)``, scaled from the full range of its integers.

    Args:
        path: the file.
        size: side of the result in pixels.
        pad: put a film that is not square in the middle of a black square.
        levels: the value of full scale where it is less than the file could hold: 4095 for 12-bit
            films in 16-bit files.

    Raises:
        ValueError: unreadable or truncated, values beyond ``levels``, values of more than 8 bits
            so low that ``levels`` must be given, or not square and not to be padded.
    """
    stored = bright_grey(path, levels)
    if not pad:
        refuse_oblong(path, stored.values)
    return fitted(Image.fromarray(stored.in_8_bits()), size)


def bright_grey(path: Path, levels: int | None = None) -> Stored:
    """As :func:`stored_grey`, but refuses a film so low in its file that ``levels`` is missing."""
    stored = stored_grey(path, levels)
    highest = int(stored.values.max())
    if levels is None and stored.full > 255 and 0 < highest < DARK * stored.full:
        raise ValueError(
            f"film {path} has values up to {highest} in a file for values up to {stored.full}: "
            f"its full scale must be given as levels, {likely_levels(highest)} or {stored.full}"
        )
    return stored


def refuse_oblong(path: Path, values: np.ndarray) -> None:
    """Raise ``ValueError`` where the film at ``path`` with these values is not square."""
    height, width = values.shape
    if width != height:
        raise ValueError(f"film {path} must be square, got {width} x {height}")


def likely_levels(highest: int) -> int:
    """The full scale of the fewest bits that hold a value."""
    return int(2 ** highest.bit_length() - 1)


def fitted(grey: Image.Image, size: int) -> np.ndarray:
    """A grey image as uint8 ``(size, size)``, in the middle of a black square."""
    side = max(grey.size)
    if grey.width != grey.height:
        grey = ImageOps.pad(grey, (side, side), color=0)
    if side != size:
        grey = grey.resize((size, size), Image.Resampling.BICUBIC)
    return np.array(grey)


def margins(width: int, height: int) -> tuple[int, int]:
    """Columns to the left of a film in its square, and rows above it, as Pillow pads."""
    side = max(width, height)
    return round((side - width) / 2), round((side - height) / 2)


def _full_scale(film: Image.Image) -> int | None:
    """The highest value of unsigned integers of up to 16 bits; others have no scale of their own.

    Pillow unpacks 12 bits to 16 and does not stretch them.
    """
    if film.format != "TIFF":
        return 65535
    return None if film.mode == "I" else 2 ** _tag(film, _BITS)[0] - 1


def _tag(film: Image.Image, number: int) -> Any:
    """A tag of a TIFF file; other files have none."""
    return getattr(film, "tag_v2", {}).get(number)


def _is_cut(path: Path) -> bool:
    """Whether Pillow takes the upper 8 of 16 bits, as it does with colours and with alpha."""
    with Image.open(path) as film:
        return ";16" in str(film.tile[0][3])


def _luminance(film: Image.Image, path: Path) -> np.ndarray:
    try:
        return np.asarray(film.convert("L"))
    except ValueError as error:
        raise ValueError(f"cannot read film {path} as grey: {error}") from error
