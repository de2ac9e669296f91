"""What is measured on each image, against MONAI's metrics, scikit-learn and hand-made cases."""

from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import DiceMetric, MeanIoU
from sklearn.metrics import f1_score, jaccard_score
from torch import Tensor

from cxr_noise_transforms.study.evaluation.measures import (
    MEASURES,
    Measured,
    binary,
    measure_of,
    multiclass,
    multilabel,
    segmentation,
    segmentation_with_distance,
)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def squares(*sides: int) -> Tensor:
    """Masks ``(B, 1, 8, 8)``, each a square in the corner."""
    mask = torch.zeros(len(sides), 1, 8, 8)
    for number, side in enumerate(sides):
        mask[number, 0, :side, :side] = 1
    return mask


# segmentation


def test_overlap_by_hand() -> None:
    found = segmentation(squares(4, 4, 0, 2) - 0.5, squares(4, 2, 2, 4))
    assert found["dice"].values[:, 0].tolist() == pytest.approx([1, 0.4, 0, 0.4])
    assert found["iou"].values[:, 0].tolist() == pytest.approx([1, 0.25, 0, 0.25])
    assert found["dice"].targets is None


def test_surface_distance_by_hand() -> None:
    shifted = squares(4, 4, 4, 0, 4).roll((0, 1), dims=(2, 3))
    shifted[1:] = squares(4, 0, 4, 4)
    found = segmentation_with_distance(shifted - 0.5, squares(4, 4, 4, 0, 4))["surface_distance"]
    distance = found.values[:, 0].tolist()
    # one row of pixels to the side: the rest of the outline lies on the other's
    assert 0 < distance[0] < 1
    assert distance[1] == 0
    assert distance[2] == pytest.approx(8 * 2**0.5)
    assert np.isnan(distance[3])
    assert distance[4] == 0


def test_channels_are_measured_apart_as_monai_and_scikit_learn_do() -> None:
    logits, label = random(5, 3, 9, 7), (random(5, 3, 9, 7).flip(0) > 0.3).float()
    found = segmentation(logits, label)
    for metric, theirs, name in (
        (DiceMetric(reduction="none"), f1_score, "dice"),
        (MeanIoU(reduction="none"), jaccard_score, "iou"),
    ):
        metric((logits > 0).float(), label)
        assert torch.equal(found[name].values, metric.aggregate())
        for row in range(5):
            for channel in range(3):
                pair = (x[row, channel].flatten().numpy() for x in (label, logits > 0))
                value = found[name].values[row, channel].item()
                assert value == pytest.approx(theirs(*pair), abs=1e-6)


def test_an_empty_reference_is_not_a_number_whatever_is_predicted() -> None:
    for name, (values, _) in segmentation(squares(3, 0, 3) - 0.5, squares(0, 0, 3)).items():
        assert values[:, 0].isnan().tolist() == [True, True, False], name


def test_the_largest_logit_decides_between_classes() -> None:
    logits = random(4, 3, 8, 8)
    label = torch.arange(4 * 64).reshape(4, 8, 8) % 3
    for shape in ((4, 8, 8), (4, 1, 8, 8)):
        found = segmentation(logits, label.reshape(shape))
        assert found["dice"].values.shape == (4, 2)
        for row in range(4):
            pair = (label[row].flatten().numpy(), logits[row].argmax(0).flatten().numpy())
            theirs = f1_score(*pair, labels=[1, 2], average=None)
            assert np.allclose(found["dice"].values[row], theirs, atol=1e-6)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_masks_of_any_type(kind: torch.dtype) -> None:
    logits, label = random(2, 2, 8, 8), random(2, 2, 8, 8).flip(0) > 0
    expected = segmentation(logits, label.float())
    for name, (values, _) in segmentation(logits.half(), label.to(kind)).items():
        assert torch.equal(values, expected[name].values)


def test_one_channel_without_its_axis() -> None:
    logits, label = random(2, 1, 8, 8), (random(2, 8, 8) > 0).float()
    expected = segmentation(logits, label[:, None])
    assert torch.equal(segmentation(logits, label)["iou"].values, expected["iou"].values)


@pytest.mark.parametrize(
    ("prediction", "label", "message"),
    [
        (random(2, 8, 8), squares(1, 1), r"prediction must be \(B, C, H, W\), got \(2, 8, 8\)"),
        (random(2, 1, 4, 4), squares(1, 1), r"one shape, got \(2, 1, 4, 4\) and \(2, 1, 8, 8\)"),
        (random(2, 2, 8, 8), torch.ones(2, 3, 8, 8), r"got \(2, 2, 8, 8\) and \(2, 3, 8, 8\)"),
        (random(2, 1, 8, 8), 255 * squares(1, 1), "^label must be 0 or 1, got 255.0$"),
        (random(2, 1, 8, 8), squares(1, 1) / 2, "^label must be 0 or 1, got 0.5$"),
        (random(2, 3, 8, 8), 3 * squares(1, 1), "^label must be a class from 0 to 2, got 3.0$"),
        (random(2, 3, 8, 8), -squares(1, 1), "^label must be a class from 0 to 2, got -1.0$"),
    ],
)
def test_refused_masks(prediction: Tensor, label: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        segmentation(prediction, label)


# scores

UNCERTAIN = "^label must not be negative, got -1: uncertain='ignore' leaves uncertain labels out$"


@pytest.mark.parametrize("prediction", [(4,), (4, 1)])
@pytest.mark.parametrize("label", [(4,), (4, 1)])
def test_a_binary_score_is_a_sigmoid(prediction: tuple[int, ...], label: tuple[int, ...]) -> None:
    logits, target = torch.tensor([-2.0, 0, 1, 80]), torch.tensor([0, 1, 1, 0])
    values, targets = binary(logits.reshape(prediction), target.reshape(label))["score"]
    assert values.shape == (4, 1)
    assert values[:, 0].tolist() == pytest.approx([0.119203, 0.5, 0.731059, 1], abs=1e-6)
    assert targets is not None
    assert targets[:, 0].tolist() == [0, 1, 1, 0]


def test_half_precision_does_not_round_the_score() -> None:
    logits = random(6, 2).half()
    values, _ = multilabel(logits, torch.ones(6, 2))["score"]
    assert values.dtype == torch.float32
    assert torch.equal(values, logits.float().sigmoid())


def test_scores_of_classes_sum_to_one() -> None:
    logits, label = random(5, 4), torch.tensor([0, 3, 1, 2, 0])
    for given in (label, label.float(), label[:, None]):
        values, targets = multiclass(logits, given)["score"]
        assert torch.equal(values, logits.softmax(1))
        assert targets is not None
        assert torch.equal(targets.argmax(1), label)
        assert (targets.sum(1) == 1).all()


@pytest.mark.parametrize(
    ("task", "prediction", "label", "message"),
    [
        ("binary", random(3, 2), torch.ones(3), r"must be \(B,\) or \(B, 1\), got \(3, 2\)"),
        ("binary", random(3), torch.ones(4), r"one shape, got \(3, 1\) and \(4, 1\)"),
        ("binary", random(3), torch.tensor([0, 2, 1]), "^label must be 0 or 1, got 2$"),
        ("multilabel", random(3, 2), torch.ones(3), r"one shape, got \(3, 2\) and \(3,\)"),
        ("multilabel", random(1, 2), torch.tensor([[0, -1]]), UNCERTAIN),
        ("multilabel", random(1, 2), torch.tensor([[0, -2]]), "label must be 0 or 1, got -2"),
        ("binary", random(1), torch.tensor([-1.0]), UNCERTAIN),
        ("multiclass", random(2, 3), torch.tensor([0, 3]), "class from 0 to 2, got 3"),
        ("multiclass", random(2, 3), torch.tensor([-1, 2]), UNCERTAIN),
        ("multiclass", random(2, 3), torch.tensor([-2, 2]), "class from 0 to 2, got -2"),
        ("multiclass", random(2, 3), torch.tensor([0.5, 2]), "class from 0 to 2, got 0.5"),
        ("multiclass", random(2, 3), torch.ones(2, 3), r"got \(2, 3\) and \(6, 3\)"),
    ],
)
def test_refused_labels(task: str, prediction: Tensor, label: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MEASURES[task](prediction, label)


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass"])
def test_a_missing_label_is_a_target_without_a_number_beside_its_score(task: str) -> None:
    shape = (4,) if task == "binary" else (4, 3)
    logits, label = random(*shape), (random(*shape).flip(0) > 0).float()
    label = label.argmax(1).float() if task == "multiclass" else label
    known = MEASURES[task](logits, label)["score"]
    label[2] = torch.nan
    for given, options in (
        (label, {}),
        (label.nan_to_num(-1), {"uncertain": "ignore"}),
        (label.nan_to_num(-1).long(), {"uncertain": "ignore"}),
    ):
        found = MEASURES[task](logits, given, **options)["score"]
        assert torch.equal(found.values, known.values)
        assert found.targets is not None
        assert known.targets is not None
        assert found.targets[2].isnan().all()
        others = [0, 1, 3]
        assert torch.equal(found.targets[others], known.targets[others].float())


def test_a_missing_label_is_missing_alone() -> None:
    label = torch.tensor([[0.0, torch.nan], [1.0, 1.0]])
    targets = multilabel(random(2, 2), label)["score"].targets
    assert torch.equal(torch.nan_to_num(targets, -5), torch.tensor([[0.0, -5], [1, 1]]))


# probabilities


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass"])
def test_probabilities_are_scores_as_they_are(task: str) -> None:
    logits = random(5, 1 if task == "binary" else 3)
    label = torch.tensor([0, 1, 0, 1, 1])
    if task == "multilabel":
        label = label[:, None].expand(-1, 3)
    given = logits.softmax(1) if task == "multiclass" else logits.sigmoid()
    found = MEASURES[task](given, label, outputs="probabilities")["score"]
    assert torch.equal(found.values, given)
    assert torch.equal(found.values, MEASURES[task](logits, label)["score"].values)


@pytest.mark.parametrize("task", ["segmentation", "segmentation-distance"])
@pytest.mark.parametrize("classes", [1, 3])
def test_probabilities_of_masks_are_cut_at_a_half(task: str, classes: int) -> None:
    logits = random(3, classes, 8, 8)
    shape = (3, 1, 8, 8)
    label = (random(*shape) > 0).long() if classes == 1 else torch.arange(192).reshape(shape) % 3
    given = logits.sigmoid() if classes == 1 else logits.softmax(1)
    expected = MEASURES[task](logits, label)
    for name, (values, _) in MEASURES[task](given, label, outputs="probabilities").items():
        assert torch.equal(values, expected[name].values), name


@pytest.mark.parametrize("task", MEASURES)
def test_what_is_no_probability_is_refused(task: str) -> None:
    mask = task.startswith("segmentation")
    prediction = random(2, 1, 8, 8) if mask else random(2, 1)
    label = squares(1, 1) if mask else torch.zeros(2, 1)
    with pytest.raises(ValueError, match=r"^prediction must lie in \[0, 1\] with outputs='prob"):
        MEASURES[task](prediction, label, outputs="probabilities")


def own(prediction: Tensor, label: Tensor) -> dict[str, Measured]:
    return {"error": Measured(prediction - label)}


@pytest.mark.parametrize(
    ("task", "outputs", "uncertain", "message"),
    [
        ("detection", None, None, "task must be segmentation, .* or a function, got 'detection'"),
        ("binary", "scores", None, "outputs must be 'logits' or 'probabilities', got 'scores'"),
        ("binary", None, "keep", "uncertain must be None or 'ignore', got 'keep'"),
        ("segmentation", None, "ignore", "of the labels of classes, not of segmentation"),
        (own, "logits", None, "a function as task takes what the model and the loader give"),
        (own, None, "ignore", "a function as task takes what the model and the loader give"),
    ],
)
def test_refused_measures(
    task: Any, outputs: str | None, uncertain: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        measure_of(task, outputs, uncertain)
    assert measure_of(own, None, None) is own
