"""The sweep on few and small phantoms, through MONAI's own workflow."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigWorkflow
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.columns import COLUMNS
from cxr_noise_transforms.study.evaluation.reading import Reader, Reading
from cxr_noise_transforms.study.evaluation.stress import stress_test
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.files import alone_in

BUNDLES = Path(__file__).parents[3] / "examples" / "bundles"
CELLS = ((0.0, 0.0), (0.0, 10.0), (10.0, 0.0))
KEYS = ["network", "weights", "sq", "se", "noise_seed", "image", "label", "metric"]
FIRST = "sq0_se0_seed0.parquet"
# two networks of each task, small ones
NETWORKS = {"segmentation": ["Linknet", "FPN"], "classification": ["test_resnet", "test_vit"]}
TASKS: dict[str, dict[str, Any]] = {
    "segmentation": {
        "task": "lungs-heart",
        "measure": "segmentation",
        "labels": ("lungs", "heart"),
        "options": {
            "dataset_dir": None,
            "organs": "lungs-heart",
            "size": 32,
            "encoder": "tu-test_resnet",
            "phantoms": 20,
            "seed": 0,
        },
        "training": {
            "encoder_weights": "none",
            "epochs": 3,
            "swa_start": 2,
            "batch_size": 4,
            "learning_rate": 1e-3,
        },
    },
    "classification": {
        "task": "Effusion / Edema",
        "measure": "binary",
        "labels": ("Edema",),
        "options": {
            "dataset_dir": None,
            "pair": "Effusion / Edema",
            "size": 32,
            "phantoms": 40,
            "seed": 0,
        },
        "training": {
            "pretrained": "none",
            "epochs": 3,
            "swa_start": 2,
            "batch_size": 8,
            "learning_rate": 1e-3,
        },
    },
}


class Finished(NamedTuple):
    """A sweep that ran through."""

    kind: str
    network: str
    out: Path
    table: pd.DataFrame


def sweep(kind: str, out: Path, **changes: Any) -> Sweep:
    """Changes of a mapping are changes within it."""
    arguments: dict[str, Any] = {"cells": CELLS, "noise_seeds": (0, 1), "device": "cpu"}
    arguments |= TASKS[kind]
    for name, value in changes.items():
        former = arguments.get(name)
        arguments[name] = {**former, **value} if isinstance(former, dict) else value
    return Sweep(bundle=BUNDLES / kind, out=out, **arguments)


@pytest.fixture(scope="module", params=TASKS)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    out = tmp_path_factory.mktemp(request.param)
    network = NETWORKS[request.param][0]
    return Finished(request.param, network, out, sweep(request.param, out).run([network]).frame())


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Finished:
    shutil.copytree(finished.out, tmp_path / "copy")
    return finished._replace(out=tmp_path / "copy")


def cell(of: Finished, name: str, weights: str = "best") -> Path:
    return of.out / of.network / "cells" / weights / name


def at(table: pd.DataFrame, sq: float, se: float, seed: int, weights: str) -> pd.DataFrame:
    return table[
        (table.sq == sq) & (table.se == se) & (table.noise_seed == seed)
        & (table.weights == weights)
    ]  # fmt: skip


def evaluated(of: Finished, folder: Path, **overrides: Any) -> ConfigWorkflow:
    """The bundle's own evaluation, with its handlers, at sq = 10 and noise seed 1."""
    workflow = ConfigWorkflow(
        config_file=str(BUNDLES / of.kind / "configs" / "evaluate.yaml"),
        workflow_type="infer",
        logging_file=False,
        ckpt_dir=str(of.out / of.network),
        split_file=str(of.out / of.network / "split.json"),
        output_dir=str(folder),
        arch=of.network,
        device="$torch.device('cpu')",
        sq=10,
        noise_seed=1,
        **TASKS[of.kind]["options"],
        **overrides,
    )
    workflow.initialize()
    workflow.run()
    return workflow


def interrupt_at(monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    """End the program at the given batch, whether it is trained on, validated or measured."""
    done = iter(range(1, call))

    def prepare(self: NoisyBatch, *args: Any, **options: Any) -> Any:
        if next(done, None) is None:
            raise KeyboardInterrupt
        return original(self, *args, **options)

    original = NoisyBatch.__call__
    monkeypatch.setattr(NoisyBatch, "__call__", prepare)


def test_one_row_per_cell_seed_film_label_and_metric(finished: Finished) -> None:
    out, table = finished.out, finished.table
    test_films = [
        film["id"]
        for film in json.loads((out / finished.network / "split.json").read_text())["test"]
    ]
    assert list(table.columns) == list(COLUMNS)
    assert not table.duplicated(KEYS).any()
    labels = TASKS[finished.kind]["labels"]
    metrics = ("dice", "iou") if finished.kind == "segmentation" else ("score",)
    assert len(table) == 2 * len(CELLS) * 2 * len(test_films) * len(labels) * len(metrics)
    for name, values in (
        ("task", [TASKS[finished.kind]["task"]]),
        ("weights", ["best", "swa"]),
        ("training_seed", [0]),
        ("noise_seed", [0, 1]),
        ("image", test_films),
        ("label", labels),
        ("metric", metrics),
    ):
        assert set(table[name]) == set(values)
    assert table.value.between(0, 1).all()
    classes = set() if finished.kind == "segmentation" else {0, 1}
    assert set(table.target.dropna()) == classes
    assert table.target.isna().all() == (not classes)
    written = read_table(out / "per_image.parquet")
    pd.testing.assert_frame_equal(written, table)


def test_every_checkpoint_has_its_own_values(finished: Finished) -> None:
    best, swa = (at(finished.table, 10, 0, 0, weights) for weights in ("best", "swa"))
    assert not np.array_equal(best.value.to_numpy(), swa.value.to_numpy())


def test_the_clean_cell_does_not_depend_on_the_noise_seed(finished: Finished) -> None:
    for (sq, se), same in (((0, 0), True), ((10, 0), False), ((0, 10), False)):
        zero, one = (at(finished.table, sq, se, seed, "swa").value.to_numpy() for seed in (0, 1))
        assert np.array_equal(zero, one) == same


def test_run_json_says_what_was_done(finished: Finished) -> None:
    run = json.loads((finished.out / "run.json").read_text())
    network = run["networks"][finished.network]
    assert network["epochs"] == 3
    assert network["best_epoch"] in (1, 2, 3)
    assert network["averaged_epochs"] == 2
    assert run["settings"]["dataset_dir"] == "phantom"
    assert run["torch"] == torch.__version__
    best = torch.load(finished.out / finished.network / "resume.pt", weights_only=True)
    assert network["best_validation_loss"] == best["best_metric"]


def test_a_classifier_is_also_measured_on_clean_validation_films(finished: Finished) -> None:
    path = finished.out / "validation.parquet"
    if finished.kind == "segmentation":
        assert not path.is_file()
        return
    validation = read_table(path)
    films = json.loads((finished.out / finished.network / "split.json").read_text())["val"]
    assert len(validation) == 2 * len(films)
    assert set(validation.image) == {film["id"] for film in films}
    assert (validation[["sq", "se", "noise_seed"]] == 0).all(axis=None)
    assert set(validation.weights) == {"best", "swa"}


def test_a_second_call_trains_and_measures_nothing(
    finished: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = (finished.out / "per_image.parquet").read_bytes()
    interrupt_at(monkeypatch, 1)
    again = sweep(finished.kind, finished.out).run([finished.network]).frame()
    pd.testing.assert_frame_equal(again, finished.table)
    assert (finished.out / "per_image.parquet").read_bytes() == table


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(path.read_bytes()[:30]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["lost", "cut in its table", "cut in its head", "empty"],
)
def test_a_spoilt_cell_is_done_again_with_the_same_bytes(
    copied: Finished, spoil: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cell(copied, "sq10_se0_seed1.parquet", "swa")
    before = path.read_bytes()
    spoil(path)
    measured: list[NoisyBatch] = []
    original = Reader.read

    def read(self: Reader, noises: Sequence[NoisyBatch] = ()) -> Reading:
        measured.extend(noises)
        return original(self, noises)

    monkeypatch.setattr(Reader, "read", read)
    table = sweep(copied.kind, copied.out).run([copied.network]).frame()
    pd.testing.assert_frame_equal(table, copied.table)
    assert path.read_bytes() == before
    assert len(measured) == 1


@pytest.mark.parametrize("batch_size", [1, 2])
def test_results_do_not_depend_on_the_batch_size(finished: Finished, batch_size: int) -> None:
    evaluation = sweep(finished.kind, finished.out, loading={"batch_size": batch_size}).evaluation(
        finished.network
    )
    content = evaluation.parser.get_parsed_content
    assert content("dataloader").batch_size == batch_size
    again = stress_test(
        content("network"),
        content("dataloader"),
        TASKS[finished.kind]["measure"],
        outputs="logits",
        labels=TASKS[finished.kind]["labels"],
        cells=[(10, 0)],
        noise_seeds=[1],
        channels=3,
        device="cpu",
    )
    first = at(finished.table, 10, 0, 1, "best")
    for name in ("image", "label", "metric"):
        assert list(again[name]) == list(first[name])
    assert np.abs(again.value.to_numpy() - first.value.to_numpy()).max() < 1e-6


def test_the_bundles_own_evaluation_gives_the_same(finished: Finished, tmp_path: Path) -> None:
    workflow = evaluated(finished, tmp_path)
    table = at(finished.table, 10, 0, 1, "best")
    if finished.kind == "segmentation":
        for metric in ("dice", "iou"):
            raw = pd.read_csv(tmp_path / f"{metric}_raw.csv", index_col="filename")
            own = table[table.metric == metric].pivot_table(
                index="image", columns="label", values="value"
            )[["lungs", "heart"]]
            theirs = raw.loc[own.index, ["class0", "class1"]]
            assert np.abs(theirs.to_numpy() - own.to_numpy()).max() < 1e-6
    else:
        metrics = workflow.evaluator.state.metrics
        expected = {
            "auroc": roc_auc_score(table.target, table.value),
            "auprc": average_precision_score(table.target, table.value),
            "f1": f1_score(table.target, table.value > 0.5),
        }
        assert {name: float(metrics[name]) for name in expected} == pytest.approx(
            expected, abs=1e-6
        )


def test_other_settings_in_the_same_folder_are_refused(finished: Finished) -> None:
    for changes, message in (
        ({"options": {"size": 64}}, r"other settings \(size 32 there, 64 now\).* --out"),
        ({"training": {"epochs": 4}}, r"other settings \(epochs 3 there, 4 now\)"),
    ):
        with pytest.raises(ValueError, match=message):
            sweep(finished.kind, finished.out, **changes).run([finished.network])


def test_another_severity_is_measured_beside_the_others(copied: Finished) -> None:
    one = sweep(copied.kind, copied.out, cells=(*CELLS, (4.0, 4.0))).run([copied.network]).frame()
    fresh = one[one.sq == 4].index
    assert len(fresh) == len(one) - len(copied.table)
    others = one.drop(fresh).sort_values(KEYS, ignore_index=True)
    pd.testing.assert_frame_equal(others, copied.table.sort_values(KEYS, ignore_index=True))


def test_a_cell_of_another_model_is_refused(copied: Finished) -> None:
    shutil.copy(cell(copied, FIRST, "swa"), cell(copied, FIRST, "best"))
    with pytest.raises(ValueError, match=r"sq0_se0_seed0.parquet is of another sweep \(.*model"):
        sweep(copied.kind, copied.out).run([copied.network])


def test_a_checkpoint_of_another_architecture_is_refused(copied: Finished) -> None:
    other = NETWORKS[copied.kind][1]
    (copied.out / copied.network).rename(copied.out / other)
    with pytest.raises(ValueError, match=f"model.pt are of another network than {other}"):
        sweep(copied.kind, copied.out).run([other])


def test_another_network_joins_without_training_the_first_again(copied: Finished) -> None:
    before = {path: path.read_bytes() for path in (copied.out / copied.network).rglob("*.*")}
    other = NETWORKS[copied.kind][1]
    table = sweep(copied.kind, copied.out).run([copied.network, other]).frame()
    assert list(table.network.unique()) == [copied.network, other]
    kept = table[table.network == copied.network]
    pd.testing.assert_frame_equal(kept, copied.table, check_categorical=False)
    assert before == {p: p.read_bytes() for p in (copied.out / copied.network).rglob("*.*")}


def test_an_interrupted_sweep_ends_as_if_it_had_run_through(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = finished.kind
    train = 3  # batches of an epoch, of 14 films in fours or 28 in eights
    folder = tmp_path / finished.network
    for call, epochs, reached in (
        (1, 0, "the first batch"),
        (train + 1, 0, "the validation of epoch 1"),
        (train + 1 + 2, 1, "amid epoch 2"),
        (train + 1, 1, "the validation of epoch 2"),
        (2 * train + 2 + 2, 3, "batch normalisation of the average"),
        (train + 2, 3, "amid the cells"),
        (train, 3, "amid the cells again"),
    ):
        with monkeypatch.context() as patch:
            interrupt_at(patch, call)
            with pytest.raises(KeyboardInterrupt):
                sweep(kind, tmp_path).run([finished.network])
        resume = folder / "resume.pt"
        done = torch.load(resume, weights_only=True)["epoch"] if resume.is_file() else 0
        assert done == epochs, reached
        assert (folder / "training.json").is_file() == ("cells" in reached), reached
        assert not (tmp_path / "per_image.parquet").exists()
    sweep(kind, tmp_path).run([finished.network])
    for name in (
        "per_image.parquet",
        *(f"{folder.name}/{one}.json" for one in ("split", "training")),
    ):
        assert (tmp_path / name).read_bytes() == (finished.out / name).read_bytes(), name


def test_a_checkpoint_cut_off_while_it_is_written_does_no_harm(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save
    for after in (0, 1, 2, 2):
        saved = iter(range(after))

        def interrupted(content: Any, path: Path, saved: Any = saved) -> None:
            if next(saved, None) is None:
                path.write_bytes(b"half")
                raise KeyboardInterrupt
            save(content, path)

        with monkeypatch.context() as patch:
            patch.setattr(torch, "save", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sweep(finished.kind, tmp_path).run([finished.network])
        assert [path.name for path in (tmp_path / finished.network).glob(".*")] == [".lock"]
    sweep(finished.kind, tmp_path).run([finished.network])
    written = (tmp_path / "per_image.parquet").read_bytes()
    assert written == (finished.out / "per_image.parquet").read_bytes()


def test_an_interrupted_training_is_not_continued_with_other_settings(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            sweep(finished.kind, tmp_path).run([finished.network])
    with pytest.raises(ValueError, match=r"resume.pt is of a training with other settings"):
        sweep(finished.kind, tmp_path, training={"learning_rate": 1e-2}).run([finished.network])


def test_what_a_former_network_left_is_discarded(copied: Finished) -> None:
    folder = copied.out / copied.network
    for name in ("resume.pt", "training.json"):
        (folder / name).unlink()
    torch.save({}, folder / "model.pt")
    sweep(copied.kind, copied.out).run([copied.network])
    shutil.rmtree(copied.out / copied.network / "cells")
    again = sweep(copied.kind, copied.out).run([copied.network]).frame()
    pd.testing.assert_frame_equal(again, copied.table)


def test_a_refused_call_binds_the_folder_to_its_split_alone(
    finished: Finished, tmp_path: Path
) -> None:
    weights = "encoder_weights" if finished.kind == "segmentation" else "pretrained"
    with pytest.raises(FileNotFoundError, match=r"weights no.pt do not exist"):
        sweep(finished.kind, tmp_path, training={weights: "no.pt"}).run([finished.network])
    another = sweep(
        finished.kind,
        tmp_path,
        options={"seed": 1},
        training={"epochs": 1, "swa_start": 1},
        cells=CELLS[:1],
        noise_seeds=(0,),
    )
    with pytest.raises(ValueError, match=r"is the split of seed 0, not of 1: remove it"):
        another.run([finished.network])
    (tmp_path / finished.network / "split.json").unlink()
    another.run([finished.network])
    assert json.loads((tmp_path / finished.network / "split.json").read_text())["seed"] == 1


def test_a_split_that_was_changed_after_the_training_is_refused(
    finished: Finished, tmp_path: Path
) -> None:
    shutil.copytree(finished.out, tmp_path, dirs_exist_ok=True)
    path = tmp_path / finished.network / "split.json"
    split = json.loads(path.read_text())
    split["test"].append(split["train"].pop())
    path.write_text(json.dumps(split))
    with pytest.raises(ValueError, match=r"was trained on another split than its split.json has"):
        sweep(finished.kind, tmp_path).run([finished.network])


def test_a_split_of_ones_own_is_used_and_kept(finished: Finished, tmp_path: Path) -> None:
    folder = tmp_path / finished.network
    folder.mkdir()
    split = json.loads((finished.out / finished.network / "split.json").read_text())
    mine = split["val"][0]
    place = next(
        at for at, film in enumerate(split["train"]) if film.get("label") == mine.get("label")
    )
    split["val"][0], split["train"][place] = split["train"][place], mine
    (folder / "split.json").write_text(json.dumps(split))
    training = {"epochs": 1, "swa_start": 1, "batch_size": 2}
    sweep(finished.kind, tmp_path, training=training, cells=CELLS[:1], noise_seeds=(0,)).run(
        [finished.network]
    )
    assert json.loads((folder / "split.json").read_text()) == split


def test_shares_and_a_training_apart_end_in_the_same_table(
    finished: Finished, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"is not trained in .*: train first, with --train-only"):
        sweep(finished.kind, tmp_path, share=(0, 2)).run([finished.network])
    sweep(finished.kind, tmp_path).train([finished.network])
    assert not list(tmp_path.glob("*/cells"))
    for number in (1, 0):
        part = sweep(finished.kind, tmp_path, share=(number, 2), cells_at_once=2)
        part.run([finished.network])
    assert not (tmp_path / "per_image.parquet").exists()
    pd.testing.assert_frame_equal(
        sweep(finished.kind, tmp_path).run([finished.network]).frame(), finished.table, atol=1e-6
    )


def test_one_process_trains_in_a_folder_at_a_time(finished: Finished, tmp_path: Path) -> None:
    with alone_in(tmp_path / finished.network), pytest.raises(BlockingIOError, match="at work in"):
        sweep(finished.kind, tmp_path).train([finished.network])


def test_a_network_that_never_had_a_validation_loss_is_refused(
    finished: Finished, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="the validation loss was never a number"):
        sweep(
            finished.kind,
            tmp_path,
            training={"learning_rate": 1e30, "epochs": 2, "swa_start": 1},
        ).run([finished.network])


def test_more_films_than_fit_a_batch_are_needed(finished: Finished, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"batch size must be at most the \d+ films to train on"):
        sweep(finished.kind, tmp_path, training={"batch_size": 32}).run([finished.network])


def test_without_an_average_there_are_only_the_best_weights(
    finished: Finished, tmp_path: Path
) -> None:
    short = {"epochs": 1, "swa_start": 2}
    with pytest.warns(UserWarning, match="weight averaging never began"):
        table = sweep(finished.kind, tmp_path, training=short).run([finished.network]).frame()
    assert set(table.weights) == {"best"}


SCRIPT = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
from test_sweep import sweep
torch.set_num_threads(1)
sweep(sys.argv[2], Path(sys.argv[3])).run([sys.argv[4]])
"""


@pytest.mark.slow
def test_a_killed_sweep_goes_on(finished: Finished, tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    arguments = [here, finished.kind, str(tmp_path), finished.network]
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.DEVNULL
    )
    folder = tmp_path / finished.network
    while not (folder / "resume.pt").is_file():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "training.json").is_file()
    sweep(finished.kind, tmp_path).run([finished.network])
    written = (tmp_path / "per_image.parquet").read_bytes()
    assert written == (finished.out / "per_image.parquet").read_bytes()
