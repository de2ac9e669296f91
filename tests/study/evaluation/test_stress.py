"""The stress test as somebody uses it who brings a model and a loader."""

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from monai.data import DataLoader as MonaiLoader
from monai.data import Dataset as MonaiDataset
from monai.transforms import Compose, EnsureTyped
from small_films import (
    CELLS,
    COUNT,
    NAMES,
    PATIENTS,
    SHORT,
    Convolution,
    Films,
    Scores,
    classified,
    films,
    loader,
    masks,
    of_cell,
    seen,
    stopped_after,
    triples,
)
from torch import Tensor

from cxr_noise_transforms.study.columns import COLUMNS
from cxr_noise_transforms.study.evaluation.measures import Measured
from cxr_noise_transforms.study.evaluation.stress import stress_test

# what comes out


def test_one_row_per_cell_seed_film_label_and_metric() -> None:
    table = stress_test(
        Convolution(), loader(), labels=["lung", "heart"], noise_seeds=(0, 5), **SHORT
    )
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 3 * 2 * COUNT * 2 * 2
    keys = ["sq", "se", "noise_seed", "image", "label", "metric"]
    assert not table.duplicated(keys).any()
    assert set(table.image) == set(NAMES)
    assert dict(zip(table.image, table.patient, strict=True)) == dict(
        zip(NAMES, map(str, PATIENTS), strict=True)
    )
    assert set(table.source) == {"here"}
    assert set(table.label) == {"lung", "heart"}
    assert table.value.between(0, 1).all()
    assert table.target.isna().all()


def test_constant_columns_name_the_experiment() -> None:
    about = {"network": "N", "weights": "swa", "training_seed": 4, "size": 512}
    table = stress_test(Convolution(), loader(), about=about, **SHORT)
    columns = ["task", "network", "weights", "training_seed"]
    constant = table[columns].drop_duplicates().to_numpy().tolist()
    assert constant == [["segmentation", "N", "swa", 4]]
    assert tuple(table.columns) == COLUMNS


@pytest.mark.parametrize("form", ["pairs", "triples", "dictionaries", "monai"])
def test_every_form_of_batch(form: str) -> None:
    expected = stress_test(Convolution(), loader(), **SHORT)
    monai = MonaiDataset(
        [Films()[number] for number in range(COUNT)],
        Compose([EnsureTyped(["image", "label"], track_meta=True)]),
    )
    batches: Any = {
        "pairs": [batch[:2] for batch in triples(masks())],
        "triples": triples(masks()),
        "dictionaries": loader(),
        "monai": MonaiLoader(monai, batch_size=2),
    }[form]
    table = stress_test(Convolution(), batches, **SHORT)
    if form == "pairs":
        # known by place, so with other noise
        assert set(table.image) == {str(number) for number in range(COUNT)}
        assert set(table.patient) == set(table.image)
        clean = of_cell(table, 0, 0).value.to_numpy(), of_cell(expected, 0, 0).value.to_numpy()
        assert np.allclose(np.sort(clean[0]), np.sort(clean[1]))
        return
    assert np.array_equal(table.image, expected.image)
    assert np.allclose(table.value, expected.value, atol=1e-6, equal_nan=True)


def test_numbers_are_names_of_images_too() -> None:
    image, label, _ = triples(masks())[0]
    named = seen([(image, label, ["5", "6", "7"])])
    numbered = seen([(image, label, torch.tensor([5, 6, 7]))])
    pd.testing.assert_frame_equal(named, numbered)
    # without ids an image is its place
    placed = seen([batch[:2] for batch in triples(masks())])
    pd.testing.assert_frame_equal(placed, seen([(films(), masks(), torch.arange(COUNT))]))


def test_a_module_is_evaluated_with_its_running_statistics() -> None:
    network = Convolution().train()
    table = stress_test(network, loader(), **SHORT)
    pd.testing.assert_frame_equal(table, stress_test(Convolution().eval(), loader(), **SHORT))
    assert int(network.rest[0].num_batches_tracked) == 0


def test_the_models_own_normalisation_and_ours_are_the_same() -> None:
    inside = stress_test(Convolution(inside=True), loader(), **SHORT)
    outside = stress_test(Convolution(), loader(), mean=0.4, std=0.2, **SHORT)
    assert np.allclose(inside.value, outside.value, atol=1e-6)


def test_grey_is_expanded_after_the_noise() -> None:
    grey = seen(loader(), cells=[(10, 0)])

    def channels(prediction: Tensor, _label: Tensor) -> dict[str, Measured]:
        assert prediction.shape[1] == 3
        return {"pixel": Measured(prediction[:, 2].flatten(1))}

    options = {"channels": 3, "mean": [0.0, 0.0, 0.5], "std": (1.0, 1.0, 2.0)}
    third = stress_test(lambda image: image, loader(), channels, cells=[(10, 0)], **options)
    assert np.allclose(third.value, (grey.value - 0.5) / 2, atol=1e-6)


# settings


def test_iterators_are_read_once_and_whole() -> None:
    options = {"cells": CELLS, "noise_seeds": (0, 1, 2), "labels": ["lung", "heart"]}
    expected = stress_test(Convolution(), loader(), device="cpu", **options)
    once = {name: (one for one in values) for name, values in options.items()}
    table = stress_test(Convolution(), loader(), device="cpu", **once)
    pd.testing.assert_frame_equal(table, expected)
    assert len(table) == 3 * 3 * COUNT * 2 * 2
    grid = product([0, 4], [0, 1])
    assert len(seen(loader(), cells=grid, noise_seeds=iter([0, 1, 2]))) == 4 * 3 * COUNT * 64


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_arrays_and_tensors_are_numbers(kind: Callable[[Any], Any], tmp_path: Path) -> None:
    plain = {"noise_seeds": [0, 1], "bits": 8, "channels": 1, "mean": [0.5], "std": 0.25}
    expected = seen(loader(), cells=CELLS, out=tmp_path, about={"training_seed": 3}, **plain)
    given = {name: kind(value) for name, value in plain.items()}
    # bits and channels are counts, which are Python's
    given |= {"bits": kind(8).tolist(), "channels": kind(1).tolist()}
    with stopped_after(0):
        table = seen(
            loader(), cells=kind(CELLS), out=tmp_path, about={"training_seed": kind(3)}, **given
        )
    pd.testing.assert_frame_equal(table, expected)


def test_what_is_stored_beside_a_cell_is_text(tmp_path: Path) -> None:
    about = {"checkpoint": Path("x"), "share": np.float32(0.5), "mean": torch.ones(2)}
    expected = classified(tmp_path, about=about)
    head = json.loads(pq.read_metadata(next(tmp_path.iterdir())).metadata[b"cell"])["config"]
    assert {name: head[name] for name in about} == {
        "checkpoint": "x", "share": 0.5, "mean": 0.0,
    }  # fmt: skip
    with stopped_after(0):
        pd.testing.assert_frame_equal(classified(tmp_path, about=about), expected)


@pytest.mark.parametrize("out", [None, "cells"])
def test_what_cannot_be_stored_is_refused_before_anything_is_measured(
    tmp_path: Path, out: str | None
) -> None:
    with (
        stopped_after(0),
        pytest.raises(
            TypeError, match=r"^about\['made by'\] must be text, numbers, .* got object$"
        ),
    ):
        classified(None if out is None else tmp_path / out, about={"made by": object()})
    assert not list(tmp_path.iterdir())


def test_a_loader_that_can_be_read_once_is_refused_where_it_must_be_read_twice() -> None:
    once = (batch for batch in loader())
    with pytest.raises(ValueError, match=r"^the loader must be read 3 times, which generator cann"):
        seen(once)
    pd.testing.assert_frame_equal(seen(once, cells_at_once=3), seen(loader()))


def test_films_that_the_loader_drops_are_told() -> None:
    with pytest.warns(
        UserWarning, match=r"^the loader leaves 1 of its films out \(drop_last=True\)$"
    ):
        table = seen(loader(drop_last=True))
    assert table.image.nunique() == COUNT - 1


def test_a_device_that_cannot_be_used_is_told_before_the_films_are_read() -> None:
    class Unread:
        def __iter__(self) -> Iterator:
            pytest.fail("the films are read")

    with pytest.raises(ValueError, match=r"^device nonsense cannot be used here: [^\n]+$"):
        seen(Unread(), device="nonsense")


def test_the_model_is_as_it_was_after_an_error_too() -> None:
    network = Convolution().train()
    network.rest.eval()
    before = [part.training for part in network.modules()]
    stress_test(network, loader(), **SHORT)
    assert [part.training for part in network.modules()] == before
    with pytest.raises(ValueError, match="labels"):
        stress_test(network, loader(), labels=["a"], **SHORT)
    assert [part.training for part in network.modules()] == before


# refusals, each one sentence


def one_batch(**changes: Any) -> list[dict[str, Any]]:
    batch = {"id": ["a", "b"], "image": films(2), "label": torch.tensor([0, 1])}
    batch = {**batch, **changes}
    return [{name: value for name, value in batch.items() if value is not None}]


NAN = torch.tensor([0.0, torch.nan])


@pytest.mark.parametrize(
    ("error", "model", "batches", "message"),
    [
        (ValueError, None, [], "^the loader yields no images$"),
        (ValueError, lambda _: NAN, one_batch(), r"predicts NaN for film b \(1 of 2 in its batch"),
        (ValueError, lambda x: x[:1, 0, 0, 0], one_batch(), "^2 films gave 1 predictions$"),
        (TypeError, lambda x: (x, x), one_batch(), "one tensor or with out, got tuple$"),
        (TypeError, lambda x: {"a": x, "b": x}, one_batch(), "with out, got a dict of a, b$"),
        (TypeError, lambda _: {}, one_batch(), "with out, got a dict of nothing$"),
        (
            ValueError,
            lambda x: x[:, 0, 0],
            one_batch(),
            r"or \(B, 1\), got \(2, 8\)",
        ),
        (ValueError, None, one_batch() * 2, "^the loader yields image a twice: ids must be unique"),
        (ValueError, None, one_batch(id=["a", "a"]), "yields image a twice"),
        (ValueError, None, one_batch(id=["a"]), "2 images must hold 2 ids, got .'a'.$"),
        (ValueError, None, one_batch(id="ab"), "2 images must hold 2 ids, got ab$"),
        (ValueError, None, one_batch(patient=["p"] * 3), "2 images must hold 2 patients, got"),
        (ValueError, None, one_batch(label=torch.zeros(3)), "^2 images with 3 labels in one batch"),
        (ValueError, None, one_batch(label=NAN + 2), "label must be 0 or 1, got 2.0$"),
        (TypeError, None, one_batch(label=None), r"tensors image and label, got \['id', 'image'\]"),
        (TypeError, None, one_batch(label=[0, 1]), "must hold the tensors image and label, got"),
        (TypeError, None, [films(2)], r"or a mapping with image and label, got Tensor$"),
        (TypeError, None, [(films(2),)], r"or a mapping with image and label, got tuple$"),
    ],
)
def test_refusals(
    error: type[Exception],
    model: Callable[[Tensor], Tensor] | None,
    batches: list[Any],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as refused:
        stress_test(model or Scores(), batches, "binary", cells=CELLS, device="cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"task": "detection"},
            r"task must be segmentation, segmentation-distance, binary, .* got 'detection'",
        ),
        ({"cells": []}, "cells and noise_seeds must hold at least one each"),
        ({"noise_seeds": ()}, "cells and noise_seeds must hold at least one each"),
        ({"cells_at_once": 0}, "cells_at_once must be at least 1, got 0"),
        ({"labels": ["a", "b", "c"]}, r"3 labels \(a, b, c\) for 2 outputs"),
        ({"cells": [(-1, 0)]}, "sq must be .*-1"),
        ({"task": lambda p, _: {"m": Measured(p)}}, r"m must be \(B, labels\) for 3 images, got"),
    ],
)
def test_refused_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stress_test(Convolution(), loader(), **{"task": "segmentation", **SHORT, **options})


def test_a_loader_that_shuffles_needs_ids() -> None:
    batches = triples(masks())

    class Shuffling:
        turn = 0

        def __iter__(self) -> Iterator:
            self.turn += 1
            return iter([batch[:2] for batch in batches[:: 1 if self.turn == 1 else -1]])

    with pytest.raises(ValueError, match="between the cells: a loader without ids must not"):
        seen(Shuffling())


def test_a_refusal_keeps_the_finished_cells(tmp_path: Path) -> None:
    class Diverges(Scores):
        def forward(self, image: Tensor) -> Tensor:
            # noise of sq = 10 saturates half of the pixels
            broken = (image == 1).float().mean() > 0.1
            return super().forward(image) * (torch.nan if broken else 1)

    with pytest.raises(ValueError, match="predicts NaN for film"):
        classified(tmp_path, model=Diverges())
    finished = [path.name for path in tmp_path.iterdir()]
    assert finished == ["sq0_se0_seed0.parquet"]
    with stopped_after(3):
        again = classified(tmp_path, model=Diverges(), cells=[CELLS[0], (0.0, 0.1)])
    assert len(again) == 2 * COUNT
