import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from layouts import HEADER, write_image, write_table
from PIL import Image

from cxr_noise_transforms.study.films import PAIRS, LoadLabelledFilm, classification_films
from cxr_noise_transforms.study.films.chestxray14 import image_places

ROWS = [
    ("00000001_000.png", "Effusion", 1),
    ("00000001_001.png", "Cardiomegaly|Effusion", 1),
    ("00000002_000.png", "Edema", 2),
    ("00000003_000.png", "Edema|Effusion", 3),
    ("00000004_000.png", "No Finding", 4),
    ("00000005_000.png", "Pleural_Thickening|Edema", 5),
]
TABLES = ["Data_Entry_2017.csv", "Data_Entry_2017_v2020.csv"]


def in_one_folder(number: int) -> str:  # noqa: ARG001
    return "images/"


def beside_the_table(number: int) -> str:  # noqa: ARG001
    return ""


def in_twelve_folders(number: int) -> str:
    return f"images_{number % 12 + 1:03d}/images/"


def write_folder(
    root: Path,
    place: Callable[[int], str] = in_one_folder,
    table: str = TABLES[0],
    rows: Sequence[tuple] = ROWS,
) -> Path:
    write_table(root, rows, table)
    for number, (image, _, _) in enumerate(rows):
        write_image(root / place(number) / image, 32)
    return root


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("place", [in_one_folder, beside_the_table, in_twelve_folders])
def test_a_film_with_one_of_the_two_alone_belongs_to_the_pair_and_the_second_is_positive(
    tmp_path: Path, place: Callable[[int], str], table: str
) -> None:
    write_folder(tmp_path, place, table)
    films = classification_films(tmp_path, "Effusion / Edema")
    assert [(f["id"], f["patient"], f["finding"], f["label"]) for f in films] == [
        ("00000001_000.png", "1", "Effusion", 0),
        ("00000002_000.png", "2", "Edema", 1),
    ]
    assert {film["source"] for film in films} == {"NIH"}
    for film in films:
        sample = LoadLabelledFilm(16, tmp_path)(film)
        assert sample["image"].shape == (1, 16, 16)
        assert sample["image"].dtype == torch.uint8
        assert sample["label"].tolist() == [film["label"]]
        assert sample["label"].dtype == torch.float32
        assert {
            k: sample[k] for k in ("id", "patient", "source", "finding")
        }.items() <= film.items()


def test_films_with_other_findings_belong_to_the_pair_on_request(tmp_path: Path) -> None:
    write_folder(tmp_path)
    films = classification_films(tmp_path, "Effusion / Edema", with_others=True)
    assert [(f["id"], f["finding"], f["label"]) for f in films] == [
        ("00000001_000.png", "Effusion", 0),
        ("00000001_001.png", "Effusion", 0),
        ("00000002_000.png", "Edema", 1),
        ("00000005_000.png", "Edema", 1),
    ]


def test_the_order_and_the_spaces_of_a_pair(tmp_path: Path) -> None:
    write_folder(tmp_path)
    one = classification_films(tmp_path, "Effusion/Edema")
    other = classification_films(tmp_path, " Edema /  Effusion ")
    assert one == [{**film, "label": 1 - film["label"]} for film in other]


def test_no_finding_is_one_too(tmp_path: Path) -> None:
    write_folder(tmp_path)
    films = classification_films(tmp_path, "No Finding / Edema")
    assert [film["label"] for film in films] == [1, 0]


def test_sources_are_read_where_the_table_has_them(tmp_path: Path) -> None:
    write_folder(tmp_path)
    lines = "Image Index,Finding Labels,Patient ID,Source\n"
    lines += "00000001_000.png,Effusion,1,Shenzhen\n00000002_000.png,Edema,2,\n"
    (tmp_path / TABLES[0]).write_text(lines)
    films = classification_films(tmp_path, "Effusion / Edema")
    assert [film["source"] for film in films] == ["Shenzhen", "NIH"]


def test_rows_that_end_in_a_comma(tmp_path: Path) -> None:
    table = write_folder(tmp_path) / TABLES[0]
    header, *rows = table.read_text().splitlines()
    for first in (header, header + ","):
        table.write_text("\n".join([first, *(f"{row}," for row in rows)]))
        assert len(classification_films(tmp_path, "Effusion / Edema")) == 2


def test_the_later_of_two_tables_counts(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_table(tmp_path, [(ROWS[0][0], "Nodule", 1), (ROWS[2][0], "Edema", 2)], TABLES[1])
    assert len(classification_films(tmp_path, "Nodule / Edema")) == 2


def test_the_folders_are_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No question to the file system per film: ChestX-ray14 has 112,120."""
    write_folder(tmp_path, in_twelve_folders)
    asked = Counter()
    scandir, stat = os.scandir, Path.stat

    def counted_stat(path: Path, **options: object) -> os.stat_result:
        asked["images"] += path.suffix == ".png"
        return stat(path, **options)

    def counted_scandir(path: Path) -> object:
        asked[str(path)] += 1
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted_scandir)
    monkeypatch.setattr(Path, "stat", counted_stat)
    classification_films(tmp_path, "Effusion / Edema")
    assert asked["images"] == 0
    assert asked[str(tmp_path / "images_001/images")] == 1


def test_phantoms_have_both_findings_in_turn() -> None:
    films = classification_films(None, "Effusion / Edema", phantoms=5)
    assert [film["finding"] for film in films] == ["Effusion", "Edema"] * 2 + ["Effusion"]
    assert [film["label"] for film in films] == [0, 1, 0, 1, 0]
    assert len({film["patient"] for film in films}) == 5


def test_a_phantom_shows_its_finding() -> None:
    films = classification_films(None, "No Finding / Effusion", phantoms=2)
    load = LoadLabelledFilm(64)
    ill = load(films[1])["image"].float()
    healthy = load({**films[1], "finding": "No Finding"})["image"].float()
    assert (ill - healthy).abs().max() > 5
    assert load(films[0])["label"].tolist() == [0]


@pytest.mark.parametrize("pair", PAIRS)
def test_phantoms_know_the_pairs_of_the_paper(pair: str) -> None:
    for film in classification_films(None, pair, phantoms=2):
        assert LoadLabelledFilm(32)(film)["finding"] == film["finding"]


def test_there_are_three_pairs_of_each_group() -> None:
    assert list(PAIRS.values()) == ["visually similar"] * 3 + ["visually distinct"] * 3


def test_phantoms_do_not_have_every_finding() -> None:
    with pytest.raises(ValueError, match=r"phantoms have the findings .*, not 'Hernia'"):
        classification_films(None, "Hernia / Edema")


@pytest.mark.parametrize(
    "pair", ["Edema", "Edema /", "/", "Edema / Edema", "Edema / Mass / Nodule"]
)
def test_what_is_no_pair(pair: str) -> None:
    with pytest.raises(ValueError, match=r"pair must be two different findings, .* got"):
        classification_films(None, pair)


def test_missing_folder_and_missing_table(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; expected Data_Entry_2017"):
        classification_films(tmp_path / "nowhere", "Effusion / Edema")
    with pytest.raises(FileNotFoundError, match="has no table of findings: expected Data_Entry"):
        classification_films(tmp_path, "Effusion / Edema")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'Image Index,"Finding\n'])
def test_an_unreadable_table_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TABLES[0]).write_bytes(content)
    with pytest.raises(ValueError, match=r"Data_Entry_2017.csv"):
        classification_films(tmp_path, "Effusion / Edema")


def test_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / TABLES[0]).write_text("Image Index,Labels,Age\na.png,Edema,5\n")
    with pytest.raises(
        ValueError, match=r"must have the columns .*, lacks Finding Labels, Patient ID"
    ):
        classification_films(tmp_path, "Effusion / Edema")


def test_an_unknown_finding_lists_those_there_are(tmp_path: Path) -> None:
    write_folder(tmp_path)
    with pytest.raises(
        ValueError,
        match=r"has the finding 'Efusion'; the table has Edema 3, Effusion 3, Cardiomegaly 1, No",
    ):
        classification_films(tmp_path, "Efusion / Edema")


def test_a_finding_without_a_film_of_its_own(tmp_path: Path) -> None:
    write_folder(tmp_path, rows=[("a.png", "Edema|Mass", 1), ("b.png", "Mass", 2)])
    with pytest.raises(ValueError, match=r"no film of the pair .* has Edema alone"):
        classification_films(tmp_path, "Mass / Edema")
    with pytest.raises(ValueError, match=r"no film of the pair .* has Edema without Mass"):
        classification_films(tmp_path, "Mass / Edema", with_others=True)


@pytest.mark.parametrize("patient", ["", " ", "NaN"])
def test_a_row_without_patient_is_named(tmp_path: Path, patient: str) -> None:
    write_folder(tmp_path, rows=[*ROWS, ("00000009_000.png", "Edema", patient)])
    with pytest.raises(
        ValueError, match=r"has no Patient ID in the row of image 00000009_000.png \(line 8\)"
    ):
        classification_films(tmp_path, "Effusion / Edema")


def test_missing_images_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for image, _, _ in ROWS[1:5]:
        (tmp_path / "images" / image).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"2 of the 4 images of Effusion / Edema .* is 00000001_001.png"
    ):
        classification_films(tmp_path, "Effusion / Edema", with_others=True)


def test_missing_images_of_other_films_do_not_matter(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "images/00000004_000.png").unlink()
    assert len(classification_films(tmp_path, "Effusion / Edema")) == 2


def test_an_image_with_two_rows_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, rows=[*ROWS, ROWS[2]])
    with pytest.raises(ValueError, match=r"one row per image, has 00000002_000.png more than once"):
        classification_films(tmp_path, "Effusion / Edema")


def test_hidden_files_and_folders_are_no_images(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    (tmp_path / "images/._a.png").write_bytes(b"of another program")
    (tmp_path / "images/b.png").mkdir()
    assert image_places(tmp_path) == {"a.png": "images/a.png"}


def test_an_image_in_two_folders_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_image(tmp_path / "images_003/images" / ROWS[0][0])
    with pytest.raises(
        ValueError,
        match=r"00000001_000.png must be in one folder .* images/00.* and images_003/images/00",
    ):
        classification_films(tmp_path, "Effusion / Edema")


def test_a_film_that_is_not_square_may_be_padded(tmp_path: Path) -> None:
    write_folder(tmp_path)
    film = classification_films(tmp_path, "Effusion / Edema")[0]
    Image.new("L", (64, 32), 200).save(tmp_path / film["image"])
    with pytest.raises(ValueError, match=r"00000001_000.png must be square, got 64 x 32"):
        LoadLabelledFilm(32, tmp_path)(film)
    assert LoadLabelledFilm(32, tmp_path, pad=True)(film)["image"].shape == (1, 32, 32)


def test_the_header_parses_as_in_the_real_table(nih64_data: Path) -> None:
    assert (nih64_data / TABLES[0]).read_text().startswith(HEADER)


def test_real_films_for_tuberculosis(tb_data: Path) -> None:
    films = classification_films(tb_data, "No Finding / Tuberculosis")
    assert Counter(film["finding"] for film in films) == {"Tuberculosis": 287, "No Finding": 279}
    assert {film["source"] for film in films} == {"Shenzhen"}
    # the file's name ends in the label
    assert all(film["id"].endswith(f"_{film['label']}.png") for film in films)
    assert LoadLabelledFilm(224, tb_data)(films[0])["image"].float().std() > 10


@pytest.mark.parametrize(
    ("pair", "alone", "with_others"),
    [
        ("Fibrosis / Pleural_Thickening", (12, 11), (29, 26)),
        ("Effusion / Edema", (65, 1), (151, 12)),
        ("Pneumothorax / Atelectasis", (16, 34), (37, 92)),
        ("Fibrosis / Infiltration", (12, 64), (26, 156)),
        ("Edema / Pleural_Thickening", (1, 11), (30, 28)),
        ("Nodule / Effusion", (19, 65), (32, 163)),
    ],
)
def test_real_films_of_the_pairs(
    nih64_data: Path, pair: str, alone: tuple[int, int], with_others: tuple[int, int]
) -> None:
    films = classification_films(nih64_data, pair)
    assert Counter(film["label"] for film in films) == dict(enumerate(alone))
    films = classification_films(nih64_data, pair, with_others=True)
    assert Counter(film["label"] for film in films) == dict(enumerate(with_others))
    for film in films:
        assert film["patient"] == str(int(film["id"].split("_")[0]))
