import time
from pathlib import Path

import pytest
import torch

from cxr_noise_transforms.study.training.networks import (
    classification_network,
    load_checkpoint,
    segmentation_network,
)


@pytest.mark.parametrize("arch", ["Unet", "DeepLabV3", "FPN"])
def test_one_logit_per_organ_and_pixel(arch: str) -> None:
    network = segmentation_network(arch, "resnet18", channels=2).eval()
    assert network(torch.rand(2, 3, 64, 64)).shape == (2, 2, 64, 64)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="arch must be a model of segmentation_models_pytorch"):
        segmentation_network("Vnet")
    with pytest.raises(ValueError, match=r"encoder must be one of .*, got 'resnet19'"):
        segmentation_network("Unet", "resnet19")


def test_imagenet_weights_out_of_reach_fail_within_a_second_and_name_the_option() -> None:
    segmentation_network("Unet", "resnet18")
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="--encoder-weights none"):
        segmentation_network("Unet", "resnet18", "imagenet")
    assert time.monotonic() - start < 1.5


def test_encoder_weights_from_a_file(tmp_path: Path) -> None:
    donor = segmentation_network("FPN", "resnet18")
    # as torchvision and timm save a ResNet, with its classifier
    torch.save(
        {**donor.encoder.state_dict(), "fc.weight": torch.zeros(1), "fc.bias": torch.zeros(1)},
        tmp_path / "encoder.pt",
    )
    network = segmentation_network("Unet", "resnet18", str(tmp_path / "encoder.pt"))
    assert torch.equal(network.encoder.conv1.weight, donor.encoder.conv1.weight)


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    saved = segmentation_network("Unet", "resnet18")
    torch.save(saved.state_dict(), tmp_path / "model.pt")
    network = load_checkpoint(segmentation_network("Unet", "resnet18"), tmp_path / "model.pt", "")
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(network.eval()(image), saved.eval()(image))


def test_checkpoint_of_another_architecture(tmp_path: Path) -> None:
    torch.save(segmentation_network("FPN", "resnet18").state_dict(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model.pt are of another network than Unet with"):
        load_checkpoint(
            segmentation_network("Unet", "resnet18"), tmp_path / "model.pt", "Unet with resnet18"
        )


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"epoch,loss\n1,0.5\n"])
def test_broken_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot read weights .*model.pt"):
        load_checkpoint(segmentation_network("Unet", "resnet18"), tmp_path / "model.pt", "Unet")


def test_truncated_checkpoint_is_named(tmp_path: Path) -> None:
    network = segmentation_network("Unet", "resnet18")
    torch.save(network.state_dict(), tmp_path / "model.pt")
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cannot read weights .*model.pt"):
        load_checkpoint(network, tmp_path / "model.pt", "Unet")


def test_a_file_of_something_else_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({0: torch.zeros(1)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model.pt must hold a state dict"):
        load_checkpoint(segmentation_network("Unet", "resnet18"), tmp_path / "model.pt", "Unet")


def test_an_encoder_without_imagenet_weights() -> None:
    with pytest.raises(ValueError, match="encoder 'dpn92' has no ImageNet weights, only imagenet"):
        segmentation_network("Unet", "dpn92", "imagenet")


def test_a_proxy_out_of_reach_fails_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="--encoder-weights none"):
        segmentation_network("Unet", "resnet18", "imagenet")
    assert time.monotonic() - start < 1.5


def test_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.pt do not exist"):
        load_checkpoint(segmentation_network("Unet", "resnet18"), tmp_path / "none.pt", "Unet")


@pytest.mark.parametrize(
    ("arch", "size"),
    [
        ("resnet34", 64),
        ("densenet121", 64),
        ("efficientnet_b0", 64),
        ("vit_tiny_patch16_224", 64),
        ("vit_tiny_patch16_224", 96),
    ],
)
def test_one_logit_per_class(arch: str, size: int) -> None:
    network = classification_network(arch, classes=3, size=size).eval()
    with torch.inference_mode():
        assert network(torch.rand(2, 3, size, size)).shape == (2, 3)


def test_the_weights_of_a_classifier_are_drawn_from_torch() -> None:
    networks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks.append(classification_network("resnet18", "none"))
    first, again, other = (network.conv1.weight for network in networks)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert networks[0].fc.out_features == 1


@pytest.mark.parametrize(
    ("arch", "head"),
    [
        ("resnet18", "fc"),
        ("densenet121", "classifier"),
        ("efficientnet_b0", "classifier"),
        ("vit_tiny_patch16_224", "head"),
    ],
)
@pytest.mark.parametrize("classes", [1000, 2])
def test_a_file_with_any_number_of_classes_keeps_the_networks_own_head(
    tmp_path: Path, arch: str, head: str, classes: int
) -> None:
    torch.manual_seed(0)
    donor = classification_network(arch, classes=classes, size=64).state_dict()
    # untrained networks begin with the same statistics
    donor = {name: value + 1 for name, value in donor.items()}
    torch.save(donor, tmp_path / "weights.pt")
    torch.manual_seed(1)
    fresh = classification_network(arch, classes=2, size=64).state_dict()
    torch.manual_seed(1)
    network = classification_network(arch, str(tmp_path / "weights.pt"), classes=2, size=64)
    for name, value in network.state_dict().items():
        expected = fresh if name.startswith(f"{head}.") else donor
        assert torch.equal(value, expected[name]), name


def test_a_file_of_another_classifier_is_refused(tmp_path: Path) -> None:
    torch.save(classification_network("resnet34").state_dict(), tmp_path / "weights.pt")
    with pytest.raises(
        ValueError, match=r"weights.pt are of another network than resnet18: \d+ of"
    ):
        classification_network("resnet18", str(tmp_path / "weights.pt"))
    # built for another size, it has other positions
    vit = classification_network("vit_tiny_patch16_224", size=64)
    torch.save(vit.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"1 of \d+ tensors .*, for example pos_embed"):
        classification_network("vit_tiny_patch16_224", str(tmp_path / "weights.pt"), size=96)
    with pytest.raises(FileNotFoundError, match=r"weights no.pt do not exist"):
        classification_network("resnet18", "no.pt")


@pytest.mark.parametrize(
    ("arch", "suggestion"),
    [
        ("resnet35", r"model of timm \(.*resnet34.*, \.\.\.\), .*, got 'resnet35'$"),
        ("densenet", r"model of timm \(.*densenet\d+.*, \.\.\.\), .*, got 'densenet'$"),
        ("", r"model of timm \(resnet34, densenet121, \.\.\.\), .*, got ''$"),
        ("xyzzy", r"model of timm \(resnet34, densenet121, \.\.\.\), .*, got 'xyzzy'$"),
    ],
)
def test_an_unknown_classifier_is_refused_with_suggestions(arch: str, suggestion: str) -> None:
    with pytest.raises(ValueError, match=suggestion):
        classification_network(arch)


def test_a_classifiers_imagenet_weights_out_of_reach_name_the_option() -> None:
    classification_network("resnet18")
    start = time.monotonic()
    with pytest.raises(ConnectionError, match="--pretrained none, or name a local file"):
        classification_network("resnet18", "imagenet")
    assert time.monotonic() - start < 1.5


def test_a_classifier_without_imagenet_weights() -> None:
    with pytest.raises(ValueError, match="timm has no pretrained weights for 'cspresnet50d'"):
        classification_network("cspresnet50d", "imagenet")
