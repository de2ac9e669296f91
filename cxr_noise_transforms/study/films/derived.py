"""A DICOM film written again with noise: its attributes, with an identity of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from cxr_noise_transforms import __version__

from .dicom import lowest, read_dicom

# true of the film without noise only
_OUTDATED = ("SmallestImagePixelValue", "LargestImagePixelValue", "IconImageSequence")
_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")


def write_derived(
    path: Path,
    source: Path,
    noisy: np.ndarray,
    made: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Write a DICOM film with other pixels, uncompressed, as derived from its source.

    The identifiers of the instance and the series follow from the source's and from the noise:
    the same noise makes the same file again.

    Args:
        path: the file to write.
        source: the film without noise.
        noisy: its pixels, counted from the lowest that the bits hold.
        made: the severities, seed and domain of this film.
        settings: of the series.

    Raises:
        ValueError: the source does not say which instance of which series it is, or is stored in
            big endian.

    References:
        DICOM PS3.3 C.7.6.1 (Image Type, Derivation Description, Source Image Sequence).
    """
    film = read_dicom(source)
    missing = [name for name in _IDENTITY if not film.get(name)]
    if missing:
        raise ValueError(f"film {source} must have {', '.join(missing)} to be written again")
    if not film.file_meta.TransferSyntaxUID.is_little_endian:
        raise ValueError(f"film {source} must be stored in little endian to be written again")
    signed = film.get("PixelRepresentation", 0) == 1
    pixels = (noisy.astype(np.int64) + lowest(film)).astype(
        f"{'i' if signed else 'u'}{film.BitsAllocated // 8}"
    )
    film.set_pixel_data(
        pixels, film.PhotometricInterpretation, film.BitsStored, generate_instance_uid=False
    )
    for name in _OUTDATED:
        if name in film:
            delattr(film, name)
    _derive(film, _described(made, settings), json.dumps(settings, sort_keys=True))
    film.save_as(path, enforce_file_format=True)


def _derive(film: Dataset, described: str, series: str) -> None:
    """Give the film an identity of its own and name its source."""
    origin = Dataset()
    origin.ReferencedSOPClassUID = film.SOPClassUID
    origin.ReferencedSOPInstanceUID = film.SOPInstanceUID
    film.SourceImageSequence = [origin]
    film.SOPInstanceUID = generate_uid(entropy_srcs=[film.SOPInstanceUID, described])
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
    film.SeriesInstanceUID = generate_uid(entropy_srcs=[film.SeriesInstanceUID, series])
    kind = list(film.get("ImageType") or [])
    film.ImageType = ["DERIVED", *(kind[1:] or ["SECONDARY"])]
    before = film.get("DerivationDescription")
    # a short text holds 1024 characters
    film.DerivationDescription = f"{described}; {before}"[:1024] if before else described


def _described(made: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    domain = made["domain"]
    decades = f" of {settings['decades']:g} decades" if domain == "log" else ""
    bits = f", {settings['bits']} bits" if settings["bits"] else ""
    return (
        f"noise added by cxr_noise_transforms {__version__}: quantum severity {made['sq']:g}, "
        f"electronic severity {made['se']:g}, seed {made['seed']}, {domain} domain{decades}{bits}"
    )
