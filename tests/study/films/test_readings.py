"""Groups of films from the tables that come with them."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from layouts import HEADER, write_chexpert, write_ward
from tables import rows

from cxr_noise_transforms.study.films import LabelledFolder, MaskedFolder, with_groups
from cxr_noise_transforms.study.films.chexpert import chexpert_films
from cxr_noise_transforms.study.films.readings import read_groups

DATA = Path(os.environ.get("CXR_DATA", "../shared/cxr"))


def long_table(*images: str) -> pd.DataFrame:
    table = rows(np.full(len(images), 0.5), metric="dice")
    return table.assign(image=list(images))


def written(folder: Path, text: str) -> Path:
    path = folder / "readings.csv"
    path.write_text(text)
    return path


def test_a_finished_table_gets_columns(tmp_path: Path) -> None:
    readings = written(tmp_path, "image,sex,age\nb.png,F,61\na,M,\nc.png,,12\nz,F,9\n")
    table = pd.concat([long_table("a", "b", "c"), long_table("c", "a", "b").assign(sq=4.0)])
    found = with_groups(table, readings, ["sex", "age=40,60"])
    assert list(found.columns) == [*table.columns, "sex", "age"]
    of_film = {film: tuple(part.itertuples(index=False, name=None))
               for film, part in found.groupby("image")[["sex", "age"]]}  # fmt: skip
    assert of_film == {
        "a": (("M", "unknown"),) * 2,
        "b": (("F", "60 and over"),) * 2,
        "c": (("unknown", "under 40"),) * 2,
    }


def test_a_name_as_it_stands_goes_before_one_without_ending(tmp_path: Path) -> None:
    readings = written(tmp_path, "File,sex\na.png,first\na,second\na.1,third\n")
    groups = read_groups(readings, ["a.png", "a", "a.1"], ["sex"])
    assert [one["sex"] for one in groups.values()] == ["first", "second", "third"]
    readings = written(tmp_path, "File,sex\na.1,F\n")
    with pytest.raises(ValueError, match=r"has none for 1 of 1, the first is a$"):
        read_groups(readings, ["a"], ["sex"])


@pytest.mark.parametrize(
    ("first", "second", "film"),
    [
        ("a", "a", "a"),
        ("a", " a", "a"),
        ("a.png", "a.jpg", "a"),
        ("CheXpert-v1.0/train/x.jpg", "CheXpert-v1.0-small/train/x.jpg", "train/x"),
        ("./a", "a", "a"),
    ],
)
def test_rows_that_are_one_film_are_refused(
    tmp_path: Path, first: str, second: str, film: str
) -> None:
    readings = written(tmp_path, f"image,sex\n{first},F\n{second},M\nother,F\n")
    with pytest.raises(ValueError, match=f"has several of {film}: '{first}', '{second}'$"):
        read_groups(readings, ["other", film], ["sex"])
    assert read_groups(readings, ["other"], ["sex"]) == {"other": {"sex": "F"}}


@pytest.mark.parametrize("end", ["", ","])
def test_the_table_of_chestxray14(tmp_path: Path, end: str) -> None:
    row = f"00000001_000.png,Edema,0,1,058Y,M,PA,2682,2749,0.143,0.143{end}\n"
    readings = written(tmp_path, f"{HEADER}\n{row}")
    asked = ["Patient Gender", "Patient Age=40,60", "View Position"]
    found = read_groups(readings, ["00000001_000.png"], asked)
    assert list(found["00000001_000.png"].values()) == ["M", "40 to 59", "PA"]


def test_the_tables_of_chexpert(tmp_path: Path) -> None:
    no_findings: dict[str, float] = {}
    write_chexpert(tmp_path, [("train", 1, no_findings), ("valid", 2, no_findings)])
    films = [film["id"] for film in chexpert_films(tmp_path) if film["source"] == "train"]
    found = read_groups(tmp_path / "train.csv", films, ["Frontal/Lateral", "AP/PA", "Age=50"])
    assert [tuple(one.values()) for one in found.values()] == [
        ("Frontal", "AP", "50 and over"),
        ("Lateral", "unknown", "50 and over"),
    ]


@pytest.mark.skipif(not DATA.is_dir(), reason="real films are not here")
def test_the_real_tables() -> None:
    entries = DATA / "nih64" / "Data_Entry_2017.csv"
    asked = ["Patient Gender", "Patient Age=40,60", "View Position"]
    (groups,) = read_groups(entries, ["00000001_000.png"], asked).values()
    assert list(groups.values()) == ["M", "40 to 59", "PA"]
    clinical = DATA / "landmark" / "clinical.csv"
    (groups,) = read_groups(clinical, ["CHNCXR_0004_0"], ["Sex", "Age=40,60"]).values()
    assert list(groups.values()) == ["M", "40 to 59"]


def test_a_labelled_folder_takes_groups_from_its_labels(tmp_path: Path) -> None:
    ward = write_ward(tmp_path)
    table = pd.read_csv(ward / "labels.csv").assign(sex=["F", "M", "", "M", "F", "F"])
    table.to_csv(ward / "labels.csv", index=False)
    folder = LabelledFolder(ward / "films", ward / "labels.csv", 16, groups=["sex"])
    assert folder.labels == ["sick", "old"]
    assert [folder[n]["sex"] for n in range(6)] == ["F", "M", "unknown", "M", "F", "F"]
    # without being named it is a label, and not one
    with pytest.raises(ValueError, match="column sex of"):
        LabelledFolder(ward / "films", ward / "labels.csv", 16)


def test_folders_take_groups_from_readings(tmp_path: Path) -> None:
    ward = write_ward(tmp_path)
    names = [f"ward/{n:03}" for n in range(6)]
    readings = ward / "readings.csv"
    about = {"image": names, "age": [1, 40, 41, 60, 70, 80], "old": ["y", "n"] * 3}
    pd.DataFrame(about).to_csv(readings, index=False)
    options = {"groups": ["age=40,60", "old"], "readings": readings}
    labelled = LabelledFolder(ward / "films", ward / "labels.csv", 16, **options)
    # a column of the readings hides no label of the same name
    assert labelled.labels == ["sick", "old"]
    masked = MaskedFolder(ward / "films", {"lungs": ward / "lungs"}, 16, **options)
    for folder in (labelled, masked):
        assert folder[0]["age"] == "under 40"
        assert folder[3]["age"] == "60 and over"
        assert folder[3]["old"] == "n"
    with pytest.raises(ValueError, match="must have a table of readings, or of patients, got none"):
        MaskedFolder(ward / "films", {"lungs": ward / "lungs"}, 16, groups=["old"])


@pytest.mark.parametrize(
    ("text", "groups", "message"),
    [
        ("film,sex\na,F\n", ["sex"], "must have a column image, Image Index, File or Path, has fi"),
        ("image,age\na,1\n", ["sex"], "must have the column sex, has image, age"),
        ("image,sex\nb,F\n", ["sex"], "must have a row for every film, has none for 1 of 1, the f"),
        ("image,sex\na,F\na,M\n", ["sex"], "must have one row per film, has several of a"),
        ("image,age\na,old\n", ["age=40"], "age must be numbers to be cut at 40, got 'old'"),
        ("", ["sex"], "cannot read"),
    ],
)
def test_refusals(text: str, groups: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        with_groups(long_table("a"), written(tmp_path, text), groups)
    with pytest.raises(ValueError, match="cannot read"):
        with_groups(long_table("a"), tmp_path / "none.csv", ["sex"])


def test_repeated_rows_of_other_films_do_not_matter(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    readings = written(tmp_path, "image,sex\na,F\nz,M\nz,M\n")
    assert read_groups(readings, ["a"], ["sex"]) == {"a": {"sex": "F"}}
    assert not recwarn
