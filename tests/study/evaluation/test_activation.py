import gc
import weakref
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.activation import activation_maps, last_features


class Patches(nn.Module):
    """Says how much is bright above mid grey, and how much is dark below it."""

    def __init__(self) -> None:
        super().__init__()
        self.contrast = nn.Conv2d(1, 2, 1)
        self.kept = nn.ReLU()
        with torch.no_grad():
            self.contrast.weight[:] = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
            self.contrast.bias[:] = torch.tensor([-0.5, 0.5])

    def forward(self, image: Tensor) -> Tensor:
        return self.kept(self.contrast(image)).mean(dim=(2, 3))


@pytest.fixture
def films() -> Tensor:
    """Grey, with a bright patch above and a dark one below, at places of their own."""
    films = torch.full((3, 1, 32, 32), 0.5)
    for number, film in enumerate(films):
        film[0, 2 + number : 8 + number, 4:12] = 0.9
        film[0, 20:26, 14 + number : 20 + number] = 0.2
    return films


def test_the_map_of_a_class_is_its_planted_patch(films: Tensor) -> None:
    bright, dark = (activation_maps(Patches(), films, "kept", place) for place in (0, 1))
    assert bright.shape == (3, 32, 32)
    torch.testing.assert_close(bright, (films[:, 0] > 0.5).float())
    torch.testing.assert_close(dark, (films[:, 0] < 0.5).float())


def test_a_stronger_patch_is_higher_on_the_map(films: Tensor) -> None:
    films[0, 0, 28:30, 28:30] = 0.7
    found = activation_maps(Patches(), films, "kept")[0]
    assert found[28, 28].item() == pytest.approx(0.5)


def test_a_film_without_the_finding_has_an_empty_map() -> None:
    assert not activation_maps(Patches(), torch.full((2, 1, 8, 8), 0.5), "kept").any()


def test_a_film_has_the_same_map_alone_and_in_a_batch(films: Tensor) -> None:
    network = timm.create_model("resnet10t", num_classes=2).eval()
    films = films.expand(-1, 3, -1, -1) + 0.1 * torch.rand(3, 3, 32, 32)
    whole = activation_maps(network, films, last_features(network), 1)
    alone = activation_maps(network, films[1:2], last_features(network), 1)
    torch.testing.assert_close(whole[1:2], alone)


@pytest.mark.parametrize("arch", ["densenet121", "resnet18", "efficientnet_b0"])
def test_networks_of_timm_have_maps_and_stay_as_they_were(arch: str) -> None:
    network = timm.create_model(arch, num_classes=3).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        maps = activation_maps(network, image.clone(), last_features(network), 2)
    assert maps.shape == (1, 64, 64)
    assert 0 <= maps.min() <= maps.max() <= 1
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(one.grad is None for one in network.parameters())


def test_what_is_not_there_is_refused(films: Tensor) -> None:
    with pytest.raises(ValueError, match="layer must be a module of Patches, got 'layer4'"):
        activation_maps(Patches(), films, "layer4")
    with pytest.raises(ValueError, match="class_index must be from 0 to 1, got 2"):
        activation_maps(Patches(), films, "kept", 2)
    with pytest.raises(ValueError, match="Patches must name its features"):
        last_features(Patches())


def test_nothing_of_a_call_outlives_it() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    copies: list[weakref.ref[nn.Module]] = []

    class Watched(nn.Identity):
        def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
            copies.append(weakref.ref(twin := Watched()))
            return twin

    network.append(Watched())
    gc.disable()
    try:
        activation_maps(network, torch.rand(2, 1, 8, 8), "0")
        # without the collector, which does not see how large a graph is
        assert len(copies) == 1
        assert copies[0]() is None
    finally:
        gc.enable()
