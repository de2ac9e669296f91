"""What is measured on a film: its noise, the model's answer, the libraries' metrics."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from monai.metrics import DiceMetric, MeanIoU
from sklearn.metrics import f1_score, jaccard_score, roc_auc_score
from small_films import (
    CELLS,
    COUNT,
    NAMES,
    SHORT,
    Convolution,
    as_images,
    films,
    loader,
    masks,
    of_cell,
    scores,
    seen,
    stopped_after,
    triples,
)
from torch import Tensor, nn

from cxr_noise_transforms import RadiographicNoise, image_seeds
from cxr_noise_transforms.study.evaluation.measures import Measured
from cxr_noise_transforms.study.evaluation.stress import stress_test
from cxr_noise_transforms.study.statistics.performance import performance

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


# what the model gives


class Sure(nn.Module):
    """Right on every pixel, in probabilities."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([image > 0.5, image > 0.9], dim=1) * 0.75 + 0.125


def test_probabilities_are_measured_as_such_where_that_is_said() -> None:
    table = stress_test(Sure(), loader(), cells=[(0, 0)], outputs="probabilities", device="cpu")
    assert (table.value.dropna() == 1).all()
    # at 0 of logits all is foreground
    with pytest.warns(
        UserWarning, match="all predictions from sq=0, se=0, noise seed 0 on lie in .* logits: say"
    ):
        wrong = stress_test(Sure(), loader(), cells=[(0, 0)], device="cpu")
    assert wrong.value.mean() < 0.9


def test_there_is_one_warning_of_probabilities_and_none_where_logits_are_said() -> None:
    with pytest.warns(UserWarning, match="outputs='probabilities' if that is what") as told:
        stress_test(Sure(), loader(), **SHORT)
    assert len(told) == 1
    # where warnings are errors
    stress_test(Sure(), loader(), outputs="logits", **SHORT)
    stress_test(Convolution(), loader(), **SHORT)
    seen(loader())


def test_a_mapping_with_one_tensor_or_with_out_is_a_prediction() -> None:
    network = Convolution().eval()
    expected = stress_test(network, loader(), about={"network": "N"}, **SHORT)
    for model in (
        lambda image: {"logits": network(image)},
        lambda image: {"out": network(image), "aux": image},
    ):
        table = stress_test(model, loader(), about={"network": "N"}, **SHORT)
        pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_a_model_without_memory_is_told_the_batch_size(error: type[Exception]) -> None:
    def model(_image: Tensor) -> Tensor:
        raise error("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    with pytest.raises(ValueError, match="memory") as refused:
        stress_test(model, loader(), **SHORT)
    assert str(refused.value) == (
        "cpu has no memory left for a batch of images (3, 1, 8, 8): give smaller batches"
    )


# what the films are


def test_films_outside_of_their_range_are_refused() -> None:
    normalised = (films() - 0.485) / 0.229
    with (
        stopped_after(0),
        pytest.raises(ValueError, match=r"outside of value_range \(0, 1\): give"),
    ):
        seen([(normalised, masks(), NAMES)])
    integer = (films() * 255).to(torch.uint8)
    table = seen([(integer, masks(), NAMES)], value_range=(0, 255))
    pd.testing.assert_frame_equal(table, seen([(integer, masks(), NAMES)]))
    with pytest.raises(ValueError, match=r"value_range of torch.uint8 images must be their full"):
        seen([(integer, masks(), NAMES)], value_range=(0, 1))


@pytest.mark.parametrize("options", [{}, {"channels": 3}, {"mean": [0.1, 0.2, 0.3]}])
def test_three_equal_channels_have_one_noise(options: dict[str, Any]) -> None:
    def model(image: Tensor) -> Tensor:
        assert image.shape[1] == 3
        return image.mean(1, keepdim=True)

    colour = films().expand(-1, 3, -1, -1)
    grey = seen([(films(), masks(), NAMES)], model=model, **{"channels": 3, **options})
    table = seen([(colour, masks(), NAMES)], model=model, **options)
    pd.testing.assert_frame_equal(table, grey)


def test_channels_that_differ_are_refused() -> None:
    colour = films().expand(-1, 3, -1, -1).clone()
    colour[5, 1] += 0.001
    with (
        stopped_after(0),
        pytest.raises(ValueError, match=r"channels that differ in image x,y: .* channels=3, mean"),
    ):
        seen([(colour.clamp(0, 1), masks(), NAMES)])


def test_a_missing_label_is_a_row_without_a_target() -> None:
    label = (torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    known = stress_test(scores, loader(label), "multilabel", **SHORT)
    label[2, 1] = torch.nan
    label[4] = -1
    with pytest.raises(ValueError, match="got -1: uncertain='ignore' leaves uncertain labels out"):
        stress_test(scores, loader(label), "multilabel", **SHORT)
    table = stress_test(scores, loader(label), "multilabel", uncertain="ignore", **SHORT)
    missing = ((table.image == NAMES[2]) & (table.label == "1")) | (table.image == NAMES[4])
    assert table.target.isna().equals(missing)
    pd.testing.assert_frame_equal(table[~missing], known[~missing])
    assert table.value.equals(known.value)


def test_missing_labels_come_back_from_the_folder(tmp_path: Path) -> None:
    label = torch.tensor([[0, 1, torch.nan]]).expand(COUNT, -1)
    options = {"out": tmp_path, **SHORT}
    table = stress_test(scores, loader(label), "multilabel", **options)
    with stopped_after(0):
        again = stress_test(scores, loader(label), "multilabel", **options)
    pd.testing.assert_frame_equal(again, table)
