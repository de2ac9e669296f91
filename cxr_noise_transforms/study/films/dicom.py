"""DICOM radiographs: their grey values as displayed and as stored, and what their headers say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue
from pydicom.pixels import apply_modality_lut, apply_voi_lut, get_decoder

from .stored import Stored, on_scale

# Photometric Interpretation and the Presentation LUT Shape that goes with it
_SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
_NEEDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation")


def displayed(path: Path, levels: int | None = None) -> Stored:
    """The film as it is displayed: modality LUT, then VOI LUT or window, from 0 to full scale.

    Args:
        path: the file.
        levels: the value of full scale, without the window: 65535 takes the full range of every
            film, 4095 the first 12 bits of films that could hold more.

    Raises:
        ValueError: no DICOM, or damaged; no grey film of one frame and 8 to 16 bits; compressed
            and without a decoder; values beyond ``levels``.

    Note:
        White is zero in MONOCHROME1, whose Presentation LUT Shape is INVERSE: the two say the same
        thing once. Where they do not agree, Photometric Interpretation is followed, and a doubt
        told.

    References:
        DICOM PS3.3 C.7.6.3, C.8.11.3, C.11.1, C.11.2.
    """
    header = read_dicom(path)
    shown = _shown(path, header, _pixels(path, header), window=levels is None)
    full = 2**header.BitsStored - 1
    values = np.rint(shown * full).astype(np.int64)
    film = on_scale(path, values, full, levels, white_is_zero=_white_is_zero(header))
    return film._replace(doubts=_doubts(header))


def stored_pixels(path: Path, levels: int | None = None) -> Stored:
    """The film's pixels as they are stored, counted from the lowest that the bits hold.

    White is zero where a higher pixel is displayed darker, after all lookup tables.

    Raises:
        ValueError: as :func:`displayed`.
    """
    header = read_dicom(path)
    values = _pixels(path, header).astype(np.int64) - lowest(header)
    ends = _shown(path, header, _ends(header), window=True)
    darker = bool(ends[0] > ends[1]) != _white_is_zero(header)
    film = on_scale(path, values, 2**header.BitsStored - 1, levels, white_is_zero=darker)
    return film._replace(doubts=_doubts(header), relationship=_relationship(header))


def read_dicom(path: Path, *, pixels: bool = True) -> Dataset:
    """A DICOM file with one grey film.

    Raises:
        ValueError: no DICOM, or damaged; not a grey film of one frame and 8 to 16 bits.
    """
    try:
        header = dcmread(path, stop_before_pixels=not pixels)
        complaint = _complaint(header)
        if not complaint:
            # an element is decoded, and can fail, when it is asked for
            facts(header)
            _doubts(header)
    # what a damaged header fails with is anything
    except Exception as error:
        raise ValueError(f"cannot read film {path}: {_sentence(error)}") from error
    if pixels and "PixelData" not in header:
        complaint = "must have pixels, has no Pixel Data"
    if complaint:
        raise ValueError(f"film {path} {complaint}")
    return header


def lowest(header: Dataset) -> int:
    """The lowest pixel that the stored bits can hold."""
    signed = header.get("PixelRepresentation", 0) == 1
    return -(2 ** (header.BitsStored - 1)) if signed else 0


def facts(header: Dataset) -> dict[str, str]:
    """What a header says about the grey scale, the exposure and the pixels, in words."""
    syntax = header.file_meta.TransferSyntaxUID
    return {
        "photometric interpretation": str(header.PhotometricInterpretation),
        "presentation LUT shape": _said(header, "PresentationLUTShape"),
        "presentation intent": _said(header, "PresentationIntentType"),
        "bits stored": str(header.BitsStored),
        "compression": syntax.name if syntax.is_compressed else "none",
        "window": _window(header),
        "pixel intensity relationship": _said(header, "PixelIntensityRelationship"),
        "pixel intensity relationship sign": _said(header, "PixelIntensityRelationshipSign"),
        "imager pixel spacing (mm)": _said(header, "ImagerPixelSpacing"),
        "pixel spacing (mm)": _said(header, "PixelSpacing"),
        "exposure index": _said(header, "ExposureIndex"),
    }


def _complaint(header: Dataset) -> str:
    """Why this is no film that can be read, or nothing."""
    missing = [name for name in _NEEDED if not header.get(name)]
    if missing or "TransferSyntaxUID" not in header.file_meta:
        return f"must have {', '.join(missing or ['TransferSyntaxUID'])} in its header, has none"
    photometric, samples = header.PhotometricInterpretation, header.get("SamplesPerPixel", 1)
    bits, allocated = header.BitsStored, header.BitsAllocated
    high, kind = header.get("HighBit", bits - 1), header.get("PixelRepresentation", 0)
    frames = int(header.get("NumberOfFrames") or 1)
    rules = {
        f"must have one frame, got {frames}": frames == 1,
        f"must be {' or '.join(_SHAPES)}, got {photometric}": samples == 1
        and photometric in _SHAPES,
        f"must have 8 to 16 bits stored and allocated, got {bits} of {allocated}": (
            8 <= bits <= allocated <= 16
        ),
        f"must have HighBit {bits - 1} for {bits} bits stored, got {high}": high == bits - 1,
        f"must have PixelRepresentation 0 or 1, got {kind}": kind in (0, 1),
    }
    return next((rule for rule, holds in rules.items() if not holds), "")


def _doubts(header: Dataset) -> tuple[str, ...]:
    photometric, shape = header.PhotometricInterpretation, header.get("PresentationLUTShape")
    found = []
    if shape not in (None, "", _SHAPES[photometric]):
        found.append(
            f"Presentation LUT Shape {shape} does not go with {photometric}, which is followed"
        )
    for one, other in (("WindowCenter", "WindowWidth"), ("RescaleSlope", "RescaleIntercept")):
        if len(_several(header, one)) != len(_several(header, other)):
            found.append(f"{one} and {other} are not pairs: they are passed by")
    kind, sign = (_said(header, f"PixelIntensityRelationship{end}") for end in ("", "Sign"))
    if _relationship(header) is None and (kind, sign) != ("absent", "absent"):
        found.append(
            f"Pixel Intensity Relationship {kind} with sign {sign} says no domain: it must be LIN "
            "or LOG with 1 or -1"
        )
    elif sign == {"MONOCHROME1": "-1", "MONOCHROME2": "1"}[photometric]:
        found.append(
            f"by Pixel Intensity Relationship Sign {sign} {photometric} shows most exposure white"
        )
    return tuple(found)


def _relationship(header: Dataset) -> tuple[str, int] | None:
    kind, sign = (header.get(f"PixelIntensityRelationship{end}") for end in ("", "Sign"))
    return (kind, sign) if kind in ("LIN", "LOG") and sign in (1, -1) else None


def _white_is_zero(header: Dataset) -> bool:
    return bool(header.PhotometricInterpretation == "MONOCHROME1")


def _ends(header: Dataset) -> np.ndarray:
    """The lowest and the highest pixel that the stored bits can hold."""
    return lowest(header) + np.array([0, 2**header.BitsStored - 1])


def _pixels(path: Path, header: Dataset) -> np.ndarray:
    syntax = header.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax) if syntax.is_compressed else None
        if decoder is None or decoder.is_available:
            pixels: np.ndarray = header.pixel_array
            return pixels
    # decoders fail in ways of their own
    except Exception as error:
        raise ValueError(f"cannot read film {path}: {_sentence(error)}") from error
    ways = "; or ".join(decoder.missing_dependencies)
    raise ValueError(f"film {path} is compressed as {syntax.name}, which needs {ways}")


def _shown(path: Path, header: Dataset, pixels: np.ndarray, *, window: bool) -> np.ndarray:
    """Pixels after the modality LUT and, with ``window``, VOI LUT or window, from 0 to 1."""
    window = window and _window(header) != "absent"
    try:
        values = apply_modality_lut(pixels, header)
        if window:
            values = apply_voi_lut(values, header)
        low, high = _range(header, window=window)
    # a table may have any content
    except Exception as error:
        raise ValueError(f"cannot read film {path}: {_sentence(error)}") from error
    if low == high:
        raise ValueError(f"film {path} has a lookup table or a rescale that leaves one value")
    return (values - low) / (high - low)


def _range(header: Dataset, *, window: bool) -> tuple[float, float]:
    """The values that are black and white after the tables."""
    if window and header.get("VOILUTSequence"):
        return 0.0, 2.0 ** header.VOILUTSequence[0].LUTDescriptor[2] - 1
    if header.get("ModalityLUTSequence"):
        return 0.0, 2.0 ** header.ModalityLUTSequence[0].LUTDescriptor[2] - 1
    low, high = apply_modality_lut(_ends(header), header).astype(float).tolist()
    # pydicom's windows go from the one to the other also where a rescale makes them fall
    return (low, high) if window else (min(low, high), max(low, high))


def _window(header: Dataset) -> str:
    if header.get("VOILUTSequence"):
        return "VOI LUT"
    centres, widths = _several(header, "WindowCenter"), _several(header, "WindowWidth")
    if not centres or len(centres) != len(widths):
        return "absent"
    more = f", the first of {len(centres)}" if len(centres) > 1 else ""
    return f"centre {centres[0]:g} width {widths[0]:g}{more}"


def _said(header: Dataset, name: str) -> str:
    parts = _several(header, name)
    words = (f"{part:g}" if isinstance(part, float) else str(part) for part in parts)
    return " x ".join(words) or "absent"


def _several(header: Dataset, name: str) -> list[Any]:
    """The values of an element, none where it is absent or empty."""
    value = header.get(name)
    if isinstance(value, MultiValue):
        return list(value)
    return [] if value in (None, "") else [value]


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
