"""Numbers of activation maps, on a network whose right map is known."""

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from scipy.stats import spearmanr
from test_activation import Patches
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.activation import activation_maps
from cxr_noise_transforms.study.evaluation.attention import (
    Spoken,
    confidence,
    has_map,
    inside_share,
    network_maps,
    rank_correlation,
)
from cxr_noise_transforms.study.evaluation.looking import attention, example_maps


@pytest.fixture
def film() -> tuple[Tensor, Tensor]:
    """A bright patch on grey, and where it is."""
    mask = torch.zeros(1, 32, 32)
    mask[0, 4:12, 8:16] = 1
    return 0.4 + 0.4 * mask[:, None], mask


def test_all_attention_lies_in_the_planted_patch_and_leaves_it_for_another(
    film: tuple[Tensor, Tensor],
) -> None:
    image, mask = film
    clean = activation_maps(Patches(), image, "kept")
    assert inside_share(clean, mask).item() == 1
    assert inside_share(clean, 1 - mask).item() == 0
    assert rank_correlation(clean, mask).item() == pytest.approx(1)
    # as bright and as large a patch elsewhere takes half
    distracted = image.clone()
    distracted[0, 0, 20:28, 20:28] = image.max()
    found = activation_maps(Patches(), distracted, "kept")
    assert inside_share(found, mask).item() == pytest.approx(0.5)
    assert 0 < rank_correlation(found, clean).item() < 1


def test_a_segmentation_s_map_is_what_it_predicts(film: tuple[Tensor, Tensor]) -> None:
    image, mask = film
    network = nn.Conv2d(1, 1, 1)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(network.bias, -0.5)
    assert Spoken(network)(image).item() == pytest.approx(0.3 * mask.mean().item())
    maps = activation_maps(Spoken(network), image, "network")
    assert torch.equal(maps, mask)


def test_an_empty_map_has_no_share_and_no_order() -> None:
    nothing, half = torch.zeros(1, 4, 4), torch.ones(1, 4, 4).triu()
    assert inside_share(nothing, half).isnan().all()
    assert rank_correlation(nothing, half).isnan().all()


def test_ranks_are_scipy_s_with_ties() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(3, 8, 8, generator=generator).mul(5).round()
    others = maps + torch.rand(3, 8, 8, generator=generator).mul(3).round()
    expected = [
        spearmanr(one.flatten(), other.flatten()).statistic
        for one, other in zip(maps, others, strict=True)
    ]
    assert rank_correlation(maps, others).tolist() == pytest.approx(expected)
    assert rank_correlation(maps, -maps).tolist() == pytest.approx([-1, -1, -1])


def test_confidence_is_nothing_at_a_half_and_all_far_from_it() -> None:
    logits = torch.tensor([0.0, 40.0, -40.0])[:, None, None, None].expand(-1, 2, 4, 4)
    assert confidence(logits).tolist() == [0, 1, 1]


@pytest.mark.parametrize("arch", ["Unet", "resnet10t"])
def test_networks_of_the_study_have_maps(arch: str) -> None:
    torch.manual_seed(0)
    if arch == "Unet":
        network = smp.Unet("tu-test_resnet", encoder_weights=None)
    else:
        network = timm.create_model(arch, num_classes=1)
    maps = network_maps(network.eval(), torch.rand(2, 3, 64, 64))
    assert maps.shape == (2, 64, 64)
    assert 0 <= maps.min() <= maps.max() <= 1


def test_attention_lies_in_the_masks_of_the_films_that_have_one(
    film: tuple[Tensor, Tensor],
) -> None:
    image, mask = film
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=1).eval()
    batch = {
        "id": ["a", "b"], "patient": ["a", "b"], "source": ["s", "s"],
        "image": image.expand(2, 1, 32, 32), "label": torch.ones(2, 1),
    }  # fmt: skip
    about = {"task": "t", "network": "n", "weights": "clean", "training_seed": 0}
    masks = {"b": mask[0].byte().numpy(), "c": mask[0].byte().numpy()}
    table = attention(network, [batch], "x", about, torch.device("cpu"), masks)
    inside = table[table.metric == "inside"]
    assert inside.value[inside.image == "a"].isna().all()
    known = inside[(inside.image == "b") & (inside.se == 0)].value.iloc[0]
    maps = network_maps(network, image.expand(1, 3, 32, 32))
    assert known == pytest.approx(inside_share(maps, mask).item(), abs=1e-2)


def test_examples_come_in_the_order_of_their_names(film: tuple[Tensor, Tensor]) -> None:
    image, _ = film
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=1).eval()
    batch = {"id": ["a", "b", "c"], "image": image.expand(3, 1, 32, 32)}
    found = example_maps(network, [batch], ["c", "a"], 3.0, torch.device("cpu"))
    assert [(one.image, one.se) for one in found] == [("c", 3.0), ("a", 3.0)]
    for one in found:
        assert one.map.shape == one.noisy_map.shape == one.noisy.shape == (32, 32)
        maps = (torch.as_tensor(each)[None] for each in (one.map, one.noisy_map))
        assert one.agreement == pytest.approx(rank_correlation(*maps).item(), abs=1e-6)
    # every film has noise of its own
    assert (found[0].noisy != found[1].noisy).any()


def test_tokens_have_no_map() -> None:
    assert not has_map(timm.create_model("test_vit"))
    assert has_map(timm.create_model("test_convnext"))
