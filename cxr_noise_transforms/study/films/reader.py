"""Image files of films, read as grey squares."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from .names import is_dicom
from .stored import Stored, on_scale

# tags of TIFF, the last one of EXIF too
_BITS, _PHOTOMETRIC, _ORIENTATION = 258, 262, 274
_WHITE_IS_ZERO = 0
# a film that stays below this share of full scale is nearly black
DARK = 0.25
_UNREADABLE = (OSError, SyntaxError, Image.DecompressionBombError)


def open_film(path: Path) -> Image.Image:
    """An image file, decoded.

    Raises:
        ValueError: absent, unreadable or truncated, stored turned, or of several pages.
    """
    try:
        with Image.open(path) as film:
            pages = getattr(film, "n_frames", 1)
            orientation = film.getexif().get(_ORIENTATION, 1)
            film.load()
    except _UNREADABLE as error:
        raise ValueError(f"cannot read film {path}: {error}") from error
    if orientation in range(2, 9):
        # some readers turn it and others do not: masks and networks may be of either
        raise ValueError(f"film {path} must be stored upright, got orientation {orientation}")
    if pages > 1:
        raise ValueError(f"film {path} must be one image, got {pages} pages")
    return film


def stored_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file, from its header.

    Raises:
        ValueError: absent or unreadable.
    """
    width, height, _ = _header(path)
    return width, height


def form(path: Path) -> str:
    """Size and kind of an image file in words, from its header.

    Raises:
        ValueError: absent or unreadable.
    """
    width, height, kind = _header(path)
    return f"{width} x {height} {kind}"


def said_in_header(path: Path) -> dict[str, str]:
    """What a DICOM film's header says about its grey scale, by attribute; of others nothing.

    Raises:
        ValueError: absent or unreadable.
    """
    return _dicom().facts(_dicom().read_dicom(path, pixels=False)) if is_dicom(path) else {}


def stored_grey(path: Path, levels: int | None = None) -> Stored:
    """The grey values of a film, colours as their luminance, DICOM as it is displayed.

    Args:
        path: the file.
        levels: the value of full scale where it is less than the file could hold, 4095 for 12 bits
            in a 16-bit file; ``None`` for all that the file could hold. A DICOM film is then read
            without its window.

    Raises:
        ValueError: unreadable or truncated; not of integers, or of integers that have no scale
            without ``levels``; colours of 16 bits with ``levels``; values beyond ``levels``.
    """
    if levels is not None and levels < 1:
        raise ValueError(f"levels must be at least 1, got {levels}")
    if is_dicom(path):
        return _dicom().displayed(path, levels)
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
    return on_scale(path, values, full, levels, white_is_zero=white_is_zero)


def stored_pixels(path: Path, levels: int | None = None) -> Stored:
    """As :func:`stored_grey`, but DICOM as it is stored, before all lookup tables and windows."""
    return _dicom().stored_pixels(path, levels) if is_dicom(path) else stored_grey(path, levels)


def read_grey(path: Path, size: int, *, pad: bool = False, levels: int | None = None) -> np.ndarray:
    """An image file as uint8 ``(size, size)``, scaled from the full range of its integers.

    Args:
        path: the file.
        size: side of the result in pixels.
        pad: put a film that is not square in the middle of a black square.
        levels: the value of full scale where it is less than the file could hold: 4095 for 12-bit
            films in 16-bit files. DICOM films are then read without their window: 65535 is the
            full range of any.

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
    return unobjectionable(path, stored_grey(path, levels), levels)


def unobjectionable(path: Path, stored: Stored, levels: int | None) -> Stored:
    """The film that was read from ``path``; what its file leaves open is warned of.

    Raises:
        ValueError: so low in its file that ``levels`` is missing.
    """
    for doubt in stored.doubts:
        # without the film's name, or a folder would say it once per film
        warnings.warn(f"DICOM films: {doubt}", stacklevel=2)
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


def _header(path: Path) -> tuple[int, int, str]:
    """Width, height and kind of pixels of an image file."""
    if is_dicom(path):
        header = _dicom().read_dicom(path, pixels=False)
        return header.Columns, header.Rows, f"DICOM {header.BitsStored} bits"
    try:
        with Image.open(path) as film:
            return film.width, film.height, film.mode
    except _UNREADABLE as error:
        raise ValueError(f"cannot read film {path}: {error}") from error


def _dicom() -> Any:
    from . import dicom  # noqa: PLC0415 (pydicom is an extra, needed only for its films)

    return dicom


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
