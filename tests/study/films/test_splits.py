import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_noise_transforms.study.films import classification_films, segmentation_films
from cxr_noise_transforms.study.films.splits import Split, open_split, split_by_patient

PARTS = ("train", "val", "test")


def films(per_source: dict[str, int], films_per_patient: int = 2) -> list[dict[str, Any]]:
    """Patients with equally many films, every other patient with label 1."""
    return [
        {
            "id": f"{source}-{n}-{k}",
            "patient": f"{source}-{n}",
            "source": source,
            "label": n % 2,
            "image": f"images/{source}-{n}-{k}.png",
        }
        for source, count in per_source.items()
        for n in range(count)
        for k in range(films_per_patient)
    ]


def ids(part: list[dict[str, Any]]) -> list[str]:
    return [film["id"] for film in part]


def check(split: Split, everything: list[dict[str, Any]]) -> None:
    """No patient in two parts, and every film in one."""
    patients = {part: {film["patient"] for film in split[part]} for part in PARTS}
    assert not patients["train"] & patients["val"]
    assert not patients["train"] & patients["test"]
    assert not patients["val"] & patients["test"]
    assert Counter(f["id"] for part in split.values() for f in part) == Counter(ids(everything))


@st.composite
def any_films(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Patients with some films each, now and then of another source or label, in any order."""
    patients = draw(st.integers(0, 80))
    one = st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.integers(1, 4))
    drawn = draw(st.lists(one, min_size=patients, max_size=patients))
    records = [
        {"patient": f"p{n}", "source": source, "label": label}
        for n, (source, label, count) in enumerate(drawn)
        for _ in range(count)
    ]
    for key, value in draw(st.lists(st.sampled_from([("source", "b"), ("label", 1)]), max_size=5)):
        if records:
            draw(st.sampled_from(records))[key] = value
    draw(st.randoms(use_true_random=False)).shuffle(records)
    return [{"id": str(n), **record} for n, record in enumerate(records)]


@given(
    any_films(),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["source", "label"]),
    st.sampled_from([None, "a"]),
)
@settings(deadline=None, derandomize=True, max_examples=200)
def test_no_patient_is_in_two_parts_whatever_the_films(
    everything: list[dict[str, Any]], seed: int, by: str, leave_out: str | None
) -> None:
    try:
        split = split_by_patient(everything, seed, by=by, leave_out=leave_out)
    except ValueError as error:
        # what cannot be split says so, and nothing else goes wrong
        words = ("too few patients", "patient must be in one part", "of both labels", "leave_out")
        assert any(word in str(error) for word in words)  # noqa: PT017
        return
    check(split, everything)
    for part in split.values():
        assert part
        if by == "label":
            assert {film["label"] for film in part} == {0, 1}
    if leave_out:
        assert {film["source"] for film in split["test"]} == {leave_out}
        assert leave_out not in {film["source"] for film in split["train"] + split["val"]}


@given(
    st.lists(st.integers(7, 60), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_patients_of_one_source_can_be_split(
    counts: list[int], per_patient: int, seed: int
) -> None:
    everything = films({f"s{n}": count for n, count in enumerate(counts)}, per_patient)
    check(split_by_patient(everything, seed), everything)


@pytest.mark.parametrize("by", ["source", "label"])
def test_parts_are_70_15_15_within_every_stratum(by: str) -> None:
    everything = films({"a": 200, "b": 100})
    split = split_by_patient(everything, by=by)
    whole = Counter(film[by] for film in everything)
    for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        counts = Counter(film[by] for film in split[part])
        for stratum, count in whole.items():
            assert abs(counts[stratum] - count * share) <= 2


@pytest.mark.parametrize("by", ["source", "label"])
def test_one_source_left_out_is_the_test_part(by: str) -> None:
    everything = films({"a": 200, "b": 100})
    split = split_by_patient(everything, by=by, leave_out="b")
    assert ids(split["test"]) == ids([film for film in everything if film["source"] == "b"])
    assert len(split["train"]) == 340
    assert len(split["val"]) == 60
    check(split, everything)


def test_a_source_that_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match="leave_out must be one of a, b, got 'c'"):
        split_by_patient(films({"a": 20, "b": 20}), leave_out="c")
    with pytest.raises(ValueError, match="too few patients to split"):
        split_by_patient(films({"a": 20}), leave_out="a")


def test_images_in_the_test_list_are_the_test_part(tmp_path: Path) -> None:
    everything = films({"a": 200})
    listed = [film for film in everything if int(film["patient"].split("-")[1]) < 50]
    names = "".join(f"{film['id']}.png\n" for film in listed)
    (tmp_path / "test_list.txt").write_text(names + "of_another_film.png\n")
    split = split_by_patient(everything, by="label", test_list=tmp_path / "test_list.txt")
    assert ids(split["test"]) == ids(listed)
    # 85 % of 150 patients, 127.5, with 2 films each
    assert len(split["train"]) in (254, 256)
    check(split, everything)


def test_a_listed_name_may_have_spaces(tmp_path: Path) -> None:
    everything = films({"a": 40})
    everything[0]["image"], everything[1]["image"] = "first film.png", "second film.png"
    names = ["first film.png", "second film.png", "a-1-0.png", "a-1-1.png"]
    (tmp_path / "test_list.txt").write_text("\r\n".join(names))
    split = split_by_patient(everything, test_list=tmp_path / "test_list.txt")
    assert ids(split["test"]) == ids(everything[:4])


def test_a_patient_on_both_sides_of_the_test_list(tmp_path: Path) -> None:
    everything = films({"a": 40})
    (tmp_path / "test_list.txt").write_text("a-0-0.png\na-0-1.png\na-7-1.png")
    with pytest.raises(ValueError, match=r"patient a-7 has films in (train|val) and test"):
        split_by_patient(everything, test_list=tmp_path / "test_list.txt")


def test_a_test_list_of_other_films(tmp_path: Path) -> None:
    path = tmp_path / "test_list.txt"
    with pytest.raises(FileNotFoundError, match=r"test_list\.txt"):
        split_by_patient(films({"a": 40}), test_list=path)
    path.write_text("one.png\ntwo.png\n")
    with pytest.raises(ValueError, match=r"test_list.txt must name .* 80 films.* none of its 2"):
        split_by_patient(films({"a": 40}), test_list=path)
    with pytest.raises(ValueError, match=r"none of its 2"):
        split_by_patient(segmentation_films(None, "lungs", phantoms=20), test_list=path)
    with pytest.raises(ValueError, match="give one of them"):
        split_by_patient(films({"a": 40}), test_list=path, leave_out="a")


def test_a_patient_of_two_sources_cannot_be_left_out() -> None:
    everything = films({"a": 40, "b": 10})
    everything[0]["patient"] = "b-0"
    with pytest.raises(ValueError, match=r"patient b-0 has films in (train|val) and test"):
        split_by_patient(everything, leave_out="b")


def test_a_patient_of_both_labels_counts_as_most_of_his_films() -> None:
    everything = films({"a": 100}, 3)
    for film in everything:
        if film["id"].endswith("-0"):
            film["label"] = 1 - film["label"]
    for seed in range(5):
        split = split_by_patient(everything, seed, by="label")
        for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
            odd = {f["patient"] for f in split[part] if int(f["patient"].split("-")[1]) % 2}
            assert abs(len(odd) - 50 * share) <= 1


def test_every_part_needs_both_labels(tmp_path: Path) -> None:
    everything = films({"a": 40}, 1)
    path = tmp_path / "split.json"
    split = open_split(path, everything, 0, by="label")
    stored = json.loads(path.read_text())
    moved = [film for film in stored["val"] if film["label"] == 0]
    stored["val"] = [film for film in stored["val"] if film["label"] == 1]
    stored["train"] += moved
    path.write_text(json.dumps(stored))
    count = len(split["val"]) - len(moved)
    with pytest.raises(
        ValueError,
        match=rf"part val in .*split.json must have films of both labels, has {count} with label 1",
    ):
        open_split(path, everything, 0, by="label")


def test_seed_decides_the_split() -> None:
    everything = films({"a": 40})
    assert split_by_patient(everything, 1) == split_by_patient(everything, 1)
    assert split_by_patient(everything, 1) != split_by_patient(everything, 2)


def test_the_order_of_the_films_does_not_matter() -> None:
    everything = films({"a": 40, "b": 30})
    one, other = split_by_patient(everything), split_by_patient(everything[::-1])
    assert {p: set(ids(one[p])) for p in PARTS} == {p: set(ids(other[p])) for p in PARTS}


@pytest.mark.parametrize("counts", [{"a": 2}, {"a": 40, "b": 2}, {"a": 16, "b": 4}, {}])
def test_too_few_patients(counts: dict[str, int]) -> None:
    with pytest.raises(
        ValueError, match=r"too few patients to split .* got (\d+ with source a|none)"
    ):
        split_by_patient(films(counts))


@pytest.mark.parametrize("counts", [{"a": 7}, {"a": 20, "b": 10}, {"a": 7, "b": 9, "c": 200}])
def test_every_source_is_in_every_part(counts: dict[str, int]) -> None:
    for part in split_by_patient(films(counts)).values():
        assert {film["source"] for film in part} == set(counts)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="by must be 'source' or 'label', got 'age'"):
        split_by_patient(films({"a": 40}), by="age")
    with pytest.raises(ValueError, match=r"seed must be in \[0, 2\^32\), got -1"):
        split_by_patient(films({"a": 40}), -1)


def test_split_is_written_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run" / "split.json"
    everything = segmentation_films(None, "lungs", phantoms=20)
    first = open_split(path, everything, 0)
    check(first, everything)
    written = path.read_bytes()
    assert open_split(str(path), everything, 0) == first
    assert path.read_bytes() == written
    assert list(path.parent.iterdir()) == [path]


def test_split_of_other_settings_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "split.json", tmp_path / "list.txt"
    everything = films({"a": 40, "b": 20})
    open_split(path, everything, 0)
    other.write_text("a-1-0.png\na-1-1.png\n")
    for settings_, message in (
        ({"seed": 5}, "seed 0, not of 5"),
        ({"seed": 0, "by": "label"}, "by source, not of label"),
        ({"seed": 0, "leave_out": "b"}, "leave_out None, not of b"),
        ({"seed": 0, "test_list": other}, r"test_list None, not of list.txt \("),
    ):
        with pytest.raises(ValueError, match=f"split.json is the split of {message}"):
            open_split(path, everything, **settings_)


def test_another_test_list_of_the_same_name_is_refused(tmp_path: Path) -> None:
    path, given_ = tmp_path / "split.json", tmp_path / "list.txt"
    given_.write_text("a-1-0.png\na-1-1.png\n")
    first = open_split(path, films({"a": 40}), 0, test_list=given_)
    assert open_split(path, films({"a": 40}), 0, test_list=given_) == first
    given_.write_text("a-2-0.png\na-2-1.png\n")
    with pytest.raises(ValueError, match=r"test_list list.txt \(\w+\), not of list.txt \(\w+\)"):
        open_split(path, films({"a": 40}), 0, test_list=given_)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"train": [1], "val": [], "test": []}'])
def test_a_damaged_split_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"split.json is no split"):
        open_split(path, films({"a": 40}), 0)


def test_split_of_other_films_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    open_split(path, segmentation_films(None, "lungs", phantoms=20), 0)
    with pytest.raises(
        ValueError, match=r"splits other films \(20\) than the data holds now \(21; 20 in both"
    ):
        open_split(path, segmentation_films(None, "lungs", phantoms=21), 0)


def test_a_film_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    everything = films({"a": 40})
    open_split(path, everything, 0)
    stored = json.loads(path.read_text())
    stored["train"].append(stored["train"][0])
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=r"splits other films \(81\) .* \(80; 80 in both"):
        open_split(path, everything, 0)


def move_to_test(path: Path, films_: int) -> str:
    """Move the first films of the training part, 2 of one patient or 1 of them."""
    stored = json.loads(path.read_text())
    stored["test"] += stored["train"][:films_]
    patient = stored["train"][0]["patient"]
    stored["train"] = stored["train"][films_:]
    path.write_text(json.dumps(stored))
    return patient


def test_a_patient_moved_by_hand_stays_there(tmp_path: Path) -> None:
    path, everything = tmp_path / "split.json", films({"a": 40})
    before = open_split(path, everything, 0)
    patient = move_to_test(path, 2)
    split = open_split(path, everything, 0)
    assert patient in {film["patient"] for film in split["test"]}
    assert len(split["train"]) == len(before["train"]) - 2
    check(split, everything)


def test_a_patient_moved_in_part_is_refused(tmp_path: Path) -> None:
    path, everything = tmp_path / "split.json", films({"a": 40})
    open_split(path, everything, 0)
    patient = move_to_test(path, 1)
    with pytest.raises(
        ValueError, match=rf"patient {patient} has films in train and test in .*split.json"
    ):
        open_split(path, everything, 0)


def test_an_empty_part_is_refused(tmp_path: Path) -> None:
    path, everything = tmp_path / "split.json", films({"a": 40})
    open_split(path, everything, 0)
    stored = json.loads(path.read_text())
    stored["train"] += stored.pop("val")
    path.write_text(json.dumps({**stored, "val": []}))
    with pytest.raises(ValueError, match=r"part val in .*split.json must have films, has none"):
        open_split(path, everything, 0)


def test_records_are_those_of_the_data_not_of_the_file(tmp_path: Path) -> None:
    path, everything = tmp_path / "split.json", films({"a": 40})
    open_split(path, everything, 0)
    moved = [{**film, "image": f"images_001/{film['image']}"} for film in everything]
    for part in open_split(path, moved, 0).values():
        assert all(film["image"].startswith("images_001/") for film in part)


def test_a_patient_that_the_data_names_anew_is_checked(tmp_path: Path) -> None:
    path, everything = tmp_path / "split.json", films({"a": 40})
    split = open_split(path, everything, 0)
    one, other = split["train"][0]["id"], split["test"][0]["id"]
    merged = [{**f, "patient": "same"} if f["id"] in (one, other) else f for f in everything]
    with pytest.raises(ValueError, match=r"patient same has films in train and test"):
        open_split(path, merged, 0)


def test_real_films_for_tuberculosis(tb_data: Path, tmp_path: Path) -> None:
    everything = classification_films(tb_data, "No Finding / Tuberculosis")
    split = open_split(tmp_path / "split.json", everything, 0, by="label")
    check(split, everything)
    assert [len(split[part]) for part in PARTS] == [396, 85, 85]
    for part in split.values():
        assert abs(sum(film["label"] for film in part) / len(part) - 287 / 566) < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_real_films_of_patients_with_many(nih64_data: Path, seed: int) -> None:
    everything = classification_films(nih64_data, "No Finding / Effusion")
    check(split_by_patient(everything, seed, by="label"), everything)


def test_real_films_with_one_source_left_out(landmark_data: Path) -> None:
    everything = segmentation_films(landmark_data, "lungs")
    split = split_by_patient(everything, leave_out="Shenzhen")
    assert [len(split[part]) for part in PARTS] == [209, 37, 352]
