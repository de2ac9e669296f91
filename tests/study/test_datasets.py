from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cxr_noise_transforms.study.datasets import (
    LoadFilm,
    landmark_films,
    organ_names,
    phantom_films,
    read_grey,
)

# polygons asymmetric left to right and top to bottom, in the dataset's 1024-pixel coordinates
RIGHT = np.array([[200, 200], [400, 150], [450, 600], [180, 700]], dtype=np.float64)
LEFT = RIGHT + np.array([400.0, 50.0])
HEART = np.array([[420, 550], [650, 560], [640, 760], [430, 740]], dtype=np.float64)


def write_film(root: Path, stem: str, *, size: int = 64, heart: bool = True) -> Path:
    for folder in ("Images", "landmarks/RL", "landmarks/LL", "landmarks/H"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    grey = np.random.default_rng(len(stem)).integers(0, 256, (size, size), dtype=np.uint8)
    Image.fromarray(grey).save(root / "Images" / f"{stem}.png")
    np.save(root / "landmarks/RL" / f"{stem}.npy", RIGHT)
    np.save(root / "landmarks/LL" / f"{stem}.npy", LEFT)
    if heart:
        np.save(root / "landmarks/H" / f"{stem}.npy", HEART)
    return root / "Images" / f"{stem}.png"


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_film(tmp_path, "JPCLN001")
    write_film(tmp_path, "CHNCXR_0004_0", heart=False)
    write_film(tmp_path, "MCUCXR_0017_1", heart=False)
    write_film(tmp_path, "2168_3664_00-059-068")
    return tmp_path


def test_films_come_with_patient_and_source(folder: Path) -> None:
    found = {(film["patient"], film["source"]) for film in landmark_films(folder, "lungs")}
    assert found == {
        ("JPCLN001", "JSRT"),
        ("CHNCXR_0004", "Shenzhen"),
        ("MCUCXR_0017", "Montgomery"),
        ("2168_3664_00-059-068", "PadChest"),
    }


def test_clinical_csv_names_the_source(folder: Path) -> None:
    (folder / "clinical.csv").write_text("File,Dataset\nJPCLN001.png,Elsewhere\n")
    sources = {film["id"]: film["source"] for film in landmark_films(folder, "lungs")}
    assert sources["JPCLN001"] == "Elsewhere"
    assert sources["CHNCXR_0004_0"] == "Shenzhen"


@pytest.mark.parametrize("organs", ["heart", "lungs-heart"])
def test_heart_tasks_keep_the_films_with_hearts(folder: Path, organs: str) -> None:
    assert {film["source"] for film in landmark_films(folder, organs)} == {"JSRT", "PadChest"}


@pytest.mark.parametrize("size", [64, 128, 512])
def test_masks_fill_the_polygons_at_any_size(folder: Path, size: int) -> None:
    film = next(f for f in landmark_films(folder, "heart") if f["id"] == "JPCLN001")
    sample = LoadFilm(size, "lungs-heart", folder)(film)
    assert sample["image"].shape == (1, size, size)
    assert sample["label"].shape == (2, size, size)
    assert sample["image"].dtype == sample["label"].dtype == torch.uint8
    lungs, heart = sample["label"].float().mean((1, 2)).tolist()
    # a filled polygon is off by at most about its outline: some 4 sides of 500 pixels, 1 wide
    for found, polygons in ((lungs, (RIGHT, LEFT)), (heart, (HEART,))):
        expected = sum(map(area, polygons)) / 1024**2
        assert abs(found - expected) < len(polygons) * 2 / size
    # x runs right, y down
    scale = size / 1024
    assert sample["label"][1, int(650 * scale), int(500 * scale)] == 1
    assert sample["label"][1, int(500 * scale), int(650 * scale)] == 0


def test_phantom_films_load_without_a_folder() -> None:
    sample = LoadFilm(64, "lungs-heart")(phantom_films(3)[2])
    assert sample["id"] == "phantom-000002"
    assert sample["image"].shape == (1, 64, 64)
    assert sample["label"].unique().tolist() == [0, 1]
    assert not (sample["label"][0] & sample["label"][1]).any()


def test_a_16_bit_film_is_scaled_not_cut(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    grey = read_grey(tmp_path / "deep.png", 64)
    assert np.abs(grey - ramp / 257).max() <= 0.5


def test_an_8_bit_film_of_that_size_is_read_unchanged(folder: Path) -> None:
    path = folder / "Images" / "JPCLN001.png"
    assert np.array_equal(read_grey(path, 64), np.asarray(Image.open(path)))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; expected Images/"):
        landmark_films(tmp_path / "nowhere", "lungs")


def test_another_layout_says_what_was_expected_and_found(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(FileNotFoundError, match=r"expected Images/<film>.png.*found masks"):
        landmark_films(tmp_path, "lungs")


def test_film_without_landmarks(folder: Path) -> None:
    Image.new("L", (64, 64)).save(folder / "Images" / "lonely.png")
    with pytest.raises(FileNotFoundError, match=r"lonely.png has no landmarks"):
        landmark_films(folder, "lungs")


def test_no_film_with_the_organ(tmp_path: Path) -> None:
    write_film(tmp_path, "CHNCXR_0004_0", heart=False)
    with pytest.raises(ValueError, match=r"no film in .* has the contours \['H'\] that heart"):
        landmark_films(tmp_path, "heart")


def test_unknown_organs() -> None:
    with pytest.raises(ValueError, match="organs must be one of lungs, heart, lungs-heart, got"):
        organ_names("liver")


def test_unreadable_film_is_named(folder: Path) -> None:
    path = folder / "Images" / "JPCLN001.png"
    path.write_bytes(path.read_bytes()[:200])
    film = {"id": "JPCLN001", "patient": "", "source": "", "image": "Images/JPCLN001.png"}
    with pytest.raises(ValueError, match=r"cannot read film .*JPCLN001.png"):
        LoadFilm(64, "lungs", folder)(film)
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read film .*JPCLN001.png"):
        LoadFilm(64, "lungs", folder)(film)


def test_film_that_is_not_square_is_named(tmp_path: Path) -> None:
    Image.new("L", (64, 48)).save(tmp_path / "wide.png")
    with pytest.raises(ValueError, match=r"wide.png must be square, got 64 x 48"):
        read_grey(tmp_path / "wide.png", 64)


@pytest.mark.parametrize("points", [np.zeros((2, 2)), np.zeros((4, 3)), np.full((4, 2), np.nan)])
def test_landmarks_that_are_no_polygon_are_named(folder: Path, points: np.ndarray) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", points)
    film = next(f for f in landmark_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match=r"landmarks .*JPCLN001.npy must be finite \(points, 2\)"):
        LoadFilm(64, "heart", folder)(film)


@pytest.mark.parametrize("points", [np.array(["a", "b"]), np.array([[1 + 1j, 2]])])
def test_landmarks_that_are_no_numbers_are_named(folder: Path, points: np.ndarray) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", points)
    film = next(f for f in landmark_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match=r"JPCLN001.npy must be one array of numbers"):
        LoadFilm(64, "heart", folder)(film)


def test_a_contour_outside_the_film_is_refused(folder: Path) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", HEART + 5000)
    film = next(f for f in landmark_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match="film JPCLN001 enclose no pixel of the image for heart"):
        LoadFilm(64, "heart", folder)(film)


def test_broken_landmark_file_is_named(folder: Path) -> None:
    (folder / "landmarks/H/JPCLN001.npy").write_bytes(b"\x93NUMPY")
    film = next(f for f in landmark_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match=r"cannot read landmarks .*JPCLN001.npy"):
        LoadFilm(64, "heart", folder)(film)


def test_real_films_have_lungs_and_hearts_of_the_usual_size(landmark_data: Path) -> None:
    films = landmark_films(landmark_data, "lungs-heart")
    assert len(films) >= 200
    load = LoadFilm(128, "lungs-heart", landmark_data)
    lungs, heart = np.mean([load(f)["label"].float().mean((1, 2)).numpy() for f in films[:20]], 0)
    assert 0.15 < lungs < 0.45
    assert 0.04 < heart < 0.16
