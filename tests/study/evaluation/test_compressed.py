"""Networks of 8 bits, and pruned ones."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.compressed import PRUNED, pruned, quantised
from cxr_noise_transforms.study.evaluation.identity import fingerprint
from cxr_noise_transforms.study.training.networks import (
    classification_network,
    segmentation_network,
)

FILMS = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
# networks differ in what is quantised: convolutions, transposed ones, attention
NETWORKS = {
    "resnet": lambda: classification_network("test_resnet", size=32),
    "transformer": lambda: classification_network("test_vit", size=32),
    "masks": lambda: segmentation_network("Unet", "tu-test_resnet"),
}


@pytest.fixture(params=NETWORKS)
def network(request: Any) -> nn.Module:
    torch.manual_seed(0)
    found: nn.Module = NETWORKS[request.param]().eval()
    return found


def layers(network: nn.Module) -> list[Any]:
    kinds = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    return [part for part in network.modules() if isinstance(part, kinds)]


@torch.no_grad()
def test_a_quantised_network_answers_nearly_as_the_float_one(network: nn.Module) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    few = quantised(network, [FILMS])
    float_answer, few_answer = network(FILMS), few(FILMS)
    assert not torch.equal(float_answer, few_answer)
    assert (float_answer - few_answer).abs().mean() < 0.1 * float_answer.abs().mean()
    # the network itself stays as it was
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@torch.no_grad()
def test_every_channel_of_weights_has_at_most_255_values(network: nn.Module) -> None:
    for one, other in zip(layers(network), layers(quantised(network, [FILMS])), strict=True):
        axis = int(isinstance(one, nn.ConvTranspose2d))
        exact, few = (part.weight.transpose(0, axis).flatten(1) for part in (one, other))
        step = exact.abs().amax(1, keepdim=True) / 127
        levels = few / step.clamp(min=1e-12)
        torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
        assert ((few - exact).abs() <= step / 2 + 1e-6).all()


@torch.no_grad()
def test_what_a_layer_takes_has_at_most_256_values() -> None:
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    nn.init.ones_(network[0].weight)
    films = torch.rand(4, 1, 64, 64)
    found = quantised(network, [films])(films)
    assert len(found.unique()) <= 256
    assert (found - films).abs().max() < 2 / 255
    # what is beyond the range of the films that it was made with saturates
    assert quantised(network, [films])(films + 5).max() < 1.01


def test_two_quantised_copies_are_one_content_and_others_are_not(network: nn.Module) -> None:
    one, same, other = (quantised(network, [films]) for films in (FILMS, FILMS, FILMS / 2))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)
    assert len({fingerprint(pruned(network, share)) for share in (0, *PRUNED)}) == 3


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1))
def test_the_least_weights_are_pruned(share: float) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8))
    found = pruned(network, share)
    before, after = (weights(one) for one in (network, found))
    gone = after == 0
    assert gone.sum() == round(share * len(after))
    assert torch.equal(after[~gone], before[~gone])
    if gone.any() and not gone.all():
        assert before[gone].abs().max() <= before[~gone].abs().min()
    assert torch.equal(found[0].bias, network[0].bias)


def weights(network: nn.Module) -> Tensor:
    return torch.cat([layer.weight.detach().flatten() for layer in layers(network)])


@torch.no_grad()
def test_a_layer_in_two_places_is_one_and_attention_has_rounded_weights() -> None:
    layer = nn.Linear(4, 4)
    network = nn.Sequential(layer, nn.ReLU(), layer)
    few = quantised(network, [torch.rand(8, 4)])
    assert few[0] is few[2] is not layer
    assert (pruned(network, 0.5)[0].weight == 0).sum() == 8
    attention = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True).eval()
    words = torch.rand(2, 3, 8)
    few = quantised(attention, [words])
    assert few(words).shape == words.shape
    assert not torch.equal(few.self_attn.out_proj.weight, attention.self_attn.out_proj.weight)


def test_networks_without_layers_and_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="Identity has no convolution or linear layer"):
        pruned(nn.Identity(), 0.5)
    with pytest.raises(ValueError, match="Identity has no convolution or linear layer"):
        quantised(nn.Identity(), [])
    for share in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match="share must be from 0 to 1"):
            pruned(nn.Linear(2, 2), share)
