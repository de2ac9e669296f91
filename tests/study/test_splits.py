import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_noise_transforms.study.datasets import phantom_films
from cxr_noise_transforms.study.splits import open_split, split_by_patient


def films(per_source: dict[str, int], films_per_patient: int = 2) -> list[dict[str, Any]]:
    return [
        {"id": f"{source}-{n}-{k}", "patient": f"{source}-{n}", "source": source}
        for source, count in per_source.items()
        for n in range(count)
        for k in range(films_per_patient)
    ]


@given(
    st.lists(st.integers(7, 60), min_size=1, max_size=4),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_no_patient_is_in_two_parts_and_no_film_is_lost(
    counts: list[int], per_patient: int, seed: int
) -> None:
    everything = films({f"s{n}": count for n, count in enumerate(counts)}, per_patient)
    split = split_by_patient(everything, seed)
    patients = {part: {film["patient"] for film in split[part]} for part in split}
    assert not patients["train"] & patients["val"]
    assert not patients["train"] & patients["test"]
    assert not patients["val"] & patients["test"]
    assert Counter(f["id"] for part in split.values() for f in part) == Counter(
        f["id"] for f in everything
    )


def test_parts_are_70_15_15_within_every_source() -> None:
    split = split_by_patient(films({"a": 200, "b": 100}))
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        counts = Counter(film["source"] for film in split[part])
        assert abs(counts["a"] - 400 * share) <= 2
        assert abs(counts["b"] - 200 * share) <= 2


def test_seed_decides_the_split() -> None:
    everything = films({"a": 40})
    assert split_by_patient(everything, 1) == split_by_patient(everything, 1)
    assert split_by_patient(everything, 1) != split_by_patient(everything, 2)


@pytest.mark.parametrize("counts", [{"a": 2}, {"a": 40, "b": 2}, {"a": 16, "b": 4}, {}])
def test_too_few_patients(counts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"too few patients to split .* got (a \d+|none)"):
        split_by_patient(films(counts))


@pytest.mark.parametrize("counts", [{"a": 7}, {"a": 20, "b": 10}, {"a": 7, "b": 9, "c": 200}])
def test_every_source_is_in_every_part(counts: dict[str, int]) -> None:
    for part in split_by_patient(films(counts)).values():
        assert {film["source"] for film in part} == set(counts)


def test_split_is_written_once_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run" / "split.json"
    options = {"data_dir": None, "organs": "lungs", "phantoms": 20}
    first = open_split(path, seed=0, **options)
    assert {film["id"] for part in first.values() for film in part} == {
        film["id"] for film in phantom_films(20)
    }
    assert open_split(path, seed=0, **options) == first
    assert json.loads(path.read_text())["seed"] == 0
    with pytest.raises(ValueError, match=r"split.json is the split of seed 0, not of 5"):
        open_split(path, seed=5, **options)


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_damaged_split_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"split.json is no split"):
        open_split(path, data_dir=None, organs="lungs", phantoms=20, seed=0)


def test_split_of_other_films_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    open_split(path, data_dir=None, organs="lungs", phantoms=20, seed=0)
    with pytest.raises(ValueError, match=r"splits other films \(20\) than the data holds now \(21"):
        open_split(path, data_dir=None, organs="lungs", phantoms=21, seed=0)
