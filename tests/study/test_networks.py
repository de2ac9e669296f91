import time
from pathlib import Path

import pytest
import torch

from cxr_noise_transforms.study.networks import load_checkpoint, segmentation_network


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
