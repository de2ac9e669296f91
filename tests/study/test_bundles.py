"""The two MONAI bundles: their properties, metadata and recipe, MONAI's own commands on them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from layouts import write_annotated, write_image
from monai.bundle import ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out
from monai.losses import DiceLoss

from cxr_noise_transforms.study.evaluation.sweep import own_errors

ROOT = Path(__file__).parents[2]
BUNDLES = ROOT / "examples" / "bundles"
SCHEMA = ROOT.parent / "shared" / "monai" / "meta_schema_20240725.json"
KINDS = ("segmentation", "classification")
# both leave a test film without a partner on two ranks
SMALL = {
    "segmentation": {"size": 32, "phantoms": 20, "arch": "Unet", "encoder": "resnet18"},
    "classification": {"size": 32, "phantoms": 44, "arch": "resnet18"},
}
# for processes of their own, of which each writes its checkpoints
TINY = {
    "segmentation": {**SMALL["segmentation"], "encoder": "tu-test_resnet"},
    "classification": {**SMALL["classification"], "arch": "test_resnet"},
}
WEIGHTS = {"segmentation": "encoder_weights", "classification": "pretrained"}

pytestmark = pytest.mark.filterwarnings(
    # MONAI scripts models for its exports, and checks no hash of a local schema
    "ignore:.torch.jit:FutureWarning",
    "ignore:.torch.jit:DeprecationWarning",
    "ignore:No hash value provided:UserWarning",
)


def configs(kind: str, *names: str) -> list[str]:
    return [str(BUNDLES / kind / "configs" / name) for name in names]


def workflow(kind: str, name: str, folder: Path, **overrides: Any) -> ConfigWorkflow:
    untrained = {WEIGHTS[kind]: "none", "tensorboard": False} if name == "train" else {}
    made = ConfigWorkflow(
        config_file=configs(kind, f"{name}.yaml"),
        workflow_type="train" if name == "train" else "infer",
        logging_file=False,
        ckpt_dir=str(folder),
        device="$torch.device('cpu')",
        **{**untrained, **overrides},
    )
    made.initialize()
    return made


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def trained(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(kind)
    workflow(kind, "train", folder, **SMALL[kind], epochs=1, swa_start=1, batch_size=4).run()
    return folder


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_every_property_that_monai_asks_for_is_there(kind: str, trained: Path, name: str) -> None:
    same = {"epochs": 1, "swa_start": 1, "batch_size": 4} if name == "train" else {}
    made = workflow(kind, name, trained, **SMALL[kind], **same)
    assert not made.check_properties()
    if name == "train":
        # two that other handlers and the sweep know by name are in the list itself
        content = made.parser.get_parsed_content
        for handler in ("train#early_stop", "train#averaging"):
            assert sum(one is content(handler) for one in content("train#handlers")) == 1
    assert made.bundle_root == "."
    assert made.device == torch.device("cpu")


def test_evaluation_writes_its_metrics(kind: str, trained: Path, tmp_path: Path) -> None:
    made = workflow(kind, "evaluate", trained, **SMALL[kind], sq=10, output_dir=str(tmp_path))
    made.run()
    metrics = made.evaluator.state.metrics
    names = {"segmentation": {"dice", "iou"}, "classification": {"auroc", "auprc", "f1"}}[kind]
    assert set(metrics) == names
    written = (tmp_path / "metrics.csv").read_text()
    assert all(f"{name}" in written for name in names)
    if kind == "segmentation":
        raw = pd.read_csv(tmp_path / "dice_raw.csv")
        films = json.loads((trained / "split.json").read_text())["test"]
        assert sorted(raw.filename) == sorted(film["id"] for film in films)


def test_metadata_fits_the_schema(kind: str) -> None:
    if not SCHEMA.is_file():
        pytest.skip(f"no copy of MONAI's metadata schema at {SCHEMA}")
    [path] = configs(kind, "metadata.json")
    metadata = json.loads(Path(path).read_text())
    jsonschema.validate(metadata, json.loads(SCHEMA.read_text()))
    assert metadata["version"] in metadata["changelog"]
    verify_metadata(meta_file=path, filepath=str(SCHEMA))


def test_the_network_takes_and_gives_what_the_metadata_say(kind: str) -> None:
    [path], config = configs(kind, "metadata.json"), configs(kind, "inference.yaml")
    # of the size in the metadata
    check = {"meta_file": path, "config_file": config, "device": "cpu", "n": 2}
    verify_net_in_out("network_def", **check, **{**SMALL[kind], "size": 512})
    with pytest.raises(ValueError, match="output channel number `1` doesn't match: `2`"):
        verify_net_in_out(
            "network_def", **check, **SMALL[kind],
            **{"_meta_#network_data_format#outputs#pred#num_channels": 2},
        )  # fmt: skip


def test_a_trained_network_is_exported_as_torchscript(
    kind: str, trained: Path, tmp_path: Path
) -> None:
    [metadata], config = configs(kind, "metadata.json"), configs(kind, "inference.yaml")
    ckpt_export(
        "network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(trained / "model.pt"),
        meta_file=metadata,
        config_file=config,
        **SMALL[kind],
    )
    exported = torch.jit.load(tmp_path / "model.ts").eval()
    network = workflow(kind, "evaluate", trained, **SMALL[kind]).parser.get_parsed_content(
        "network"
    )
    films = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(exported(films), network.eval()(films), atol=1e-5)


def test_training_follows_the_papers_recipe(kind: str, tmp_path: Path) -> None:
    # films are read when a part of the configuration asks for them: only the keys below are
    made = ConfigWorkflow(
        config_file=configs(kind, "train.yaml"),
        workflow_type="train",
        logging_file=False,
        ckpt_dir=str(tmp_path),
        cache="none",
        tensorboard=False,
        **{WEIGHTS[kind]: "none"},
    )
    made.initialize()
    config, content = made.parser.config, made.parser.get_parsed_content
    assert (config["size"], config["patience"], config["train"]["trainer"]["max_epochs"]) == (
        512,
        10,
        "@epochs",
    )
    assert config["encoder" if kind == "segmentation" else "arch"] == "resnet34"
    optimizer, scheduler = content("optimizer"), content("lr_scheduler")
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.defaults["lr"] == 1e-4
    assert type(scheduler) is torch.optim.lr_scheduler.CosineAnnealingLR
    assert scheduler.T_max == made.max_epochs == 200
    handlers = {type(handler).__name__: handler for handler in content("train#handlers")}
    assert handlers["ClipGradNorm"].max_norm == 0.5
    assert handlers["EarlyStop"].patience == 10
    assert handlers["LrScheduleHandler"].lr_scheduler is scheduler
    assert handlers["ValidationHandler"].interval == 1
    loss = content("loss")
    assert type(loss) is (DiceLoss if kind == "segmentation" else torch.nn.BCEWithLogitsLoss)
    transforms = {type(one).__name__: one for one in content("train#preprocessing").transforms}
    assert transforms["RandFlipd"].prob == 0.5
    if kind == "classification":
        affine = transforms["RandAffined"].rand_affine
        assert np.rad2deg(affine.rand_affine_grid.rotate_range) == pytest.approx(10, abs=1e-4)
        assert transforms["RandAffined"].prob == 1


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("segmentation", {"arch": "Linknet", "encoder": "tu-test_efficientnet"}),
        ("segmentation", {"encoder": "tu-test_resnet", "organs": "lungs-heart"}),
        ("classification", {"arch": "vit_tiny_patch16_224", "size": 64}),
        ("classification", {"arch": "test_efficientnet", "pair": "No Finding / Nodule"}),
    ],
)
def test_other_networks_and_tasks_need_a_name_alone(
    kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    small = {**SMALL[kind], **changes}
    train = {"epochs": 1, "swa_start": 1, "batch_size": 14, "cache": "none"}
    made = workflow(kind, "train", tmp_path, **small, **train)
    made.run()
    assert made.parser.get_parsed_content("train#trainer").state.iteration == (
        1 if kind == "segmentation" else 2
    )
    for checkpoint in ("model.pt", "model_swa.pt"):
        weights = {"checkpoint": str(tmp_path / checkpoint), "output_dir": str(tmp_path)}
        evaluation = workflow(kind, "evaluate", tmp_path, **small, **weights)
        evaluation.run()
        assert 0 <= evaluation.evaluator.state.best_metric <= 1


def test_training_takes_any_noise_module(kind: str, tmp_path: Path) -> None:
    noise = {"_target_": "cxr_noise_transforms.QuantumNoise", "sq": [0, 4]}
    train = {"epochs": 1, "swa_start": 1, "batch_size": 4}
    made = workflow(kind, "train", tmp_path, **SMALL[kind], **train, noise=noise)
    content = made.parser.get_parsed_content
    batch = next(iter(content("train#dataloader")))
    noisy, _ = content("train#prepare_batch")(batch, "cpu")
    assert noisy.shape == (4, 3, 32, 32)
    assert not torch.equal(noisy[:, :1], batch["image"])
    # validation films have noise of fixed seeds, so that epochs can be compared
    fixed, again = (content("validate#prepare_batch")(batch, "cpu")[0] for _ in range(2))
    assert torch.equal(fixed, again)
    assert not torch.equal(fixed[:, :1], batch["image"])


@pytest.mark.parametrize("kind", SMALL)
def test_noise_falls_on_a_share_of_the_films(kind: str, tmp_path: Path) -> None:
    noise = {"_target_": "cxr_noise_transforms.QuantumNoise", "sq": [0, 4]}
    made = workflow(kind, "train", tmp_path, **SMALL[kind], noise=noise, noise_prob=0.0)
    content = made.parser.get_parsed_content
    batch = next(iter(content("train#dataloader")))
    clean, _ = content("train#prepare_batch")(batch, "cpu")
    assert torch.equal(clean[:, :1], batch["image"])


@pytest.mark.parametrize(
    ("changes", "sources"),
    [
        ({"source": "JSRT"}, {"train": {"JSRT"}, "val": {"JSRT"}, "test": {"JSRT"}}),
        (
            {"leave_out": "Shenzhen"},
            {"train": {"JSRT", "Montgomery"}, "val": {"JSRT", "Montgomery"}, "test": {"Shenzhen"}},
        ),
    ],
    ids=["restricted", "left out"],
)
def test_a_source_is_restricted_or_left_out(
    changes: dict[str, str], sources: dict[str, set[str]], tmp_path: Path
) -> None:
    for number in range(14):
        for stem in (f"JPCLN{number:03d}", f"CHNCXR_{number:04d}_0", f"MCUCXR_{number:04d}_0"):
            write_annotated(tmp_path / "data", stem)
    options = {**SMALL["segmentation"], "dataset_dir": str(tmp_path / "data"), **changes}
    made = workflow("segmentation", "train", tmp_path, **options, cache="none")
    split = made.parser.get_parsed_content("split")
    assert {part: {film["source"] for film in films} for part, films in split.items()} == sources
    # the same options open the same split for the evaluation, others do not
    torch.save(made.parser.get_parsed_content("network").state_dict(), tmp_path / "model.pt")
    test = workflow("segmentation", "evaluate", tmp_path, **options).parser
    assert test.get_parsed_content("split") == split
    other = workflow("segmentation", "evaluate", tmp_path, **{**options, **dict.fromkeys(changes)})
    with pytest.raises(ValueError, match=r"split.json"), own_errors():
        other.parser.get_parsed_content("split")


def monai_bundle(
    *arguments: str, folder: Path, kind: str, processes: int = 1, **overrides: Any
) -> None:
    """``python -m monai.bundle``, or as many processes of it under torchrun, from the bundle."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    options = {"ckpt_dir": folder / "models", "output_dir": folder / "out", **overrides}
    command = [
        sys.executable,
        *(launcher if processes > 1 else []),
        *("-m", "monai.bundle", *arguments),
        *(text for name, value in options.items() for text in (f"--{name}", str(value))),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=BUNDLES / kind,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.mark.slow
def test_the_bundle_runs_from_monais_command_line(kind: str, tmp_path: Path) -> None:
    small = {**TINY[kind], "batch_size": 4}
    run = {"folder": tmp_path, "kind": kind, **small}
    weights = {WEIGHTS[kind]: "none", "epochs": 2, "swa_start": 2}
    monai_bundle("run", "--config_file", "configs/train.yaml", **run, **weights)
    for file in ("model.pt", "model_swa.pt", "resume.pt", "split.json", "tensorboard"):
        assert (tmp_path / "models" / file).exists()
    severity = {"sq": 10, "checkpoint": tmp_path / "models" / "model_swa.pt"}
    monai_bundle("run", "--config_file", "configs/evaluate.yaml", **run, **severity)
    assert (tmp_path / "out" / "metrics.csv").is_file()
    write_image(tmp_path / "films" / "a.png")
    films = {"input_dir": tmp_path / "films"}
    monai_bundle("run", "--config_file", "configs/inference.yaml", **run, **films)
    written = {"segmentation": "a_lungs.png", "classification": "scores.csv"}[kind]
    assert (tmp_path / "out" / written).is_file()


OBSERVED = """
run:
  - $@train#trainer.run()
  - "$torch.save({'weights': @local_network.state_dict(), 'epoch': @train#trainer.state.epoch,
    'metrics': @validate#evaluator.state.metrics, 'films': len(@train#dataloader.sampler)},
    @ckpt_dir + f'/rank{dist.get_rank()}.pt')"
"""


def on_two_ranks(kind: str, folder: Path, **overrides: Any) -> list[dict[str, Any]]:
    """What both processes of a training end with."""
    (folder / "observed.yaml").write_text(OBSERVED)
    files = ["configs/train.yaml", "configs/multi_gpu_train.yaml", str(folder / "observed.yaml")]
    monai_bundle(
        "run",
        "--config_file",
        str(files),
        folder=folder,
        kind=kind,
        processes=2,
        **{**TINY[kind], WEIGHTS[kind]: "none", "batch_size": 4, **overrides},
    )
    return [torch.load(folder / "models" / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.slow
def test_two_processes_train_one_network_and_measure_as_one(kind: str, tmp_path: Path) -> None:
    one, other = on_two_ranks(kind, tmp_path, epochs=2, swa_start=1)
    # each has half of the films
    films = json.loads((tmp_path / "models" / "split.json").read_text())
    assert one["films"] == other["films"] == len(films["train"]) // 2
    assert one["metrics"] == other["metrics"]
    for name, value in one["weights"].items():
        assert torch.equal(value, other["weights"][name]), name
    best = torch.load(tmp_path / "models" / "model.pt", weights_only=True)
    assert best.keys() == one["weights"].keys()
    assert len(films["test"]) % 2
    test = {**TINY[kind], "sq": 4, "batch_size": 2}
    alone = workflow(
        kind, "evaluate", tmp_path / "models", **test, output_dir=str(tmp_path / "alone")
    )
    alone.run()
    monai_bundle(
        "run",
        "--config_file",
        "['configs/evaluate.yaml','configs/multi_gpu_evaluate.yaml']",
        folder=tmp_path,
        kind=kind,
        processes=2,
        **test,
    )
    expected = numbers(tmp_path / "alone" / "metrics.csv")
    assert expected == pytest.approx(alone.evaluator.state.metrics, abs=1e-6)
    assert numbers(tmp_path / "out" / "metrics.csv") == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_two_processes_stop_early_together(tmp_path: Path) -> None:
    # no batch normalisation: without steps the validation loss never falls
    options = {"arch": "test_vit", "learning_rate": 0.0, "patience": 1, "epochs": 5}
    ranks = on_two_ranks("classification", tmp_path, **options)
    assert [rank["epoch"] for rank in ranks] == [2, 2]
    assert ranks[0]["metrics"] == ranks[1]["metrics"]


def numbers(path: Path) -> dict[str, float]:
    """The metrics that MONAI's saver wrote, one per line."""
    lines = [line.replace(",", "\t").split("\t") for line in path.read_text().splitlines()]
    return {name.strip(): float(value) for name, value in lines}
