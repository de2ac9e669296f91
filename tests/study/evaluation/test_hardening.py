"""A hardening of few and small phantoms, through the bundle."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.hardening import Arm, Hardening, Unlabelled
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.report.hardened import find_hardened
from cxr_noise_transforms.study.report.hardening import write_hardening

BUNDLES = Path(__file__).parents[3] / "examples" / "bundles"
CELLS = ((0.0, 0.0), (0.0, 10.0), (10.0, 0.0))
ARMS = ["clean", "ladder", "clean, 2 films", "clean, all films", "ladder, all films"]


def hardening(out: Path, networks: tuple[str, ...] = ("Linknet",), **changes: Any) -> Hardening:
    sweep = Sweep(
        bundle=BUNDLES / "segmentation",
        out=out,
        task="lungs",
        measure="segmentation",
        labels=("lungs",),
        options={"dataset_dir": None, "organs": "lungs", "size": 32, "encoder": "tu-test_resnet",
                 "phantoms": 20, "seed": 0, "source": None, "leave_out": None},
        training={"encoder_weights": "none", "epochs": 2, "swa_start": None, "batch_size": 4,
                  "learning_rate": 1e-3},
        device="cpu",
        cells=CELLS,
        cells_at_once=3,
    )  # fmt: skip
    settings = {"trainings": 1, "noises": ["clean", "ladder"], "films": (2, None)}
    return Hardening(sweep, networks, **{**settings, "denoiser_epochs": 1, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hardening, pd.DataFrame]:
    made = hardening(tmp_path_factory.mktemp("hardening"))
    return made, made.run()


def test_every_arm_is_measured_in_every_cell_and_under_every_control(
    finished: tuple[Hardening, pd.DataFrame],
) -> None:
    made, table = finished
    assert list(table.weights.unique()) == [*ARMS, "clean, denoised"]
    cells = table[["sq", "se", "degradation"]].drop_duplicates().to_numpy().tolist()
    controls = [[0.0, 0.0, "contrast=0.5"], [0.0, 0.0, "resolution=2"]]
    assert cells == [[*cell, "none"] for cell in CELLS] + controls
    assert len(set(table.groupby("weights").size())) == 1
    run = json.loads((made.sweep.out / "run.json").read_text())
    assert run["noises"]["ladder"]["se"]["high"] == 10
    assert run["settings"]["dataset_dir"] == "phantom"


def test_arms_differ_where_they_should(finished: tuple[Hardening, pd.DataFrame]) -> None:
    _, table = finished
    noisy = table[(table.se == 10) & (table.metric == "dice")].groupby("weights").value.mean()
    assert noisy.nunique() == len(ARMS) + 1


def test_trainings_share_their_split(finished: tuple[Hardening, pd.DataFrame]) -> None:
    made, _ = finished
    splits = [
        (made.trained(noise, 0).out / "Linknet" / "split.json").read_text() for noise in made.noises
    ]
    assert splits[0] == splits[1]


def test_re_estimation_sees_validation_films_alone(
    finished: tuple[Hardening, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, table = finished
    split = json.loads((made.trained("clean", 0).out / "Linknet" / "split.json").read_text())
    parts = {part: {film["id"] for film in split[part]} for part in ("train", "val", "test")}
    seen: set[str] = set()
    original = Unlabelled.seen_by

    def watched(self: Unlabelled, network: nn.Module, *cell: Any) -> nn.Module:
        seen.update(self.ids)
        return original(self, network, *cell)

    monkeypatch.setattr(Unlabelled, "seen_by", watched)
    (made.sweep.out / "per_image.parquet").unlink()
    again = made.run()
    pd.testing.assert_frame_equal(again, table)
    assert seen == parts["val"]
    assert set(table.image) == parts["test"]
    assert not seen & parts["test"]
    # what they are estimated from has no label by which one could be chosen
    assert set(vars(Unlabelled(torch.zeros(1, 1, 2, 2), ["a"], torch.device("cpu")))) == {
        "images", "ids", "device",
    }  # fmt: skip


def test_a_hardening_that_is_called_again_ends_in_the_same_bytes(
    finished: tuple[Hardening, pd.DataFrame],
) -> None:
    made, _ = finished
    path = made.sweep.out / "per_image.parquet"
    before = path.read_bytes()
    # as a process that was killed leaves it
    for victim in sorted(made.sweep.out.glob("*/Linknet/arms/*/*.parquet"))[::3]:
        victim.unlink()
    hardening(made.sweep.out).run()
    assert path.read_bytes() == before


def test_the_report_shows_every_arm(finished: tuple[Hardening, pd.DataFrame]) -> None:
    made, table = finished
    one = find_hardened(table, resamples=50)
    files = write_hardening(one, made, "Title", {"machine": "this"}, "python harden.py")
    page = files[0].read_text()
    assert all(f"{arm} at no noise" in page for arm in (*ARMS, "clean, denoised"))
    assert len(list((made.sweep.out / "report").glob("film-*.jpg"))) == 3 * 6


def test_more_films_than_there_are_is_refused(finished: tuple[Hardening, pd.DataFrame]) -> None:
    made, _ = finished
    with pytest.raises(ValueError, match="there are 3 validation films, and 99 are asked for"):
        hardening(made.sweep.out, films=(99,)).run()


def test_a_network_without_batch_normalisation_is_left_out_and_said(
    finished: tuple[Hardening, pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, _ = finished
    plain = nn.Conv2d(3, 1, 1)
    opened = Hardening._open

    def without(self: Hardening, *names: Any) -> Any:
        return opened(self, *names)._replace(trained=plain)

    monkeypatch.setattr(Hardening, "_open", without)
    assert list(made._measure(Arm("clean", 2), "Linknet", 0)) == []
    assert "no batch normalisation to re-estimate: clean, 2 films is left out" in (
        capsys.readouterr().out
    )


def test_a_predictor_gives_what_was_measured(finished: tuple[Hardening, pd.DataFrame]) -> None:
    made, table = finished
    batch = next(iter(made.content("test")("dataloader")))
    films: Tensor = batch["image"]
    for arm in made.arms:
        masks = made.predictor(arm, "Linknet", 0, (0.0, 0.0))(films) > 0
        overlap = 2 * (masks & (batch["label"] > 0)).flatten(1).sum(1)
        dice = overlap / (masks.flatten(1).sum(1) + batch["label"].flatten(1).sum(1))
        rows = table[
            (table.weights == arm.name) & (table.sq == 0) & (table.se == 0)
            & (table.metric == "dice") & (table.degradation == "none")
        ].set_index("image")  # fmt: skip
        expected = torch.tensor([rows.value[film] for film in batch["id"]])
        torch.testing.assert_close(dice.double(), expected, atol=1e-6, rtol=0)
