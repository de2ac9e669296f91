"""Folders of DICOM films to folders of noisy DICOM films."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("pydicom")

from dicom_files import ramp, write_dicom
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from cxr_noise_transforms import LogExposure, RadiographicNoise, image_seeds
from cxr_noise_transforms.study.command.main import main

LIN = {"PixelIntensityRelationship": "LIN"}
LOG = {"PixelIntensityRelationship": "LOG"}
MORE, LESS = {"PixelIntensityRelationshipSign": 1}, {"PixelIntensityRelationshipSign": -1}


def apply(films: Path, out: Path, *options: object) -> int:
    return main(["apply", str(films), str(out), *map(str, options)])


def noisy(values: np.ndarray, full: int, *, falls: bool = False, **settings: Any) -> np.ndarray:
    """The film called ``a`` through the noise itself, its signal falling where values rise."""
    signal = torch.from_numpy((full - values if falls else values).astype(np.float32))[None]
    noise = RadiographicNoise(
        **{"sq": 4, "se": 0.5, "value_range": (0, full), "clip": True, **settings}
    )
    levels = noise(signal, seed=int(image_seeds(0, ["a"])))[0].round().numpy().astype(np.int64)
    return full - levels if falls else levels


def test_a_film_keeps_its_attributes_and_says_what_was_done(tmp_path: Path) -> None:
    kept = {
        "WindowCenter": 2000,
        "WindowWidth": 1500,
        "PixelSpacing": [0.2, 0.2],
        "ExposureIndex": 250,
        "LossyImageCompression": "01",
    }
    source = write_dicom(
        tmp_path / "films/ward/a.dcm",
        ramp(),
        ImageType=["ORIGINAL", "PRIMARY", "POST_PROCESSED"],
        DerivationDescription="cropped",
        SmallestImagePixelValue=0,
        **kept,
    )
    assert apply(tmp_path / "films", tmp_path / "out", "--sq", 4, "--se", 0.5) == 0
    film, made = dcmread(source), dcmread(tmp_path / "out/ward/a.dcm")
    seed = int(image_seeds(0, ["ward/a"]))
    expected = RadiographicNoise(4, 0.5, value_range=(0, 4095), clip=True)(
        torch.from_numpy(ramp().astype(np.float32))[None], seed=seed
    )[0]
    assert np.array_equal(made.pixel_array, expected.round().numpy())
    changed = {
        "ImageType",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "SourceImageSequence",
        "DerivationDescription",
        "SmallestImagePixelValue",
        "PixelData",
    }
    assert {e.keyword for e in film if made.get(e.tag) != e} <= changed
    assert {e.keyword for e in made} - {e.keyword for e in film} == {"SourceImageSequence"}
    assert "SmallestImagePixelValue" not in made
    assert list(made.ImageType) == ["DERIVED", "PRIMARY", "POST_PROCESSED"]
    assert made.DerivationDescription.endswith(
        f": quantum severity 4, electronic severity 0.5, seed {seed}, display domain; cropped"
    )
    [origin] = made.SourceImageSequence
    assert origin.ReferencedSOPInstanceUID == film.SOPInstanceUID
    assert origin.ReferencedSOPClassUID == film.SOPClassUID
    assert made.SOPInstanceUID not in (film.SOPInstanceUID, made.SeriesInstanceUID)
    assert made.SeriesInstanceUID != film.SeriesInstanceUID
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID


def test_films_of_a_series_stay_together_and_other_noise_is_another_series(tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(tmp_path / f"films/{name}.dcm", ramp())
    for seed in (0, 1):
        assert apply(tmp_path / "films", tmp_path / str(seed), "--sq", 4, "--seed", seed) == 0
    made = [dcmread(tmp_path / f"{seed}/{name}.dcm") for seed in "01" for name in "ab"]
    assert len({film.SOPInstanceUID for film in made}) == 4
    series = [film.SeriesInstanceUID for film in made]
    assert series[0] == series[1] != series[2] == series[3]


def test_a_record_makes_the_same_files_again(tmp_path: Path) -> None:
    write_dicom(tmp_path / "films/a.dcm", ramp(), **LOG, **LESS)
    assert apply(tmp_path / "films", tmp_path / "out", "--sq", "1,4", "--decades", 1.5) == 0
    record = tmp_path / "out/applied.json"
    assert json.loads(record.read_text())["films"]["a"]["domain"] == "log"
    again = ["replay", str(record), "--out", str(tmp_path / "again")]
    assert main(again) == 0
    for name in ("a.dcm", "applied.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    # finished, it is left as it is
    assert main(again) == 0


UNUSUAL = "ignore:DICOM films. by Pixel Intensity Relationship Sign:UserWarning"


@pytest.mark.filterwarnings(UNUSUAL)
@pytest.mark.parametrize(
    ("attributes", "options", "falls", "decades"),
    [
        ({}, [], False, None),
        ({"photometric": "MONOCHROME1"}, [], True, None),
        ({"photometric": "MONOCHROME1", **LIN, **MORE}, [], False, None),
        ({**LIN, **LESS}, [], True, None),
        ({**LOG, **LESS}, [], False, 2.0),
        ({**LOG, **LESS}, ["--decades", 1.5], False, 1.5),
        ({"photometric": "MONOCHROME1", **LOG, **MORE}, [], True, 2.0),
        # against the display, the sign decides
        ({**LIN, **MORE}, [], False, None),
        # what the header says is overruled
        ({**LIN, **LESS}, ["--domain", "display"], False, None),
        ({**LIN, **LESS}, ["--domain", "log"], False, 2.0),
        # without a sign white is least exposed
        ({}, ["--domain", "log"], False, 2.0),
        ({}, ["--domain", "linear"], True, None),
        ({"photometric": "MONOCHROME1"}, ["--domain", "log"], True, 2.0),
        ({"RescaleSlope": -1, "RescaleIntercept": 4095}, [], True, None),
    ],
)
def test_the_header_chooses_the_domain_unless_the_user_does(
    tmp_path: Path,
    attributes: dict[str, Any],
    options: list[object],
    falls: bool,
    decades: float | None,
) -> None:
    write_dicom(tmp_path / "films/a.dcm", ramp(), **attributes)
    out = tmp_path / "out"
    assert apply(tmp_path / "films", out, "--sq", 4, "--se", 0.5, *options) == 0
    domain = LogExposure(decades) if decades else None
    expected = noisy(ramp(), 4095, falls=falls, domain=domain)
    assert np.array_equal(dcmread(out / "a.dcm").pixel_array, expected)


@pytest.mark.filterwarnings("default")
def test_half_a_relationship_chooses_nothing_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom(tmp_path / "films/a.dcm", ramp(), **LOG)
    assert apply(tmp_path / "films", tmp_path / "out", "--sq", 4, "--se", 0.5) == 0
    assert np.array_equal(dcmread(tmp_path / "out/a.dcm").pixel_array, noisy(ramp(), 4095))
    assert "Relationship LOG with sign absent says no domain" in capsys.readouterr().err


def test_depths_signs_and_scales(tmp_path: Path) -> None:
    cases = [
        (ramp(8), 8, 255, None),
        (ramp(10), 10, 1023, None),
        (ramp(16), 16, 65535, None),
        (ramp().astype(np.int16) - 2048, 12, 4095, None),
        (ramp(10), 12, 1023, 1023),
    ]
    for number, (pixels, bits, full, levels) in enumerate(cases):
        write_dicom(tmp_path / f"{number}/films/a.dcm", pixels, bits, compression=RLELossless)
        options = ["--levels", levels] if levels else []
        folder = tmp_path / str(number)
        assert apply(folder / "films", folder / "out", "--sq", 4, "--se", 0.5, *options) == 0
        made = dcmread(folder / "out/a.dcm")
        lowest = -2048 if pixels.dtype == np.int16 else 0
        expected = noisy(pixels.astype(np.int64) - lowest, full) + lowest
        assert np.array_equal(made.pixel_array, expected)
        assert made.pixel_array.dtype == pixels.dtype
        assert made.BitsStored == bits
        assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_film_that_cannot_be_derived_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom(tmp_path / "films/a.dcm", ramp(), SeriesInstanceUID=None)
    big = Dataset()
    big.update(dcmread(write_dicom(tmp_path / "films/b.dcm", ramp())))
    big.file_meta = FileMetaDataset()
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    big.PixelData = ramp().astype(">u2").tobytes()
    big.save_as(tmp_path / "films/b.dcm", enforce_file_format=True)
    write_dicom(tmp_path / "films/c.dcm", ramp())
    assert apply(tmp_path / "films", tmp_path / "out", "--sq", 4) == 1
    said = capsys.readouterr().err
    assert "films/a.dcm must have SeriesInstanceUID to be written again" in said
    assert "films/b.dcm must be stored in little endian to be written again" in said
    assert [path.name for path in (tmp_path / "out").glob("*.dcm")] == ["c.dcm"]


def test_another_film_in_its_place_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dicom(tmp_path / "films/a.dcm", ramp())
    assert apply(tmp_path / "films", tmp_path / "out", "--sq", 4) == 0
    write_dicom(tmp_path / "films/b.dcm", ramp())
    mine = write_dicom(tmp_path / "out/b.dcm", ramp()).read_bytes()
    assert apply(tmp_path / "films", tmp_path / "out", "--sq", 4) == 1
    assert "b.dcm is there already, with other content" in capsys.readouterr().err
    assert (tmp_path / "out/b.dcm").read_bytes() == mine


def test_real_films(dicom_data: Path, tmp_path: Path) -> None:
    assert apply(dicom_data, tmp_path / "out", "--sq", 4) == 0
    one, two = (dcmread(tmp_path / f"out/{name}.dcm") for name in ("mono1", "mono2_jpeg"))
    for film in (one, two):
        assert film.LossyImageCompression == "01"
        assert list(film.PixelSpacing) == [0.168, 0.168]
        assert list(film.ImageType) == ["DERIVED", "SECONDARY"]
    source = dcmread(dicom_data / "mono1.dcm").pixel_array
    seed = int(image_seeds(0, ["mono1"]))
    turned = RadiographicNoise(4, 0)(torch.from_numpy(255 - source)[None], seed=seed)[0].numpy()
    assert np.array_equal(one.pixel_array, 255 - turned)
