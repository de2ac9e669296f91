"""Group normalisation in the place of batch normalisation."""

import pytest
import torch
from torch import nn

from cxr_noise_transforms.study.training.batch_norm import has_statistics
from cxr_noise_transforms.study.training.group_norm import group_normalised
from cxr_noise_transforms.study.training.networks import (
    classification_network,
    segmentation_network,
)

SIDE = 32


@pytest.mark.parametrize("arch", ["Unet+groupnorm", "FPN+tu-test_resnet+groupnorm"])
def test_no_statistics_are_left_in_a_segmentation_network(arch: str) -> None:
    check(segmentation_network(arch, "resnet18"))


@pytest.mark.parametrize("arch", ["test_resnet", "test_efficientnet", "densenet121"])
def test_no_statistics_are_left_in_a_classifier(arch: str) -> None:
    check(classification_network(f"{arch}+groupnorm", size=SIDE))


def check(network: nn.Module) -> None:
    assert not has_statistics(network)
    films = torch.rand(3, 3, SIDE, SIDE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    for part in network.modules():
        if isinstance(part, nn.Dropout2d):
            part.p = 0
    # a film's answer is its own, in training too
    alone, together = network(films[:1]), network(films)
    torch.testing.assert_close(alone, together[:1], atol=1e-4, rtol=1e-3)
    together.mean().backward()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(
        part.weight.grad is not None for part in network.modules() if isinstance(part, nn.GroupNorm)
    )


def test_groups_divide_the_channels_and_weights_are_kept() -> None:
    batch = nn.BatchNorm2d(48)
    nn.init.uniform_(batch.weight)
    [group] = group_normalised(nn.Sequential(batch))
    assert (group.num_groups, group.num_channels) == (16, 48)
    assert group.weight is batch.weight
    plain = group_normalised(nn.Sequential(nn.BatchNorm2d(5, affine=False)))
    assert (plain[0].num_groups, plain[0].affine) == (1, False)


def test_an_activation_inside_the_layer_stays() -> None:
    plain = classification_network("test_efficientnet", size=SIDE)
    kinds = [type(part).__name__ for part in plain.modules()]
    group_normalised(plain)
    after = [type(part).__name__ for part in plain.modules()]
    assert after.count("SiLU") == kinds.count("SiLU") > 0
    assert after.count("GroupNorm") == kinds.count("BatchNormAct2d") > 0


def test_what_has_nothing_to_replace_is_refused() -> None:
    with pytest.raises(ValueError, match="VisionTransformer has no batch normalisation"):
        classification_network("test_vit+groupnorm", size=SIDE)


@pytest.mark.parametrize("arch", ["Unet+groupnorm+resnet18", "Unet+a+b", "Unet+groupnorm+b"])
def test_parts_of_a_name_in_another_order_are_refused(arch: str) -> None:
    with pytest.raises(ValueError, match=r"optionally with \+ENCODER and \+groupnorm|encoder must"):
        segmentation_network(arch)


def test_a_classifier_has_no_encoder() -> None:
    with pytest.raises(ValueError, match=r"optionally with \+groupnorm, got 'resnet18\+mit_b0'"):
        classification_network("resnet18+mit_b0")


def test_a_name_may_bring_its_encoder() -> None:
    network = segmentation_network("Unet+tu-test_resnet", "resnet34")
    assert type(network.encoder).__name__ == "TimmUniversalEncoder"
