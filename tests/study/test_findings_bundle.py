"""The classification bundle on several findings with uncertain labels."""

from pathlib import Path
from typing import Any

import pytest
import torch
from layouts import write_chexpert

from cxr_noise_transforms.study.evaluation.sweep import Sweep, own_errors
from cxr_noise_transforms.study.films import FIVE
from cxr_noise_transforms.study.films.labels import write_teacher
from cxr_noise_transforms.study.training.uncertainty import FindingLogits

BUNDLE = Path(__file__).parents[2] / "examples" / "bundles" / "classification"
PHANTOMS = {"dataset_dir": None, "size": 33, "phantoms": 64, "seed": 0}
BRIEF = {"epochs": 1, "swa_start": 1, "pretrained": "none", "batch_size": 8, "tensorboard": False}


def sweep(out: Path, policy: str, training: dict[str, Any] | None = None, **options: Any) -> Sweep:
    return Sweep(
        bundle=BUNDLE,
        out=out,
        task="five findings",
        measure="multilabel",
        labels=options.get("findings", FIVE),
        options={**PHANTOMS, "policy": policy, **options},
        training={**BRIEF, **(training or {})},
        device="cpu",
        cells=[(0, 0)],
        variant="findings",
    )


@pytest.fixture(scope="module")
def multi_class(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    trained = sweep(tmp_path_factory.mktemp("multi-class"), "multi-class")
    trained.run(["test_resnet"])
    return trained


def test_a_third_class_is_learned_and_not_measured(multi_class: Sweep) -> None:
    table = multi_class.run(["test_resnet"]).frame()
    assert list(table.label.unique()) == list(FIVE)
    assert table.target.isin((0, 1)).all()
    assert table[table.weights == "best"].image.nunique() == 16
    network = multi_class.evaluation("test_resnet").parser.get_parsed_content("network")
    assert isinstance(network, FindingLogits)
    image = torch.rand(2, 3, 33, 33)
    assert network.network(image).shape == (2, 15)
    assert network(image).shape == (2, 5)


def test_uncertain_labels_measure_nobody(multi_class: Sweep) -> None:
    table = multi_class.clean_scores("test_resnet", "train")
    films = multi_class.evaluation("test_resnet").parser.get_parsed_content("split")["train"]
    uncertain = sum(film["labels"].count(-1) for film in films)
    assert table.target.isna().sum() == uncertain > 0
    assert set(table.weights) == {"best"}


def test_the_policy_is_part_of_what_was_trained(multi_class: Sweep) -> None:
    record = torch.load(multi_class.out / "test_resnet" / "resume.pt", weights_only=True)
    assert record["settings"]["policy"] == "multi-class"
    other = sweep(multi_class.out, "flip", findings=["Edema"])
    with pytest.raises(ValueError, match="policy multi-class there, flip now"), own_errors():
        other.evaluation("test_resnet").parser.get_parsed_content("network")


@pytest.mark.slow
def test_a_teacher_teaches(multi_class: Sweep, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.csv"
    write_teacher(teacher, multi_class.clean_scores("test_resnet", "train"))
    taught = sweep(tmp_path / "out", "self-trained", {"teacher": str(teacher)})
    assert len(taught.run(["test_resnet"])) == 2 * 16 * 5


def test_the_training_learns_what_the_policy_says(tmp_path: Path) -> None:
    flipped = sweep(tmp_path, "flip", {"flip_probability": "prevalence"})
    workflow = flipped._workflow("train", "test_resnet", **flipped.training)
    content = workflow.parser.get_parsed_content
    films, loader = content("split")["train"], content("train#dataloader")
    targets, weights = torch.cat([batch["label"] for batch in loader]).unbind(1)
    assert set(targets.unique().tolist()) == set(weights.unique().tolist()) | {0.0}
    assert content("to_target").p == pytest.approx(
        [
            sum(one == 1 for one in labels) / sum(one >= 0 for one in labels)
            for labels in zip(*(film["labels"] for film in films), strict=True)
        ]
    )


def test_a_policy_without_positives_is_refused(tmp_path: Path) -> None:
    patients = [("train", number, {"Edema": number % 2}) for number in range(1, 17)]
    folder = write_chexpert(tmp_path / "data", [*patients, ("valid", 90, {"Edema": 1})], 32)
    alone = sweep(
        tmp_path / "out", "zeros", dataset_dir=str(folder), findings=["Edema", "Fracture"]
    )
    with pytest.raises(ValueError, match=r"Fracture has none among 13 films \(0 uncertain"):
        alone.run(["test_resnet"])
    lateral = sweep(
        tmp_path / "side", "zeros", dataset_dir=str(folder), findings=["Edema"], view="lateral"
    )
    table = lateral.run(["test_resnet"]).frame()
    assert set(table.image) == {"valid/patient00090/study1/view2_lateral.jpg"}
