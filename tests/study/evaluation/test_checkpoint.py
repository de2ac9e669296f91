"""A checkpoint is used with the settings of its training, where they are known."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from layouts import write_image
from monai.bundle import ConfigWorkflow

from cxr_noise_transforms.study.evaluation.checkpoint import trained_network
from cxr_noise_transforms.study.evaluation.sweep import own_errors

BUNDLES = Path(__file__).parents[3] / "examples" / "bundles"
SMALL = {
    "segmentation": {"size": 32, "phantoms": 20, "arch": "Unet", "encoder": "tu-test_resnet"},
    "classification": {"size": 32, "phantoms": 44, "arch": "test_resnet"},
}
WEIGHTS = {"segmentation": "encoder_weights", "classification": "pretrained"}


def made(kind: str, name: str, folder: Path, **overrides: Any) -> ConfigWorkflow:
    workflow = ConfigWorkflow(
        config_file=str(BUNDLES / kind / "configs" / f"{name}.yaml"),
        workflow_type="train" if name == "train" else "infer",
        logging_file=False,
        ckpt_dir=str(folder),
        device="$torch.device('cpu')",
        **{**SMALL[kind], **overrides},
    )
    workflow.initialize()
    return workflow


def network(kind: str, name: str, folder: Path, **overrides: Any) -> torch.nn.Module:
    with own_errors():
        return made(kind, name, folder, **overrides).parser.get_parsed_content("network")


@pytest.fixture(scope="module", params=["segmentation", "classification"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(kind)
    once = {"epochs": 1, "swa_start": 1, "batch_size": 14, "tensorboard": False}
    made(kind, "train", folder, **once, **{WEIGHTS[kind]: "none"}).run()
    return folder


@pytest.mark.parametrize("name", ["evaluate", "inference"])
@pytest.mark.parametrize("checkpoint", ["model.pt", "model_swa.pt"])
def test_other_settings_than_the_trainings_are_refused(
    kind: str, trained: Path, name: str, checkpoint: str, tmp_path: Path
) -> None:
    write_image(tmp_path / "a.png")
    path = {"checkpoint": str(trained / checkpoint)}
    network(kind, name, trained, **path)
    other: dict[str, tuple[Any, str]] = {
        "segmentation": {"organs": ("heart", "organs lungs there, heart now")},
        "classification": {
            "pair": ("Effusion / Nodule", "pair Effusion / Edema there, Effusion / Nodule now")
        },
    }[kind]
    other |= {"size": (64, "size 32 there, 64 now"), "levels": (99, "levels None there, 99 now")}
    for key, (value, message) in other.items():
        with pytest.raises(
            ValueError, match=rf"{checkpoint} was trained with other settings \({message}\)"
        ):
            network(kind, name, trained, **path, **{key: value})


def test_weights_alone_are_taken_as_they_are(kind: str, trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "model.pt", tmp_path)
    other = {"organs": "heart"} if kind == "segmentation" else {"pair": "Effusion / Nodule"}
    one = network(kind, "inference", tmp_path, size=64, **other).state_dict()
    for key, value in torch.load(trained / "model.pt", weights_only=True).items():
        assert torch.equal(one[key], value)


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    net = torch.nn.Linear(1, 1)
    torch.save(net.state_dict(), tmp_path / "model.pt")
    for content in (b"", b"no training", b"PK"):
        (tmp_path / "resume.pt").write_bytes(content)
        with pytest.raises(ValueError, match=r"cannot read the settings .*resume.pt .*remove it"):
            trained_network(net, tmp_path / "model.pt", "linear", {"size": 32})
