"""DICOM films read as they are displayed, and what cannot be read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom")

from dicom_files import lookup_table, ramp, write_dicom
from layouts import write_annotated, write_table
from PIL import Image
from pydicom import dcmread
from pydicom.pixels import get_decoder
from pydicom.uid import HTJ2K, RLELossless

from cxr_noise_transforms.study.films import (
    LabelledFolder,
    LoadLabelledFilm,
    LoadMaskedFilm,
    classification_films,
    read_grey,
    segmentation_films,
)
from cxr_noise_transforms.study.films.check import check


def signal(path: Path, levels: int | None = None) -> np.ndarray:
    return read_grey(path, 64, levels=levels) / 255


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_without_a_window_the_stored_bits_are_the_range(tmp_path: Path, bits: int) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(bits), bits)
    assert np.abs(signal(path) - ramp(bits) / (2**bits - 1)).max() <= 0.5 / 255


def windowed(values: np.ndarray, centre: float, width: float, function: str) -> np.ndarray:
    """PS3.3 C.11.2.1, output from 0 to 1."""
    if function == "SIGMOID":
        return 1 / (1 + np.exp(-4 * (values - centre) / width))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    return ((values - centre) / width + 0.5).clip(0, 1)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -1000), (-1, 4095)])
def test_a_window_is_applied_after_the_rescale(
    tmp_path: Path, function: str, slope: int, intercept: int
) -> None:
    centre, width = slope * 2000 + intercept, 1500
    path = write_dicom(
        tmp_path / "a.dcm",
        ramp(),
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        WindowCenter=centre,
        WindowWidth=width,
        VOILUTFunction=function,
    )
    expected = windowed(ramp() * float(slope) + intercept, centre, width, function)
    # rounded to 12 bits, then to 8
    assert np.abs(signal(path) - expected).max() <= 0.5 / 255 + 0.5 / 4095


def test_levels_take_the_full_range_in_place_of_the_window(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), WindowCenter=2000, WindowWidth=500)
    for levels in (4095, 65535):
        assert np.abs(signal(path, levels) - ramp() / 4095).max() <= 0.5 / 255
    write_dicom(path, ramp(10), 12)
    assert np.abs(signal(path, 1023) - ramp(10) / 1023).max() <= 0.5 / 255
    with pytest.raises(ValueError, match=r"its full scale must be given as levels, 511 or 4095"):
        signal(write_dicom(path, ramp(10) // 2, 12))


def test_several_windows_are_alternatives_and_the_first_is_taken(tmp_path: Path) -> None:
    window = {"WindowCenter": [2000, 100], "WindowWidth": [1500, 50]}
    path = write_dicom(tmp_path / "a.dcm", ramp(), **window)
    expected = windowed(ramp(), 2000, 1500, "LINEAR")
    assert np.abs(signal(path) - expected).max() <= 0.5 / 255 + 0.5 / 4095


def test_a_voi_table_goes_before_a_window(tmp_path: Path) -> None:
    table = (np.linspace(0, 1, 4096) ** 2 * 1023).round()
    path = write_dicom(
        tmp_path / "a.dcm",
        ramp(),
        VOILUTSequence=[lookup_table(table, 10)],
        WindowCenter=100,
        WindowWidth=50,
    )
    assert np.abs(signal(path) - table[ramp()] / 1023).max() <= 0.5 / 255 + 0.5 / 4095


def test_a_modality_table_comes_first(tmp_path: Path) -> None:
    table = (np.linspace(0, 1, 4096) ** 2 * 65535).round()
    path = write_dicom(
        tmp_path / "a.dcm", ramp(), ModalityLUTSequence=[lookup_table(table, 16, modality=True)]
    )
    assert np.abs(signal(path) - table[ramp()] / 65535).max() <= 0.5 / 255 + 0.5 / 4095


def test_signed_pixels_count_from_the_lowest(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp().astype(np.int16) - 2048)
    assert np.abs(signal(path) - ramp() / 4095).max() <= 0.5 / 255


@pytest.mark.parametrize(
    ("photometric", "shape"),
    [("MONOCHROME1", None), ("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY")],
)
def test_white_is_zero_is_turned_over_once(tmp_path: Path, photometric: str, shape: Any) -> None:
    pixels = 4095 - ramp() if photometric == "MONOCHROME1" else ramp()
    # the brightest pixel is not full scale
    pixels = pixels // 2 + 100
    attributes = {} if shape is None else {"PresentationLUTShape": shape}
    path = write_dicom(tmp_path / "a.dcm", pixels, photometric=photometric, **attributes)
    expected = 1 - pixels / 4095 if photometric == "MONOCHROME1" else pixels / 4095
    assert np.abs(signal(path) - expected).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    ("photometric", "shape"), [("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE")]
)
def test_a_shape_that_contradicts_the_photometric_interpretation_is_told(
    tmp_path: Path, photometric: str, shape: str
) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", ramp(), photometric=photometric, PresentationLUTShape=shape
    )
    message = f"Presentation LUT Shape {shape} does not go with {photometric}, which is followed"
    with pytest.warns(UserWarning, match=message):
        seen = signal(path)
    assert (seen[0, 0] == 0) == (photometric == "MONOCHROME2")
    assert f"DICOM in doubt: {message}: 1 (a)" in check(tmp_path).facts


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"WindowCenter": 5}, "WindowCenter and WindowWidth are not pairs: they are passed by"),
        ({"RescaleSlope": 5}, "RescaleSlope and RescaleIntercept are not pairs"),
        (
            {"PixelIntensityRelationship": "LIN", "PixelIntensityRelationshipSign": 1},
            "by Pixel Intensity Relationship Sign 1 MONOCHROME2 shows most exposure white",
        ),
        ({"PixelIntensityRelationship": "LIN"}, "LIN with sign absent says no domain"),
        ({"PixelIntensityRelationshipSign": 1}, "absent with sign 1 says no domain"),
        (
            {"PixelIntensityRelationship": "DISP", "PixelIntensityRelationshipSign": 1},
            "DISP with sign 1 says no domain: it must be LIN or LOG with 1 or -1",
        ),
    ],
)
def test_half_of_a_pair_and_a_strange_sign_are_told(
    tmp_path: Path, attributes: dict, message: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), **attributes)
    with pytest.warns(UserWarning, match=message):
        assert np.abs(signal(path) - ramp() / 4095).max() <= 0.5 / 255


def test_compressed_without_loss_is_the_same_film(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), compression=RLELossless)
    assert np.abs(signal(path) - ramp() / 4095).max() <= 0.5 / 255


def three(pixels: np.ndarray) -> np.ndarray:
    return np.stack([pixels] * 3)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"PixelData": None}, "film .*a.dcm must have pixels, has no Pixel Data"),
        ({"NumberOfFrames": 3}, "film .*a.dcm must have one frame, got 3"),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
            "film .*a.dcm must be MONOCHROME1 or MONOCHROME2, got RGB",
        ),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "MONOCHROME2, got PALETTE COLOR"),
        ({"PhotometricInterpretation": None}, "must have PhotometricInterpretation in its header"),
        ({"Rows": None, "BitsStored": None}, "must have Rows, BitsStored in its header, has none"),
        ({"BitsStored": 7}, "must have 8 to 16 bits stored and allocated, got 7 of 16"),
        (
            {"RescaleSlope": 0, "RescaleIntercept": 0},
            "a.dcm has a lookup table or a rescale that leaves",
        ),
        ({"HighBit": 15}, "must have HighBit 11 for 12 bits stored, got 15"),
        ({"BitsStored": 17}, "must have 8 to 16 bits stored and allocated, got 17 of 16"),
        ({"Rows": 65}, "cannot read film .*a.dcm: .* pixel data"),
        ({"WindowCenter": 100, "WindowWidth": 0}, "cannot read film .*a.dcm: .*Window Width"),
        (
            {"ModalityLUTSequence": [lookup_table(np.zeros(9), 12, modality=True)]},
            "cannot read film .*a.dcm",
        ),
    ],
)
def test_what_is_no_film_is_named(tmp_path: Path, attributes: dict, message: str) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(), **attributes)
    with pytest.raises(ValueError, match=message):
        signal(path)


def test_a_decoder_that_is_missing_is_named(tmp_path: Path) -> None:
    if get_decoder(HTJ2K).is_available:
        pytest.skip("every decoder is here")
    path = write_dicom(tmp_path / "a.dcm", ramp(), compression=RLELossless)
    film = dcmread(path)
    film.file_meta.TransferSyntaxUID = HTJ2K
    film.save_as(path)
    with pytest.raises(ValueError, match=r"is compressed as High-.*2000.*, which needs pylibjpeg"):
        signal(path)


@pytest.mark.parametrize("share", [0, 0.02, 0.03, 0.04, 0.05, 0.5])
def test_a_file_that_was_cut_off_is_named(tmp_path: Path, share: float) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match=r"film .*a.dcm"):
        signal(path)


def test_another_file_is_no_dicom(tmp_path: Path) -> None:
    Image.fromarray(ramp(8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=r"cannot read film .*a.dcm: .*DICM"):
        signal(tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=r"cannot read film .*none.dcm: .*No such file"):
        signal(tmp_path / "none.dcm")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_damaged_header_never_ends_in_another_error(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", ramp(8, 16), 8, WindowCenter=100, WindowWidth=50)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    refused = 0
    rng = np.random.default_rng(0)
    for _ in range(400):
        damaged = content.copy()
        places = rng.integers(132, len(content) - 256, 3)
        damaged[places] = rng.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_grey(path, 16)
        except ValueError as error:
            refused += 1
            assert "a.dcm" in str(error)  # noqa: PT017 (whether it fails depends on the byte)
    assert 0 < refused < 400


def test_datasets_find_dicom_films(tmp_path: Path) -> None:
    write_dicom(tmp_path / "films/ward/a.dcm", ramp())
    write_dicom(tmp_path / "films/b.dcm", 4095 - ramp())
    (tmp_path / "labels.csv").write_text("image,sick\nward/a.dcm,0\nb,1\n")
    films = LabelledFolder(tmp_path / "films", tmp_path / "labels.csv", 64)
    assert np.abs(films[0]["image"][0].numpy() - ramp() / 4095).max() <= 0.5 / 255

    write_table(tmp_path / "nih", [("a.dcm", "Edema", 1), ("b.dcm", "Effusion", 2)])
    for name in "ab":
        write_dicom(tmp_path / f"nih/images/{name}.dcm", ramp())
    chosen = classification_films(tmp_path / "nih", "Effusion / Edema")
    image = LoadLabelledFilm(64, data_dir=tmp_path / "nih")(chosen[0])["image"][0].numpy()
    assert np.abs(image / 255 - ramp() / 4095).max() <= 0.5 / 255


def test_the_landmark_dataset_may_hold_dicom(tmp_path: Path) -> None:
    write_annotated(tmp_path, "JPCLN001").unlink()
    write_dicom(tmp_path / "Images/JPCLN001.dcm", ramp())
    [film] = segmentation_films(tmp_path, "lungs")
    image = LoadMaskedFilm(64, "lungs", tmp_path)(film)["image"][0].numpy()
    assert np.abs(image / 255 - ramp() / 4095).max() <= 0.5 / 255
    write_annotated(tmp_path, "JPCLN001")
    message = "must differ in more than their ending, got JPCLN001.dcm and JPCLN001.png"
    with pytest.raises(ValueError, match=message):
        segmentation_films(tmp_path, "lungs")


def test_check_prints_what_headers_say(tmp_path: Path) -> None:
    said = {
        "PresentationLUTShape": "INVERSE",
        "PresentationIntentType": "FOR PRESENTATION",
        "WindowCenter": [2000, 1000],
        "WindowWidth": [3000.5, 900],
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": 1,
        "ImagerPixelSpacing": [0.139, 0.139],
        "ExposureIndex": 250,
    }
    write_dicom(tmp_path / "a.dcm", ramp(), photometric="MONOCHROME1", **said)
    write_dicom(tmp_path / "b.dcm", ramp(8), 8, compression=RLELossless)
    write_dicom(tmp_path / "c.dcm", ramp(), PixelData=None)
    report = check(tmp_path)
    assert report.facts == [
        f"folder of 3 films {tmp_path}",
        "images: 64 x 64 DICOM 12 bits 1, 64 x 64 DICOM 8 bits 1",
        "DICOM photometric interpretation: MONOCHROME1 (1), MONOCHROME2 (1)",
        "DICOM presentation LUT shape: INVERSE (1), absent (1)",
        "DICOM presentation intent: FOR PRESENTATION (1), absent (1)",
        "DICOM bits stored: 12 (1), 8 (1)",
        "DICOM compression: none (1), RLE Lossless (1)",
        "DICOM window: centre 2000 width 3000.5, the first of 2 (1), absent (1)",
        "DICOM pixel intensity relationship: LOG (1), absent (1)",
        "DICOM pixel intensity relationship sign: 1 (1), absent (1)",
        "DICOM imager pixel spacing (mm): 0.139 x 0.139 (1), absent (1)",
        "DICOM pixel spacing (mm): absent (2)",
        "DICOM exposure index: 250 (1), absent (1)",
    ]
    [problem] = report.problems
    assert problem.startswith("films that cannot be used: 1 (film ")


def test_real_films(dicom_data: Path) -> None:
    one, two = (read_grey(dicom_data / f"{name}.dcm", 1024) for name in ("mono1", "mono2_jpeg"))
    assert np.array_equal(one, 255 - two)
    facts = check(dicom_data).facts
    assert "images: 1024 x 1024 DICOM 8 bits 2" in facts
    assert "DICOM photometric interpretation: MONOCHROME1 (1), MONOCHROME2 (1)" in facts
    assert "DICOM compression: JPEG Baseline (Process 1) (2)" in facts
    assert "DICOM pixel spacing (mm): 0.168 x 0.168 (2)" in facts
