import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cxr_noise_transforms.study.training.uncertainty import (
    FindingLogits,
    UncertainLabelLoss,
    finding_logits,
)


def labels(targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return torch.stack([targets, weights], dim=1)


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def targets() -> torch.Tensor:
    return torch.rand(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_without_uncertainty_it_is_binary_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor
) -> None:
    loss = UncertainLabelLoss()(logits, labels(targets, torch.ones_like(targets)))
    torch.testing.assert_close(loss, binary_cross_entropy_with_logits(logits, targets))


def test_a_label_without_weight_leaves_its_film_and_its_finding_alone(
    logits: torch.Tensor, targets: torch.Tensor
) -> None:
    weights = torch.ones_like(targets)
    weights[2, 1] = 0
    logits.requires_grad_()
    loss = UncertainLabelLoss()(logits, labels(targets, weights))
    loss.backward()
    masked = weights == 0
    known = binary_cross_entropy_with_logits(logits[~masked], targets[~masked])
    torch.testing.assert_close(loss, known)
    assert torch.equal(logits.grad == 0, masked)


def test_a_batch_without_weight_learns_nothing(logits: torch.Tensor, targets: torch.Tensor) -> None:
    logits.requires_grad_()
    loss = UncertainLabelLoss()(logits, labels(targets, torch.zeros_like(targets)))
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_three_classes_are_a_softmax_of_their_own() -> None:
    triple = torch.randn(2, 6, dtype=torch.float64)
    classes = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    loss = UncertainLabelLoss()(triple, labels(classes, torch.ones(2, 2)))
    chances = triple.reshape(2, 2, 3).softmax(dim=2)
    chosen = chances.gather(2, classes.long()[..., None])
    torch.testing.assert_close(loss, -chosen.log().mean())


def test_the_third_class_has_no_say_at_the_end() -> None:
    triple = torch.randn(4, 6, dtype=torch.float64)
    p = triple.reshape(4, 2, 3).softmax(dim=2)
    expected = p[..., 1] / (p[..., 0] + p[..., 1])
    torch.testing.assert_close(finding_logits(triple, 2).sigmoid(), expected)
    torch.testing.assert_close(FindingLogits(nn.Identity(), 2)(triple).sigmoid(), expected)
    assert finding_logits(triple, 6) is triple


def test_other_shapes_are_refused(logits: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"one or three per finding of \(6, 2\) labels, got \(6, "):
        UncertainLabelLoss()(logits, torch.ones(6, 2, 2))
