"""A folder of finished cells: it goes on, and answers for nothing else."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from small_films import (
    CELLS,
    PATIENTS,
    SHORT,
    Convolution,
    Films,
    Scores,
    classified,
    films,
    loader,
    seen,
    stopped_after,
)
from torch import Tensor
from torch.utils.data import DataLoader

from cxr_noise_transforms.study.evaluation.measures import Measured
from cxr_noise_transforms.study.evaluation.stress import stress_test


def test_files_hold_what_the_call_returned(tmp_path: Path) -> None:
    expected = classified(None).to_csv()
    assert classified(tmp_path).to_csv() == expected
    assert len(list(tmp_path.iterdir())) == len(CELLS)
    # nothing is left to measure
    with stopped_after(0):
        assert classified(tmp_path).to_csv() == expected


@pytest.mark.parametrize("at_once", [1, 2])
def test_killed_at_any_batch_it_goes_on_to_the_same_bytes(tmp_path: Path, at_once: int) -> None:
    options = {"noise_seeds": (0, 1), "cells_at_once": at_once}
    whole = classified(tmp_path / "whole", **options).to_csv()
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    batches = 3 * len(CELLS) * 2
    for calls in range(batches):
        out = tmp_path / str(calls)
        with stopped_after(calls), pytest.raises(KeyboardInterrupt):
            classified(out, **options)
        assert len(list(out.glob("*"))) == calls // (3 * at_once) * at_once
        # only what was missing is measured
        with stopped_after(batches - calls // (3 * at_once) * 3 * at_once):
            assert classified(out, **options).to_csv() == whole
        assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_more_cells_and_seeds_are_added_to_a_folder(tmp_path: Path) -> None:
    classified(tmp_path, cells=CELLS[:2])
    with stopped_after(3 * 4):
        table = classified(tmp_path, noise_seeds=(0, 1))
    pd.testing.assert_frame_equal(table, classified(None, noise_seeds=(0, 1)))


@pytest.mark.parametrize("keep", [0, 1, 20, 0.5, -1])
def test_a_cell_that_was_cut_off_is_measured_again(tmp_path: Path, keep: float) -> None:
    whole = classified(tmp_path).to_csv()
    path = tmp_path / "sq10_se0_seed0.parquet"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    with stopped_after(3):
        assert classified(tmp_path).to_csv() == whole
    assert path.read_bytes() == content


def test_other_weights_are_refused_with_both_hashes(tmp_path: Path) -> None:
    classified(tmp_path)
    with pytest.raises(ValueError, match="is of another sweep") as refused:
        classified(tmp_path, model=Scores(weight=3.5))
    there, here = (
        json.loads(pq.read_metadata(next(folder.iterdir())).metadata[b"cell"])["config"]["model"]
        for folder in (tmp_path, other_folder(tmp_path))
    )
    assert there != here
    assert f"(model {there} there, {here} now)" in str(refused.value)
    assert "sq0_se0_seed0.parquet" in str(refused.value)


def other_folder(tmp_path: Path) -> Path:
    out = tmp_path.with_name("other weights")
    classified(out, model=Scores(weight=3.5))
    return out


def half(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    return {"score": Measured(prediction.sigmoid()[:, None] / 2, label[:, None])}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": None}, r"\(bits 8 there, None now\)"),
        ({"mean": 0.1}, r"\(mean 0.0 there, 0.1 now\)"),
        ({"std": (0.5,)}, r"\(std 1.0 there, \[0.5\] now\)"),
        ({"value_range": (0, 2)}, r"\(value_range \[0.0, 1.0\] there, \[0, 2\] now\)"),
        ({"labels": ["Mass"]}, r"\(labels None there, \['Mass'\] now\)"),
        ({"about": {"network": "B", "size": 64}}, r"\(network A there, B now; size None there, 64"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    classified(tmp_path, about={"network": "A"})
    with pytest.raises(ValueError, match=message):
        classified(tmp_path, **{"about": {"network": "A"}, **options})


def test_another_measure_is_refused(tmp_path: Path) -> None:
    label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    stress_test(Scores(), loader(label), "binary", out=tmp_path, about={"task": "T"}, **SHORT)
    with pytest.raises(ValueError, match=r"\(measure binary there, \w{64} now\)"):
        stress_test(Scores(), loader(label), half, out=tmp_path, about={"task": "T"}, **SHORT)


def test_a_tuple_and_a_list_are_one_setting(tmp_path: Path) -> None:
    options = {"mean": (0.1,), "labels": ("Mass",), "value_range": [0.0, 1.0]}
    table = classified(tmp_path, **options)
    with stopped_after(0):
        again = classified(tmp_path, mean=np.array([0.1]), labels=iter(["Mass"]))
    pd.testing.assert_frame_equal(table, again)
    with pytest.raises(ValueError, match=r"another sweep \(bits 8 there, None now\)"):
        classified(tmp_path, **options, bits=None)


@pytest.mark.parametrize("changed", ["image", "label", "patient", "source", "fewer films"])
@pytest.mark.parametrize("finished", [CELLS[:2], CELLS])
def test_a_finished_folder_does_not_answer_for_other_films(
    tmp_path: Path, changed: str, finished: list[tuple[float, float]]
) -> None:
    classified(tmp_path, cells=finished)
    image, label = films(), torch.tensor([0, 1, 0, 1, 1, 0, 1])
    other = Films(label, image)
    if changed == "image":
        image[4, 0, 3, 3] = torch.nextafter(image[4, 0, 3, 3], torch.tensor(0.0))
    elif changed == "label":
        label[4] = 0
    elif changed == "patient":
        other.patients = [*PATIENTS[:-1], 9]
    elif changed == "source":
        other.source = "there"
    else:
        other.image = image[:-1]
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    # and nothing is measured before that is known
    with (
        stopped_after(0),
        pytest.raises(ValueError, match=r"^the films \(.*\) differ between the cells in /"),
    ):
        classified(tmp_path, loader=DataLoader(other, batch_size=2))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_folder_answers_for_the_same_films_in_other_batches(tmp_path: Path) -> None:
    label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    expected = classified(tmp_path)
    with stopped_after(0):
        again = classified(tmp_path, loader=loader(label, batch_size=2, shuffle=True))
    pd.testing.assert_frame_equal(again, expected)


def test_a_finished_folder_does_not_answer_for_another_function(tmp_path: Path) -> None:
    seen(loader(), model=lambda image: image, out=tmp_path)
    with pytest.raises(ValueError, match=r"is of another sweep \(model \w{64} there, \w{64} now\)"):
        seen(loader(), model=lambda image: -image, out=tmp_path)


def test_nor_for_another_measure_of_that_name(tmp_path: Path) -> None:
    def scaled(by: float) -> Callable[[Tensor, Tensor], dict[str, Measured]]:
        return lambda prediction, _: {"pixel": Measured(by * prediction.flatten(1))}

    stress_test(Convolution(), loader(), scaled(1), out=tmp_path, **SHORT)
    with pytest.raises(ValueError, match=r"another sweep \(measure \w{64} there, \w{64} now\)"):
        stress_test(Convolution(), loader(), scaled(2), out=tmp_path, **SHORT)


class Session:
    """A model whose weights Python cannot see, as those of another runtime."""

    def __init__(self) -> None:
        self.handle = threading.Lock()

    def __call__(self, image: Tensor) -> Tensor:
        return image


def test_what_cannot_be_known_is_not_used_again_without_the_users_word(tmp_path: Path) -> None:
    message = (
        r"^finished cells in /.* are not used again, because the model is not known \(a "
        r"_thread.lock cannot be known by its content\): .*, about=\{'model': ...\}, or choose"
    )
    with pytest.warns(UserWarning, match=message):
        seen(loader(), model=Session(), out=tmp_path)
    with pytest.raises(ValueError, match=message):
        seen(loader(), model=Session(), out=tmp_path)
    with pytest.raises(ValueError, match=r"another sweep \(model None there, 7 now\)"):
        seen(loader(), model=Session(), out=tmp_path, about={"model": 7})
    told = tmp_path / "told"
    expected = seen(loader(), model=Session(), out=told, about={"model": 7})
    with stopped_after(0):
        again = seen(loader(), model=Session(), out=told, about={"model": 7})
    pd.testing.assert_frame_equal(again, expected)
    with pytest.raises(ValueError, match=r"\(model 7 there, 8 now\)"):
        seen(loader(), model=Session(), out=told, about={"model": 8})


def test_weights_of_every_type_have_a_hash(tmp_path: Path) -> None:
    class Half(Scores):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image).float()

    classified(tmp_path, model=Half().bfloat16())
    with pytest.raises(ValueError, match=r"\(model \w{64} there, \w{64} now\)"):
        classified(tmp_path, model=Half(weight=4.0).bfloat16())
