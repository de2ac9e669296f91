"""The bundle and the sweep, on few and small phantoms, through MONAI's own workflow."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigWorkflow

from cxr_noise_transforms.study.sweep import Sweep

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "examples" / "bundles" / "segmentation"
SMALL = {
    "dataset_dir": None,
    "organs": "lungs-heart",
    "size": 32,
    "encoder": "resnet18",
    "phantoms": 20,
    "seed": 0,
}
BRIEF = {"encoder_weights": "none", "epochs": 2, "batch_size": 4, "learning_rate": 1e-3}
CELLS = ((0.0, 0.0), (0.0, 10.0), (10.0, 0.0))


def sweep(out: Path, **changes: Any) -> Sweep:
    options: dict[str, Any] = {
        "options": SMALL,
        "training": BRIEF,
        "cells": CELLS,
        "noise_seeds": (0, 1),
        "device": "cpu",
    }
    return Sweep(bundle=BUNDLE, out=out, **{**options, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    out = tmp_path_factory.mktemp("sweep")
    return out, sweep(out).run(["Unet"])


def test_one_row_per_cell_seed_film_organ_and_metric(
    finished: tuple[Path, pd.DataFrame],
) -> None:
    out, table = finished
    test_films = json.loads((out / "split.json").read_text())["test"]
    assert len(table) == len(CELLS) * 2 * len(test_films) * 2 * 2
    keys = ["network", "sq", "se", "noise_seed", "image", "organ", "metric"]
    assert not table.duplicated(keys).any()
    assert table.value.between(0, 1).all()
    pd.testing.assert_frame_equal(pd.read_csv(out / "per_image.csv"), table)


def test_the_clean_cell_does_not_depend_on_the_noise_seed(
    finished: tuple[Path, pd.DataFrame],
) -> None:
    table = finished[1]
    clean = table[(table.sq == 0) & (table.se == 0)]
    noisy = table[table.sq == 10]
    for rows, same in ((clean, True), (noisy, False)):
        zero, one = (rows[rows.noise_seed == seed].value.to_numpy() for seed in (0, 1))
        assert np.array_equal(zero, one) == same


def test_iou_and_dice_belong_together(finished: tuple[Path, pd.DataFrame]) -> None:
    keys = ["sq", "se", "noise_seed", "image", "organ"]
    both = finished[1].pivot_table(index=keys, columns="metric", values="value")
    assert np.allclose(both.dice, 2 * both.iou / (1 + both.iou), atol=1e-6)


def test_a_second_call_trains_and_evaluates_nothing(
    finished: tuple[Path, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, table = finished
    monkeypatch.setattr(Sweep, "_workflow", None)
    pd.testing.assert_frame_equal(sweep(out).run(["Unet"]), table)


def test_a_lost_cell_is_done_again_with_the_same_bytes(
    finished: tuple[Path, pd.DataFrame],
) -> None:
    out, table = finished
    cell = out / "Unet" / "cells" / "sq10_se0_seed1.csv"
    before = cell.read_bytes()
    cell.unlink()
    pd.testing.assert_frame_equal(sweep(out).run(["Unet"]), table)
    assert cell.read_bytes() == before


def test_an_interrupted_training_starts_again(
    finished: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    # a model without its record is one whose training did not end
    (tmp_path / "Unet").mkdir()
    (tmp_path / "Unet" / "model.pt").write_bytes(b"half")
    again = sweep(tmp_path).run(["Unet"])
    assert np.allclose(again.value, finished[1].value, atol=1e-3)
    record = json.loads((tmp_path / "run.json").read_text())["networks"]["Unet"]
    assert record["epochs"] == 2
    assert record["best_epoch"] in (1, 2)


def test_results_do_not_depend_on_the_batch_size(finished: tuple[Path, pd.DataFrame]) -> None:
    out, table = finished
    workflow = sweep(out, options={**SMALL, "batch_size": 3}).evaluation("Unet")
    rows = pd.DataFrame(sweep(out)._cell_rows(workflow, "Unet", 10.0, 0.0, 1))
    first = table[(table.sq == 10) & (table.noise_seed == 1)]
    assert list(rows.image) == list(first.image)
    assert np.abs(rows.value.to_numpy() - first.value.to_numpy()).max() < 1e-6


def test_other_settings_in_the_same_folder_are_refused(
    finished: tuple[Path, pd.DataFrame],
) -> None:
    with pytest.raises(ValueError, match=r"other settings \(size 32 there, 64 now\).* --out"):
        sweep(finished[0], options={**SMALL, "size": 64}).run(["Unet"])


def test_a_checkpoint_of_another_architecture_is_refused(
    finished: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    (tmp_path / "FPN").mkdir()
    (tmp_path / "FPN" / "model.pt").write_bytes((finished[0] / "Unet" / "model.pt").read_bytes())
    (tmp_path / "FPN" / "training.json").write_text("{}")
    with pytest.raises(ValueError, match="another network than FPN with encoder resnet18"):
        sweep(tmp_path).run(["FPN"])


@pytest.mark.parametrize(("name", "kind"), [("train", "train"), ("evaluate", "infer")])
def test_the_bundle_has_every_property_monai_asks_for(
    finished: tuple[Path, pd.DataFrame], name: str, kind: str
) -> None:
    workflow = ConfigWorkflow(
        config_file=str(BUNDLE / "configs" / f"{name}.yaml"),
        workflow_type=kind,
        logging_file=False,
        ckpt_dir=str(finished[0] / "Unet"),
        split_file=str(finished[0] / "split.json"),
        **SMALL,
        **({"encoder_weights": "none"} if name == "train" else {}),
    )
    workflow.initialize()
    assert not workflow.check_properties()


def test_metadata_fits_the_schema() -> None:
    schema = ROOT.parent / "shared" / "monai" / "meta_schema_20240725.json"
    if not schema.is_file():
        pytest.skip(f"no copy of MONAI's metadata schema at {schema}")
    metadata = json.loads((BUNDLE / "configs" / "metadata.json").read_text())
    jsonschema.validate(metadata, json.loads(schema.read_text()))
    assert metadata["version"] in metadata["changelog"]


def test_training_follows_the_papers_recipe() -> None:
    workflow = ConfigWorkflow(
        config_file=str(BUNDLE / "configs" / "train.yaml"),
        logging_file=False,
        encoder_weights="none",
    )
    workflow.initialize()
    config: Mapping[str, Any] = workflow.parser.config
    assert (config["size"], config["encoder"], config["epochs"]) == (512, "resnet34", 200)
    assert (config["learning_rate"], config["patience"]) == (1e-4, 10)
    assert isinstance(workflow.parser.get_parsed_content("optimizer"), torch.optim.AdamW)
    scheduler = workflow.parser.get_parsed_content("lr_scheduler")
    assert isinstance(scheduler, torch.optim.lr_scheduler.CosineAnnealingLR)
    assert scheduler.T_max == 200


@pytest.mark.slow
def test_the_bundle_runs_from_monais_command_line(tmp_path: Path) -> None:
    common = ["--bundle_root", str(BUNDLE), "--ckpt_dir", str(tmp_path / "models")]
    common += ["--output_dir", str(tmp_path / "eval"), "--size", "32", "--encoder", "resnet18"]
    common += ["--phantoms", "20", "--arch", "FPN"]
    for name, extra in (
        ("train", ["--encoder_weights", "none", "--epochs", "2"]),
        ("evaluate", ["--sq", "10"]),
    ):
        config = str(BUNDLE / "configs" / f"{name}.yaml")
        command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", config]
        done = subprocess.run(
            [*command, *common, *extra],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "model.pt").is_file()
    raw = pd.read_csv(tmp_path / "eval" / "dice_raw.csv", sep=None, engine="python")
    assert raw.filename.str.startswith("phantom-").all()


def script(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "seg_sweep.py"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


@pytest.mark.slow
def test_the_script_writes_what_it_says(tmp_path: Path) -> None:
    small = ["--size", "32", "--epochs", "1", "--phantoms", "20", "--arch", "Unet", "FPN"]
    done = script(*small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = done.stdout.split("Wrote\n")[1].split()
    assert len(written) == 5
    assert all((tmp_path / path).stat().st_size > 0 for path in written)
    assert "| 10 | 0 | 10 | 0 |" in done.stdout
    # a second call resumes: nothing is trained or evaluated again
    again = script(*small, cwd=tmp_path)
    assert "trained already" in again.stdout
    assert "evaluated already" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "error: data folder nowhere does not exist; expected Images/"),
        (["--encoder-weights", "imagenet"], "--encoder-weights none"),
        (["--encoder-weights", "no.pt"], "error: weights no.pt do not exist"),
        (["--size", "100"], "--size must be a multiple of 32, got 100"),
        (["--phantoms", "3"], "error: too few patients"),
        (["--phantoms", "0"], "argument --phantoms: must be at least 1, got 0"),
        (["--device", "nonsense"], "--device nonsense cannot be used here"),
        (["--arch", "Unet", "unet"], "--arch must name each network once"),
        (["--size", "32", "--phantoms", "20", "--batch-size", "15"], "at most the 14 films"),
        (["--arch", "Vnet"], "error: arch must be a model"),
    ],
)
def test_the_script_refuses_in_one_sentence(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = script(*arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_call_does_not_bind_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sweep(tmp_path, training={**BRIEF, "encoder_weights": "no.pt"}).run(["Unet"])
    table = sweep(tmp_path, cells=((0.0, 0.0),), noise_seeds=(0,)).run(["Unet"])
    assert set(table.network) == {"Unet"}


def test_a_new_training_discards_the_former_networks_cells(
    finished: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "Unet" / "model.pt").unlink()
    for cell in (tmp_path / "Unet" / "cells").glob("*.csv"):
        cell.write_text(cell.read_text().replace("Unet", "forged"))
    assert set(sweep(tmp_path).run(["Unet"]).network) == {"Unet"}


def test_networks_of_a_former_call_stay_in_the_table(
    finished: tuple[Path, pd.DataFrame], tmp_path: Path
) -> None:
    shutil.copytree(finished[0], tmp_path, dirs_exist_ok=True)
    table = sweep(tmp_path).run(["FPN"])
    assert list(table.network.unique()) == ["FPN", "Unet"]
