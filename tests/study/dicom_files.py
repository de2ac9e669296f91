"""DICOM radiographs as detectors and archives write them."""

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid


def write_dicom(
    path: Path,
    pixels: np.ndarray,
    bits: int = 12,
    photometric: str = "MONOCHROME2",
    compression: str | None = None,
    **attributes: Any,
) -> Path:
    """A film of these pixels; an attribute that is ``None`` is left out."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID = generate_uid(entropy_srcs=["instance", path.name])
    film.SeriesInstanceUID = generate_uid(entropy_srcs=["series"])
    film.Modality, film.PatientName, film.PatientID = "DX", "Phantom^One", "1"
    film.set_pixel_data(pixels, photometric, bits, generate_instance_uid=False)
    if compression is not None:
        film.compress(compression, generate_instance_uid=False)
    for name, value in attributes.items():
        if value is None:
            delattr(film, name)
        else:
            setattr(film, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    film.save_as(path, enforce_file_format=True)
    return path


def lookup_table(entries: np.ndarray, bits: int, *, modality: bool = False) -> Dataset:
    """One item of a LUT sequence, for stored values from 0 on."""
    table = Dataset()
    table.LUTDescriptor = [len(entries) % 65536, 0, bits]
    if modality:
        table.ModalityLUTType = "US"
    table["LUTDescriptor"].VR = "US"
    table.LUTData = entries.astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    return table


def ramp(bits: int = 12, size: int = 64) -> np.ndarray:
    """Every pixel another value, from 0 to the highest that the bits hold."""
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.linspace(0, 2**bits - 1, size * size).round().astype(dtype).reshape(size, size)
