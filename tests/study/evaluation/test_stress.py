"""The stress test as somebody uses it who brings a model and a loader."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from monai.data import DataLoader as MonaiLoader
from monai.data import Dataset as MonaiDataset
from monai.data import DistributedSampler as MonaiSampler
from monai.metrics import DiceMetric, MeanIoU
from monai.transforms import Compose, EnsureTyped
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from cxr_noise_transforms import RadiographicNoise, image_seeds
from cxr_noise_transforms.study.evaluation.measures import Measured
from cxr_noise_transforms.study.evaluation.stress import COLUMNS, stress_test
from cxr_noise_transforms.study.statistics.performance import performance

COUNT = 7
NAMES = ["b", "a", "film 10", "film 9", "007", "x,y", 'say "ah"']
PATIENTS = [3, 3, 1, 1, 2, 7, 8]
CELLS = [(0.0, 0.0), (10.0, 0.0), (0.0, 4.0)]
SHORT = {"cells": CELLS, "device": "cpu"}


def films(count: int = COUNT) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def masks(count: int = COUNT) -> Tensor:
    image = films(count)
    return torch.cat([image > 0.5, image > 0.9], dim=1).float()


class Films(Dataset):
    """Films as MONAI's dictionaries: id, patient, source, image and label."""

    def __init__(self, label: Tensor | None = None, image: Tensor | None = None) -> None:
        self.image = films() if image is None else image
        self.label = masks() if label is None else label

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, number: int) -> dict[str, Any]:
        return {
            "id": NAMES[number],
            "patient": PATIENTS[number],
            "source": "here",
            "image": self.image[number],
            "label": self.label[number],
        }


def loader(label: Tensor | None = None, **options: Any) -> DataLoader:
    return DataLoader(Films(label), **{"batch_size": 3, **options})


def triples(label: Tensor) -> list[tuple[Tensor, Tensor, list[str]]]:
    batches = [slice(0, 3), slice(3, 6), slice(6, COUNT)]
    return [(films()[part], label[part], NAMES[part]) for part in batches]


def pixels(prediction: Tensor, _label: Tensor) -> dict[str, Measured]:
    """What the model was given, bit for bit."""
    return {"pixel": Measured(prediction.flatten(1))}


def seen(source: Any, **options: Any) -> pd.DataFrame:
    return stress_test(lambda image: image, source, pixels, **{**SHORT, **options})


def of_cell(table: pd.DataFrame, sq: float, se: float, seed: int = 0) -> pd.DataFrame:
    return table[(table.sq == sq) & (table.se == se) & (table.noise_seed == seed)]


def as_images(rows: pd.DataFrame) -> Tensor:
    """Films ``(B, 64)`` from a table of pixels, in the order of their names."""
    return torch.tensor(rows.value.to_numpy().reshape(-1, 64))


class Convolution(nn.Module):
    """A network with batch normalisation and dropout, one logit per mask."""

    def __init__(self, inside: bool = False, channels: int = 1) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Conv2d(4, 2, 3, padding=1)
        )
        self.inside = inside

    def forward(self, image: Tensor) -> Tensor:
        if self.inside:
            image = (image - 0.4) / 0.2
        return self.rest(self.first(image))


def scores(image: Tensor) -> Tensor:
    return image.flatten(1)[:, :3] * 4 - 2


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
    stress_test(network, loader(), **SHORT)
    assert not network.training
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


# the noise


def test_the_noise_is_that_of_the_image_and_the_noise_seed() -> None:
    table = seen(loader(), cells=[(10, 2)], noise_seeds=[3])
    noise = RadiographicNoise(10, 2, bits=8)
    for image, name in zip(films(), NAMES, strict=True):
        alone = noise(image[None], seed=image_seeds(3, [name])).flatten()
        assert table[table.image == name].value.tolist() == alone.tolist()


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 1},
        {"batch_size": COUNT},
        {"sampler": list(range(COUNT))[::-1]},
        {"shuffle": True},
        {"num_workers": 2},
    ],
)
def test_batches_order_and_workers_change_no_bit(options: dict[str, Any]) -> None:
    expected = seen(loader(), noise_seeds=(0, 1))
    table = seen(loader(**options), noise_seeds=(0, 1))
    pd.testing.assert_frame_equal(table, expected, check_exact=True)


@pytest.mark.parametrize("at_once", [2, 6, 100])
def test_several_cells_in_one_reading_of_the_loader(at_once: int) -> None:
    class Counted(list):
        readings = 0

        def __iter__(self) -> Iterator:
            self.readings += 1
            return super().__iter__()

    one, several = Counted(triples(masks())), Counted(triples(masks()))
    expected = seen(one, noise_seeds=(0, 1))
    table = seen(several, noise_seeds=(0, 1), cells_at_once=at_once)
    pd.testing.assert_frame_equal(table, expected, check_exact=True)
    assert (one.readings, several.readings) == (6, -(-6 // at_once))


def test_every_cell_has_the_same_noise_at_another_strength() -> None:
    table = seen(loader(), cells=[(0, 0), (0, 1), (0, 4)], bits=None)
    clean, weak, strong = (as_images(of_cell(table, 0, se)) for se in (0, 1, 4))
    assert (weak - clean).std() > 0.05
    assert torch.allclose(strong - clean, 4 * (weak - clean), atol=1e-6)


def test_images_and_noise_seeds_have_noise_of_their_own() -> None:
    same = torch.full((2, 1, 8, 8), 0.5)
    table = seen([(same, same, ["a", "b"])], cells=[(0, 4)], noise_seeds=(0, 1))
    zero, one = (as_images(of_cell(table, 0, 4, seed)) for seed in (0, 1))
    everything = torch.cat([zero, one])
    assert len(everything.unique(dim=0)) == 4


def test_the_clean_cell_is_the_image_for_every_noise_seed() -> None:
    table = seen(loader(), cells=[(0, 0)], noise_seeds=(0, 1))
    order = sorted(range(COUNT), key=NAMES.__getitem__)
    for seed in (0, 1):
        values = as_images(of_cell(table, 0, 0, seed)).float()
        assert torch.equal(values, films().flatten(1)[order])


def test_other_value_ranges() -> None:
    unit = seen([(films(), films(), NAMES)], bits=None)
    wide = films() * 2048 - 1024
    table = seen([(wide, wide, NAMES)], bits=None, value_range=(-1024, 1024))
    assert np.allclose(table.value, unit.value * 2048 - 1024, atol=1e-2)


def test_a_repeated_cell_is_one_cell() -> None:
    pd.testing.assert_frame_equal(seen(loader(), cells=[(0, 0), *CELLS]), seen(loader()))


# agreement with the libraries


def test_overlap_is_monais_and_scikit_learns() -> None:
    table = stress_test(Convolution(), triples(masks()), cells=[(0, 0)], device="cpu", bits=None)
    with torch.inference_mode():
        predicted = (Convolution().eval()(films()) > 0).float()
    for metric, theirs, ours in (
        (DiceMetric(reduction="none"), f1_score, "dice"),
        (MeanIoU(reduction="none"), jaccard_score, "iou"),
    ):
        metric(predicted, masks())
        values = metric.aggregate().double().numpy()
        for number, name in enumerate(NAMES):
            for channel in (0, 1):
                rows = table[(table.image == name) & (table.label == str(channel))]
                value = rows[rows.metric == ours].value.item()
                pair = (x[number, channel].flatten().numpy() for x in (masks(), predicted))
                assert value == pytest.approx(values[number, channel], abs=1e-6)
                assert value == pytest.approx(theirs(*pair), abs=1e-6)


def test_an_empty_reference_has_no_overlap() -> None:
    label = masks()
    label[2, 1] = 0
    table = stress_test(Convolution(), loader(label), **SHORT)
    undefined = table[table.value.isna()]
    assert set(undefined.image) == {NAMES[2]}
    assert set(undefined.label) == {"1"}
    assert len(undefined) == len(CELLS) * 2


def test_scores_of_a_binary_classifier_give_scikit_learns_auroc() -> None:
    label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    for shape in ((-1,), (-1, 1)):
        table = stress_test(
            lambda image, shape=shape: scores(image)[:, 0].reshape(shape),
            loader(label.reshape(shape)),
            "binary",
            cells=CELLS,
        )
        assert set(table.metric) == {"score"}
        clean = of_cell(table, 0, 0).set_index("image").loc[NAMES]
        assert clean.target.tolist() == label.tolist()
        found = performance(table)
        found = of_cell(found[found.metric == "auroc"], 10, 0).value.item()
        noisy = of_cell(table, 10, 0)
        assert found == pytest.approx(roc_auc_score(noisy.target, noisy.value))
    assert np.allclose(clean.value, scores(films())[:, 0].sigmoid())


def test_scores_of_several_findings() -> None:
    label = (torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    names = ["Edema", "Mass", "None"]
    table = stress_test(scores, loader(label), "multilabel", labels=names, cells=[(0, 0)])
    for number, name in enumerate(names):
        rows = table[table.label == name].set_index("image").loc[NAMES]
        assert rows.target.tolist() == label[:, number].tolist()
        assert np.allclose(rows.value, scores(films())[:, number].sigmoid())


def test_scores_of_classes_are_one_against_the_rest() -> None:
    label = torch.tensor([0, 1, 2, 0, 1, 2, 2])
    table = stress_test(scores, loader(label), "multiclass", **SHORT)
    assert np.allclose(table.groupby(["sq", "se", "image"]).value.sum(), 1)
    assert np.allclose(table.groupby(["sq", "se", "image"]).target.sum(), 1)
    noisy = of_cell(table, 0, 4)
    values, targets = (
        noisy.pivot_table(name, "image", "label").to_numpy() for name in ("value", "target")
    )
    found = performance(table)
    found = of_cell(found[found.metric == "auroc"], 0, 4).sort_values("label").value
    theirs = roc_auc_score(targets, values, average=None)
    assert np.allclose(found, theirs)


def test_one_class_has_the_performance_that_is_defined() -> None:
    table = stress_test(scores, loader(torch.zeros(COUNT, 3)), "multilabel", **SHORT)
    value = performance(table).groupby("metric").value.count()
    assert value[["auroc", "auprc", "f1"]].tolist() == [0, 0, 0]
    assert value["brier"] == value["truth"] == len(performance(table)) / len(value)


def test_a_measure_of_ones_own() -> None:
    def error(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
        return {"error": Measured((prediction - label).abs().mean((2, 3)))}

    table = stress_test(Convolution(), loader(), error, **SHORT)
    assert set(table.metric) == {"error"}
    assert set(table.task) == {"custom"}
    assert len(table) == len(CELLS) * COUNT * 2


# a folder of finished cells


def classified(out: Path | None, **options: Any) -> pd.DataFrame:
    label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    model = options.pop("model", None) or Scores()
    source = options.pop("loader", None) or loader(label)
    return stress_test(model, source, "binary", out=out, **{**SHORT, **options})


class Scores(nn.Module):
    """One logit; stops after ``calls`` batches as a killed process does."""

    def __init__(self, calls: float = float("inf"), weight: float = 3.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.calls = calls

    def forward(self, image: Tensor) -> Tensor:
        if self.calls == 0:
            raise KeyboardInterrupt
        self.calls -= 1
        return image.mean((1, 2, 3)) * self.weight - 1


def test_files_hold_what_the_call_returned(tmp_path: Path) -> None:
    expected = classified(None).to_csv()
    assert classified(tmp_path).to_csv() == expected
    assert len(list(tmp_path.iterdir())) == len(CELLS)
    # nothing is left to measure
    assert classified(tmp_path, model=Scores(0), loader=[]).to_csv() == expected


@pytest.mark.parametrize("at_once", [1, 2])
def test_killed_at_any_batch_it_goes_on_to_the_same_bytes(tmp_path: Path, at_once: int) -> None:
    options = {"noise_seeds": (0, 1), "cells_at_once": at_once}
    whole = classified(tmp_path / "whole", **options).to_csv()
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    batches = 3 * len(CELLS) * 2
    for calls in range(batches):
        out = tmp_path / str(calls)
        with pytest.raises(KeyboardInterrupt):
            classified(out, model=Scores(calls), **options)
        assert len(list(out.glob("*"))) == calls // (3 * at_once) * at_once
        # only what was missing is measured
        rest = batches - calls // (3 * at_once) * 3 * at_once
        assert classified(out, model=Scores(rest), **options).to_csv() == whole
        assert {path.name: path.read_bytes() for path in out.iterdir()} == files


def test_more_cells_and_seeds_are_added_to_a_folder(tmp_path: Path) -> None:
    classified(tmp_path, cells=CELLS[:2])
    table = classified(tmp_path, model=Scores(3 * 4), noise_seeds=(0, 1))
    pd.testing.assert_frame_equal(table, classified(None, noise_seeds=(0, 1)))


@pytest.mark.parametrize("keep", [0, 1, 20, 0.5, -1])
def test_a_cell_that_was_cut_off_is_measured_again(tmp_path: Path, keep: float) -> None:
    whole = classified(tmp_path).to_csv()
    path = tmp_path / "sq10_se0_seed0.csv"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    assert classified(tmp_path, model=Scores(3)).to_csv() == whole
    assert path.read_bytes() == content


def test_other_weights_are_refused_with_both_hashes(tmp_path: Path) -> None:
    classified(tmp_path)
    with pytest.raises(ValueError, match="is of another sweep") as refused:
        classified(tmp_path, model=Scores(weight=3.5))
    there, here = (
        json.loads(next(folder.iterdir()).read_bytes().splitlines()[0][2:])["config"]["model"]
        for folder in (tmp_path, other_folder(tmp_path))
    )
    assert there != here
    assert f"(model {there} there, {here} now)" in str(refused.value)
    assert "sq0_se0_seed0.csv" in str(refused.value)


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
    with pytest.raises(ValueError, match=r"\(measure binary there, half now\)"):
        stress_test(Scores(), loader(label), half, out=tmp_path, about={"task": "T"}, **SHORT)


def test_a_tuple_and_a_list_are_one_setting(tmp_path: Path) -> None:
    options = {"mean": (0.1,), "labels": ("Mass",), "value_range": [0.0, 1.0]}
    table = classified(tmp_path, **options)
    again = classified(tmp_path, mean=[0.1], labels=["Mass"], model=Scores(0))
    pd.testing.assert_frame_equal(table, again)
    with pytest.raises(ValueError, match=r"another sweep \(bits 8 there, None now\)"):
        classified(tmp_path, **options, bits=None)


@pytest.mark.parametrize("changed", ["image", "label"])
def test_other_images_or_labels_are_refused(tmp_path: Path, changed: str) -> None:
    classified(tmp_path, cells=CELLS[:2])
    image, label = films(), torch.tensor([0, 1, 0, 1, 1, 0, 1])
    if changed == "image":
        image[4, 0, 3, 3] += 0.01
    else:
        label[4] = 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="the images or labels are not the same in all cells in /"):
        classified(tmp_path, loader=DataLoader(Films(label, image), batch_size=2))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_model_without_state_is_known_by_its_name_alone(tmp_path: Path) -> None:
    seen(loader(), out=tmp_path, about={"network": "A"})
    with pytest.raises(ValueError, match=r"\(network A there, B now\)"):
        seen(loader(), out=tmp_path, about={"network": "B"})


def test_weights_of_every_type_have_a_hash(tmp_path: Path) -> None:
    class Half(Scores):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image).float()

    classified(tmp_path, model=Half().bfloat16())
    with pytest.raises(ValueError, match=r"\(model \w{64} there, \w{64} now\)"):
        classified(tmp_path, model=Half(weight=4.0).bfloat16())


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
        (TypeError, lambda x: {"out": x}, one_batch(), "must give a tensor of logits, got dict"),
        (TypeError, lambda x: (x, x), one_batch(), "must give a tensor of logits, got tuple"),
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
        (ValueError, None, one_batch(label=NAN), "label must be 0 or 1, got nan$"),
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

    with pytest.raises(ValueError, match="in all cells: a loader without ids must not shuffle"):
        seen(Shuffling())


def test_a_refusal_keeps_the_finished_cells(tmp_path: Path) -> None:
    class Diverges(Scores):
        def forward(self, image: Tensor) -> Tensor:
            return super().forward(image) * (torch.nan if self.calls < 3 else 1)

    with pytest.raises(ValueError, match="predicts NaN for film"):
        classified(tmp_path, model=Diverges(7))
    finished = [path.name for path in tmp_path.iterdir()]
    assert finished == ["sq0_se0_seed0.csv"]
    # under the name of what was refused, with the same weights
    again = classified(tmp_path, model=Scores(6), about={"network": "Diverges"})
    pd.testing.assert_frame_equal(again.assign(network="Scores"), classified(None))


# several processes


def _process(number: int, folder: str) -> None:
    """What two processes measure, each its own share, in files for the tests to compare."""
    torch.set_num_threads(1)
    out = Path(folder)
    store = f"file://{out / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=number, world_size=2)

    def share(sampler: type, data: Dataset, **options: Any) -> DataLoader:
        return DataLoader(data, batch_size=2, sampler=sampler(data, shuffle=False, **options))

    tables = {
        "monai": seen(share(MonaiSampler, Films(), even_divisible=False), cells_at_once=2),
        "padded": seen(share(DistributedSampler, Films())),
        "network": stress_test(Convolution(), share(DistributedSampler, Films()), **SHORT),
        "few": seen([] if number else triples(masks())),
    }
    for name in ("first", "again"):
        model = Scores() if name == "first" else Scores(0)
        label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
        source = share(DistributedSampler, Films(label))
        tables[name] = classified(out / "cells", model=model, loader=source)
    for name, table in tables.items():
        table.to_pickle(out / f"{name}{number}.pkl")
    pairs = [(films(2) + number, torch.zeros(2, 1))]
    messages = []
    for batches in (pairs, []):
        with pytest.raises(ValueError) as refused:  # noqa: PT011 (compared by the test)
            seen(batches)
        messages.append(str(refused.value))
    (out / f"messages{number}.json").write_text(json.dumps(messages))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(_process, (str(folder),), nprocs=2)
    return folder


def of_process(folder: Path, name: str) -> pd.DataFrame:
    """The table that both processes returned."""
    zero, one = (pd.read_pickle(folder / f"{name}{number}.pkl") for number in (0, 1))  # noqa: S301 (our own)
    pd.testing.assert_frame_equal(zero, one, check_exact=True)
    return zero


@pytest.mark.slow
def test_two_processes_return_the_table_of_one(processes: Path) -> None:
    for name in ("monai", "padded"):
        pd.testing.assert_frame_equal(of_process(processes, name), seen(loader()), check_exact=True)
    network, alone = of_process(processes, "network"), stress_test(Convolution(), loader(), **SHORT)
    assert np.abs(network.value - alone.value).max() < 1e-6
    pd.testing.assert_frame_equal(network.drop(columns="value"), alone.drop(columns="value"))


@pytest.mark.slow
def test_a_process_may_have_no_image(processes: Path) -> None:
    expected = seen(triples(masks()))
    pd.testing.assert_frame_equal(of_process(processes, "few"), expected, check_exact=True)


@pytest.mark.slow
def test_two_processes_share_one_folder(processes: Path) -> None:
    expected = classified(None)
    assert np.abs(of_process(processes, "first").value - expected.value).max() < 1e-6
    pd.testing.assert_frame_equal(of_process(processes, "again"), of_process(processes, "first"))
    assert len(list((processes / "cells").iterdir())) == len(CELLS)


@pytest.mark.slow
def test_two_processes_refuse_alike(processes: Path) -> None:
    for number in (0, 1):
        without_ids, empty = json.loads((processes / f"messages{number}.json").read_text())
        assert without_ids.startswith("two processes have different images 0: in a distributed run")
        assert empty == "the loader yields no images"
