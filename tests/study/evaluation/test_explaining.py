"""Trained networks are found in the folders of sweeps, and opened as they were trained."""

import json
from pathlib import Path

import pytest

from cxr_noise_transforms.study.evaluation.explaining import trainings


def write(run: Path, network: str, **settings: object) -> None:
    folder = run / network
    folder.mkdir(parents=True)
    (folder / "training.json").write_text(json.dumps({"settings": settings}))


def test_trainings_are_found_below_a_sweep_and_below_a_hardening(tmp_path: Path) -> None:
    write(tmp_path / "clean-1", "Unet", organs="heart", seed=1, size=32)
    write(tmp_path / "ladder-0", "FPN", organs="heart", seed=0, size=32, noise={"sq": 1})
    write(tmp_path / "clean-1", "Unet+groupnorm", organs="heart", seed=1, size=32)
    assert [(one.arm, one.name) for one in trainings(tmp_path)] == [
        ("clean", "Unet"),
        ("clean, group norm", "Unet"),
        ("ladder", "FPN"),
    ]
    found = [one.network for one in trainings(tmp_path / "clean-1")]
    assert found == ["Unet", "Unet+groupnorm"]


def test_a_training_is_opened_with_its_own_settings_and_other_films(tmp_path: Path) -> None:
    write(tmp_path, "densenet121", pair="Edema / Mass", seed=3, size=32, epochs=9, dataset_dir="a")
    [one] = trainings(tmp_path)
    sweep = one.sweep(tmp_path, tmp_path / "films", {"cache": "none"})
    assert sweep.bundle == tmp_path / "classification"
    assert (sweep.task, sweep.measure, sweep.labels) == ("Edema / Mass", "binary", ["Mass"])
    assert sweep.options["dataset_dir"] == str(tmp_path / "films")
    assert "epochs" not in sweep.options
    assert one.sweep(tmp_path, None, {}).options["dataset_dir"] is None


def test_no_trainings_and_those_of_several_tasks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"trainings of one task, .* got none"):
        trainings(tmp_path)
    write(tmp_path / "a", "Unet", organs="heart")
    write(tmp_path / "b", "Unet", organs="lungs")
    with pytest.raises(ValueError, match="got heart, lungs"):
        trainings(tmp_path)


def test_trainings_of_several_sizes_or_splits_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "32", "Unet", organs="heart", size=32)
    write(tmp_path / "64", "Unet", organs="heart", size=64)
    with pytest.raises(ValueError, match="must be of one size and one split"):
        trainings(tmp_path)
    assert len(trainings(tmp_path / "64")) == 1
    other = {"settings": {"organs": "heart", "size": 64}, "split_sha256": "another"}
    (tmp_path / "64" / "FPN").mkdir()
    (tmp_path / "64" / "FPN" / "training.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="must be of one size and one split"):
        trainings(tmp_path / "64")
