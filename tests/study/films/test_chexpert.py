from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from layouts import write_chexpert

from cxr_noise_transforms.study.films.chexpert import (
    FINDINGS,
    FIVE,
    PHANTOM_RULES,
    PREVALENCE,
    LoadStudyFilm,
    chexpert_films,
    missing_where_uncertain,
    read_chexpert_table,
)
from cxr_noise_transforms.study.films.splits import split_by_patient

PATIENTS = [("train", 1, {"Edema": 1, "Atelectasis": -1}), ("train", 2, {"Edema": 0}),
            ("valid", 9, {"Edema": 1, "Consolidation": 0})]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_chexpert(tmp_path / "CheXpert-v1.0-small", PATIENTS)


def test_films_have_part_patient_view_and_labels(folder: Path) -> None:
    films = chexpert_films(folder, ["Edema", "Atelectasis"])
    assert [(f["id"], f["patient"], f["source"], f["view"], f["labels"]) for f in films] == [
        (f"{part}/patient{n:05d}/study1/{view}.jpg", f"patient{n:05d}", part, view[6:], labels)
        for part, n, labels in (("train", 1, [1, -1]), ("train", 2, [0, 0]), ("valid", 9, [1, 0]))
        for view in ("view1_frontal", "view2_lateral")
    ]
    assert chexpert_films(folder, ["Edema"], "lateral") == [
        {**film, "labels": film["labels"][:1]} for film in films if film["view"] == "lateral"
    ]


def test_a_film_is_loaded_with_its_labels(folder: Path) -> None:
    film = chexpert_films(folder)[0]
    load = LoadStudyFilm(40, folder)
    loaded = load(film)
    assert loaded["image"].shape == (1, 40, 40)
    assert loaded["image"].dtype == torch.uint8
    assert dict(zip(FIVE, loaded["label"].tolist(), strict=True)) == {
        "Atelectasis": -1, "Cardiomegaly": 0, "Consolidation": 0, "Edema": 1, "Pleural Effusion": 0
    }  # fmt: skip
    assert load.files(film) == [folder / film["image"]]
    assert missing_where_uncertain(loaded["label"]).isnan().tolist() == [True, *[False] * 4]


def edit(
    folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "train.csv"
) -> None:
    change(pd.read_csv(folder / name)).to_csv(folder / name, index=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["Edema", "Fracture"]), "lacks Edema, Fracture"),
        (lambda t: t.assign(Edema=2.0), "Edema must be 1, 0, -1 or blank, got 2.0 in line 2"),
        (lambda t: t.assign(Edema="yes"), "Edema must be 1, 0, -1 or blank, got yes in line 2"),
        (lambda t: t.assign(Path="a/p1.jpg"), "a path must name its patient, as .* got a/p1.jpg"),
        (lambda t: t.assign(Path=t.Path[0]), "each path must be there once, got .* in line 3"),
        (lambda t: t.assign(**{"Frontal/Lateral": "Oblique"}), "a view must be Frontal or Lateral"),
    ],
)
def test_a_table_of_another_kind_is_refused(
    folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(ValueError, match=message):
        chexpert_films(folder)


def test_a_patient_in_both_tables_is_refused(folder: Path) -> None:
    for name in ("train.csv", "valid.csv"):
        edit(folder, lambda t: t.assign(Path=t.Path.str.replace("00009", "00001")), name)
    with pytest.raises(ValueError, match="patient00001 is in both"):
        chexpert_films(folder)


def test_missing_images_are_counted_and_the_first_is_named(folder: Path) -> None:
    films = chexpert_films(folder)
    for film in films[1:3]:
        (folder / film["image"]).unlink()
    with pytest.raises(FileNotFoundError, match=f"2 of 6 images .* the first is {films[1]['id']}"):
        chexpert_films(folder)


def test_a_folder_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"must hold train.csv.*CheXpert-v1.0-small/ in it"):
        chexpert_films(folder.parent)
    with pytest.raises(FileNotFoundError, match=r"does not exist; expected train.csv, valid.csv"):
        chexpert_films(folder / "no")


def test_laterals_where_none_are_are_refused(folder: Path) -> None:
    edit(folder, lambda t: t.drop(index=1), "valid.csv")
    with pytest.raises(ValueError, match=r"valid.csv must list lateral films, lists none"):
        chexpert_films(folder, view="lateral")
    with pytest.raises(ValueError, match="phantoms are frontal"):
        chexpert_films(None, view="lateral")
    with pytest.raises(ValueError, match="view must be frontal, lateral or None, got 'oblique'"):
        chexpert_films(None, view="oblique")


@pytest.mark.parametrize("findings", [["Scoliosis"], [], ["Edema", "Edema"], ["Fracture"]])
def test_unknown_findings_are_refused(findings: list[str]) -> None:
    with pytest.raises(ValueError, match="findings must be some of the phantoms, each once"):
        chexpert_films(None, findings)


def test_valid_is_the_test_part_and_train_is_split_by_patient() -> None:
    split = split_by_patient(chexpert_films(None, phantoms=80), leave_out="valid")
    assert {part: len(films) for part, films in split.items()} == {
        "train": 51,
        "val": 9,
        "test": 20,
    }
    assert {film["source"] for film in split["test"]} == {"valid"}


def test_labels_of_phantoms_follow_the_stated_process() -> None:
    films = chexpert_films(None, phantoms=4000)
    train = [film for film in films if film["source"] == "train"]
    for place, (finding, (rule, of_positives, of_negatives)) in enumerate(PHANTOM_RULES.items()):
        truth = np.array([rule in film["shown"] for film in films])
        assert abs(truth.mean() - PREVALENCE) <= 5 * (PREVALENCE * 0.6 / len(films)) ** 0.5, finding
        for positive, share in ((True, of_positives), (False, of_negatives)):
            labels = [f["labels"][place] for f in train if (rule in f["shown"]) == positive]
            hidden = labels.count(-1) / len(labels)
            assert abs(hidden - share) <= 5 * (share * (1 - share) / len(labels)) ** 0.5, finding
            assert set(labels) == {-1.0, float(positive)}
    assert all(
        film["labels"] == [float(rule in film["shown"]) for rule, *_ in PHANTOM_RULES.values()]
        for film in films
        if film["source"] == "valid"
    )


def test_a_person_is_the_same_whatever_is_asked_for() -> None:
    whole, part = (chexpert_films(None, some, phantoms=40) for some in (FIVE, FIVE[::-2]))
    assert [film["labels"][::-2] for film in whole] == [film["labels"] for film in part]
    images = [LoadStudyFilm(32)(films[0])["image"] for films in (whole, part)]
    assert torch.equal(*images)


def test_the_real_table_has_what_the_reader_says(chexpert_table: Path) -> None:
    table = read_chexpert_table(chexpert_table, "train")
    raw = pd.read_csv(chexpert_table)
    assert (len(table), table.patient.nunique(), table.study.nunique()) == (4046, 1200, 3398)
    assert (table["view"] == "lateral").sum() == raw["AP/PA"].isna().sum() == 596
    for finding in FINDINGS:
        counts = [(table[finding] == value).sum() for value in (1, 0, -1)]
        assert counts == [(raw[finding] == value).sum() for value in (1, 0, -1)]
    # views of a study agree, and No Finding goes with devices alone
    assert (table.groupby("study")[list(FINDINGS)].nunique(dropna=False) < 2).all(axis=None)
    healthy = table[table["No Finding"] == 1][list(FINDINGS[1:])].fillna(0)
    assert set(healthy.columns[(healthy != 0).any()]) == {"Support Devices"}
