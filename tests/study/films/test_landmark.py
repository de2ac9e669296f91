from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts import HEART, LEFT, RIGHT, write_annotated
from PIL import Image

from cxr_noise_transforms.study.films import LoadMaskedFilm, organ_names, segmentation_films

NUMBER = "26740916849083948015827135783885268528"


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_annotated(tmp_path, "JPCLN001")
    write_annotated(tmp_path, "CHNCXR_0004_0", heart=False)
    write_annotated(tmp_path, "MCUCXR_0017_1", heart=False)
    write_annotated(tmp_path, f"{NUMBER}_e8uwfn")
    write_annotated(tmp_path, f"{NUMBER}-2_6hkbx5")
    return tmp_path


def test_films_come_with_patient_and_source(folder: Path) -> None:
    found = Counter((f["patient"], f["source"]) for f in segmentation_films(folder, "lungs"))
    assert found == {
        ("JPCLN001", "JSRT"): 1,
        ("CHNCXR_0004", "Shenzhen"): 1,
        ("MCUCXR_0017", "Montgomery"): 1,
        (NUMBER, "PadChest"): 2,
    }


def test_clinical_csv_names_the_source(folder: Path) -> None:
    (folder / "clinical.csv").write_text(
        f"File,Dataset\nJPCLN001.png,Elsewhere\n{NUMBER}_e8uwfn.png,Padchest\n"
    )
    sources = {film["id"]: film["source"] for film in segmentation_films(folder, "lungs")}
    assert sources["JPCLN001"] == "Elsewhere"
    assert sources["CHNCXR_0004_0"] == "Shenzhen"
    assert sources[f"{NUMBER}_e8uwfn"] == sources[f"{NUMBER}-2_6hkbx5"] == "PadChest"


def test_clinical_csv_names_the_patient_where_it_knows_him(folder: Path) -> None:
    (folder / "clinical.csv").write_text(
        f"File,Dataset,PatientID\nJPCLN001.png,JSRT,\n{NUMBER}_e8uwfn.png,Padchest,17\n"
    )
    patients = {film["id"]: film["patient"] for film in segmentation_films(folder, "lungs")}
    assert patients["JPCLN001"] == "JPCLN001"
    assert patients[f"{NUMBER}_e8uwfn"] == "PadChest-17"
    assert patients[f"{NUMBER}-2_6hkbx5"] == NUMBER


def test_a_film_may_be_called_na(tmp_path: Path) -> None:
    write_annotated(tmp_path, "NA")
    (tmp_path / "clinical.csv").write_text("File,Dataset,PatientID\nNA,None,NA\n")
    [film] = segmentation_films(tmp_path, "lungs")
    assert (film["id"], film["source"], film["patient"]) == ("NA", "None", "None-NA")


def test_clinical_csv_without_its_columns(folder: Path) -> None:
    (folder / "clinical.csv").write_text("File,Source\n")
    with pytest.raises(ValueError, match=r"clinical.csv must have the columns .* lacks \['Data"):
        segmentation_films(folder, "lungs")


def test_a_name_of_no_source(folder: Path) -> None:
    write_annotated(folder, "film")
    found = {(f["patient"], f["source"]) for f in segmentation_films(folder, "lungs")}
    assert ("film", "unknown") in found


@pytest.mark.parametrize("organs", ["heart", "lungs-heart"])
def test_heart_tasks_keep_the_films_with_hearts(folder: Path, organs: str) -> None:
    assert {film["source"] for film in segmentation_films(folder, organs)} == {"JSRT", "PadChest"}


def test_films_of_one_source(folder: Path) -> None:
    films = segmentation_films(folder, "lungs", source="Montgomery")
    assert [film["id"] for film in films] == ["MCUCXR_0017_1"]


def test_a_source_that_is_not_there(folder: Path) -> None:
    with pytest.raises(
        ValueError, match="one of JSRT, Montgomery, PadChest, Shenzhen, got 'Elsewhere'"
    ):
        segmentation_films(folder, "lungs", source="Elsewhere")
    with pytest.raises(ValueError, match="source must be one of phantom, got 'JSRT'"):
        segmentation_films(None, "lungs", source="JSRT", phantoms=2)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_masks_fill_the_polygons_at_any_size(folder: Path, size: int) -> None:
    film = next(f for f in segmentation_films(folder, "heart") if f["id"] == "JPCLN001")
    sample = LoadMaskedFilm(size, "lungs-heart", folder)(film)
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
    films = segmentation_films(None, "lungs-heart", phantoms=3)
    assert len(films) == 3
    sample = LoadMaskedFilm(64, "lungs-heart")(films[2])
    assert sample["id"] == "phantom-000002"
    assert sample["image"].shape == (1, 64, 64)
    assert sample["label"].unique().tolist() == [0, 1]
    assert not (sample["label"][0] & sample["label"][1]).any()


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist; expected Images/"):
        segmentation_films(tmp_path / "nowhere", "lungs")


def test_another_layout_says_what_was_expected_and_found(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    with pytest.raises(FileNotFoundError, match=r"expected Images/<film>.png.*found masks"):
        segmentation_films(tmp_path, "lungs")


def test_names_with_dots_keep_what_belongs_to_them(tmp_path: Path) -> None:
    for stem in ("JPCLN1", "JPCLN1.2"):
        write_annotated(tmp_path, stem)
    rows = ["File,Dataset,PatientID", "JPCLN1.2,Two,b", "JPCLN1.png,One,a"]
    (tmp_path / "clinical.csv").write_text("\n".join(rows))
    found = segmentation_films(tmp_path, "lungs")
    assert [(film["id"], film["source"], film["patient"]) for film in found] == [
        ("JPCLN1.2", "Two", "Two-b"),
        ("JPCLN1", "One", "One-a"),
    ]
    (tmp_path / "clinical.csv").write_text("\n".join([*rows, "JPCLN1,Three,c"]))
    with pytest.raises(ValueError, match=r"clinical.csv must have one row per film, has several"):
        segmentation_films(tmp_path, "lungs")


def test_hidden_files_and_folders_are_no_films(folder: Path) -> None:
    before = segmentation_films(folder, "lungs")
    (folder / "Images" / "._JPCLN001.png").write_bytes(b"of another program")
    (folder / "Images" / "folder.png").mkdir()
    assert segmentation_films(folder, "lungs") == before


def test_film_without_landmarks(folder: Path) -> None:
    Image.new("L", (64, 64)).save(folder / "Images" / "lonely.png")
    with pytest.raises(FileNotFoundError, match=r"lonely.png has no landmarks"):
        segmentation_films(folder, "lungs")


def test_no_film_with_the_organ(folder: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no film of source Shenzhen in .* has the contours \['H'\] that heart"
    ):
        segmentation_films(folder, "heart", source="Shenzhen")


def test_unknown_organs() -> None:
    with pytest.raises(ValueError, match="organs must be one of lungs, heart, lungs-heart, got"):
        organ_names("liver")


def test_unreadable_film_is_named(folder: Path) -> None:
    path = folder / "Images" / "JPCLN001.png"
    path.write_bytes(path.read_bytes()[:200])
    film = {"id": "JPCLN001", "patient": "", "source": "", "image": "Images/JPCLN001.png"}
    with pytest.raises(ValueError, match=r"cannot read film .*JPCLN001.png"):
        LoadMaskedFilm(64, "lungs", folder)(film)
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot read film .*JPCLN001.png"):
        LoadMaskedFilm(64, "lungs", folder)(film)


@pytest.mark.parametrize("points", [np.zeros((2, 2)), np.zeros((4, 3)), np.full((4, 2), np.nan)])
def test_landmarks_that_are_no_polygon_are_named(folder: Path, points: np.ndarray) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", points)
    film = next(f for f in segmentation_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match=r"landmarks .*JPCLN001.npy must be finite \(points, 2\)"):
        LoadMaskedFilm(64, "heart", folder)(film)


@pytest.mark.parametrize("points", [np.array(["a", "b"]), np.array([[1 + 1j, 2]])])
def test_landmarks_that_are_no_numbers_are_named(folder: Path, points: np.ndarray) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", points)
    film = next(f for f in segmentation_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match=r"JPCLN001.npy must be one array of numbers"):
        LoadMaskedFilm(64, "heart", folder)(film)


def test_landmarks_of_a_larger_image_are_refused(folder: Path) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", HEART * 2)
    film = next(f for f in segmentation_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(
        ValueError, match=r"JPCLN001.npy must be pixels of a 1024 x 1024 image, got 840 to 1520"
    ):
        LoadMaskedFilm(64, "heart", folder)(film)


def test_a_contour_outside_the_film_is_refused(folder: Path) -> None:
    np.save(folder / "landmarks/H/JPCLN001.npy", 1030 + HEART / 50)
    film = next(f for f in segmentation_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match="film JPCLN001 enclose no pixel of the image for heart"):
        LoadMaskedFilm(64, "heart", folder)(film)


def test_broken_landmark_file_is_named(folder: Path) -> None:
    (folder / "landmarks/H/JPCLN001.npy").write_bytes(b"\x93NUMPY")
    film = next(f for f in segmentation_films(folder, "heart") if f["id"] == "JPCLN001")
    with pytest.raises(ValueError, match=r"cannot read landmarks .*JPCLN001.npy"):
        LoadMaskedFilm(64, "heart", folder)(film)


def test_real_films_are_all_there(landmark_data: Path) -> None:
    films = segmentation_films(landmark_data, "lungs")
    assert Counter(film["source"] for film in films) == {"JSRT": 246, "Shenzhen": 352}
    assert len({film["patient"] for film in films}) == 598
    assert len(segmentation_films(landmark_data, "heart")) == 246


def test_real_films_have_lungs_and_hearts_of_the_usual_size(landmark_data: Path) -> None:
    films = segmentation_films(landmark_data, "lungs-heart")
    load = LoadMaskedFilm(128, "lungs-heart", landmark_data)
    lungs, heart = np.mean([load(f)["label"].float().mean((1, 2)).numpy() for f in films[:20]], 0)
    assert 0.15 < lungs < 0.45
    assert 0.04 < heart < 0.16
