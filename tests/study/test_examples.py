"""The example scripts: what they write, say and refuse."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import write_annotated, write_chexpert, write_image, write_table

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.evaluation.sweep import Sweep

EXAMPLES = Path(__file__).parents[2] / "examples"
SEG_SMALL = ["--size", "32", "--phantoms", "20", "--encoder", "tu-test_resnet"]
CLS_SMALL = ["--size", "32", "--phantoms", "40"]
WRITTEN = {
    "per_image.parquet", "summary.csv", "summary.md", "checkpoints.csv", "checkpoints.md",
    "curves.png", "report.html", "report.md",
}  # fmt: skip
BRIEF = ["--epochs", "1", "--swa-start", "1", "--device", "cpu"]

Refused = Callable[..., tuple[int | str | None, str]]


def script(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Exit code and last words of a script in this process; an error would be a traceback."""

    def run(name: str, *arguments: str) -> tuple[int | str | None, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        code = end.value.code
        return code, code if isinstance(code, str) else capsys.readouterr().err

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (
            "seg_sweep.py",
            [*SEG_SMALL, "--arch", "Linknet", "Unet"],
        ),
        (
            "cls_sweep.py",
            [*CLS_SMALL, "--arch", "test_resnet", "--pairs", "Effusion / Edema", "Nodule/Edema"],
        ),
    ],
)
def test_a_script_writes_what_it_says_and_resumes(
    name: str, arguments: list[str], tmp_path: Path
) -> None:
    done = script(name, *arguments, *BRIEF, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = [tmp_path / path for path in done.stdout.split("Wrote\n")[1].split()]
    assert {path.name for path in written} == WRITTEN
    assert all(path.stat().st_size > 0 for path in written)
    out = written[0].parent
    assert out.parent == tmp_path / "runs"
    assert (out / "summary.md").read_text() in done.stdout
    assert "Phantoms demonstrate the pipeline" in done.stdout
    table = read_table(out / "per_image.parquet")
    count = 2
    assert len(table[["task", "network"]].drop_duplicates()) == count
    before = (out / "per_image.parquet").read_bytes()
    again = script(name, *arguments, *BRIEF, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("trained already") == count
    assert "cell" not in again.stderr
    assert (out / "per_image.parquet").read_bytes() == before


@pytest.mark.slow
def test_a_script_reads_a_folder_laid_out_like_the_dataset(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        image = f"{number:08d}_000.png"
        write_image(tmp_path / "nih" / "images" / image)
        rows.append((image, "Edema" if number % 2 else "Effusion", number))
    write_table(tmp_path / "nih", rows)
    listed = tmp_path / "test_list.txt"
    listed.write_text("\n".join(row[0] for row in rows[:10]))
    arguments = ["--data", "nih", "--test-list", str(listed), "--pairs", "Effusion / Edema"]
    arguments += ["--size", "32", "--arch", "test_resnet", "--pretrained", "none", "--out", "o"]
    done = script("cls_sweep.py", *arguments, *BRIEF, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "films of nih" in done.stdout
    assert "Phantoms" not in done.stdout
    table = read_table(tmp_path / "o" / "per_image.parquet")
    assert set(table.image) == {row[0] for row in rows[:10]}


FINDINGS_SMALL = ["--arch", "test_resnet", "--pretrained", "none", "--size", "40", "33"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        [*SEG_SMALL, "--arch", "Linknet"],
        [*CLS_SMALL, "--task", "Effusion / Edema", "--arch", "test_resnet"],
    ],
)
def test_a_hardening_answers_in_words_and_resumes(arguments: list[str], tmp_path: Path) -> None:
    arguments += ["--epochs", "1", "--films", "2", "--denoiser-epochs", "1", "--device", "cpu"]
    done = script("harden.py", *arguments, "--cells-at-once", "14", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nIn short: " in done.stdout
    assert "\nWhat does not help: " in done.stdout
    written = done.stdout.split("Wrote\n")[1].split()
    assert all((tmp_path / path).stat().st_size > 0 for path in written)
    before = (tmp_path / "out" / "per_image.parquet").read_bytes()
    again = script("harden.py", *arguments, "--out", "out", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "out" / "per_image.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "spine"], "--task must be lungs, heart, lungs-heart or 'A / B', got spine"),
        (["--films", "0"], "must be a number of films or all, got 0"),
        (["--share", "0/2"], "--share cannot be used here"),
        (["--noises", "loud"], "invalid choice: 'loud'"),
    ],
)
def test_the_hardening_script_refuses_in_one_sentence(
    arguments: list[str], message: str, refused: Refused
) -> None:
    code, words = refused("harden.py", *arguments)
    assert code == 2
    assert message in words


@pytest.mark.slow
def test_findings_are_learned_by_policy_and_size(tmp_path: Path) -> None:
    arguments = [*FINDINGS_SMALL, "--phantoms", "80", "--policies", "flip", "self-trained"]
    done = script("chexpert.py", *arguments, *BRIEF, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = [tmp_path / path for path in done.stdout.split("Wrote\n")[1].split()]
    names = {"per_image.parquet", "plane.png", "report.html", "report.md"}
    assert {path.name for path in written} == names
    table = read_table(written[0].parent / "per_image.parquet")
    folders = ["flip-33px-frontal", "flip-40px-frontal", "self-trained-40px-frontal"]
    assert sorted(table.network.unique()) == folders
    page = (written[0].parent / "report.md").read_text()
    for title in (
        "Policies at 40 px",
        "Sizes, policy flip",
        "Films reduced and brought back to 40 px",
        "Where the network looks",
    ):
        assert f"## {title}" in page
        assert title in done.stdout or title.startswith("Where")
    assert "blank labels count as 0" in done.stdout
    again = script("chexpert.py", *arguments, *BRIEF, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("trained already") == 3


@pytest.mark.slow
def test_findings_of_a_folder_have_two_views_and_their_ensemble(tmp_path: Path) -> None:
    marks = [{"Edema": number % 2, "Consolidation": -(number % 3)} for number in range(40)]
    marks = [{name: max(mark, -1) for name, mark in one.items()} for one in marks]
    train = [("train", number, one) for number, one in enumerate(marks)]
    valid = [("valid", 90 + n, {"Edema": n % 2, "Consolidation": n // 2 % 2}) for n in range(8)]
    write_chexpert(tmp_path / "chexpert", [*train, *valid], 40)
    arguments = ["--data", "chexpert", "--views", "frontal", "lateral", "--combine", "max"]
    arguments += ["--findings", "Edema", "Consolidation", "--policies", "ones", "--out", "o"]
    done = script("chexpert.py", *FINDINGS_SMALL, *arguments, *BRIEF, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for line in ("## Views", "| frontal |", "| lateral |", "| both views |"):
        assert line in done.stdout
    assert "Phantoms" not in done.stdout
    table = read_table(tmp_path / "o" / "per_image.parquet")
    assert table.image.nunique() == 2 * len(valid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--views", "lateral"], "--views must hold frontal"),
        (["--views", "frontal", "lateral"], "--views lateral needs --data: phantoms are frontal"),
        (["--policies", "ones", "ones"], "--policies must name each policy once"),
        (["--policies", "twos"], "argument --policies: invalid choice: 'twos'"),
        (["--arch", "resnet18", "resnet34"], "--arch must be one network"),
        (["--photons", "0"], "--photons must be positive"),
        (["--flip-probability", "often"], "argument --flip-probability: invalid"),
        (["--findings", "Fracture"], "error: findings must be some of the phantoms"),
        (["--data", "nowhere"], "error: data folder nowhere does not exist; expected train.csv"),
        (["--flip-probability", "1.5"], "must be from 0 to 1 or prevalence, got 1.5"),
    ],
)
def test_the_findings_script_refuses_in_one_sentence(
    arguments: list[str], message: str, refused: Refused
) -> None:
    _, said = refused("chexpert.py", *FINDINGS_SMALL, "--policies", "ones", *arguments)
    assert message in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("seg_sweep.py", ["--data", "nowhere"], "error: data folder nowhere does not exist"),
        ("cls_sweep.py", ["--pairs", "A / A"], "error: pair must be two different findings"),
    ],
)
def test_a_refusal_is_a_sentence_and_no_traceback(
    name: str, arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = script(name, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "error: data folder nowhere does not exist; expected Images/"),
        (["--data", "."], "error: data folder . is not laid out as the Landmark dataset: "),
        (
            ["--encoder", "resnet18", "--encoder-weights", "imagenet"],
            "from scratch with --encoder-weights none",
        ),
        (["--encoder-weights", "no.pt"], "error: weights no.pt do not exist"),
        (["--phantoms", "3"], "error: too few patients"),
        (["--batch-size", "15"], "error: batch size must be at most the 14 films"),
        (["--arch", "Vnet"], "error: arch must be a model of segmentation_models_pytorch"),
        (["--encoder", "resnet19"], "error: encoder must be one of segmentation_models_pytorch"),
        (["--source", "JSRT"], "error: source must be one of phantom, got 'JSRT'"),
        (["--leave-out", "JSRT"], "error: leave_out must be one of phantom, got 'JSRT'"),
    ],
)
def test_the_segmentation_script_refuses_in_one_sentence(
    arguments: list[str], message: str, refused: Refused
) -> None:
    code, said = refused("seg_sweep.py", *SEG_SMALL, *arguments)
    assert message in said
    assert code == said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "error: data folder nowhere does not exist; expected Data_Entry"),
        (["--data", "."], "error: data folder . has no table of findings: expected Data_Entry"),
        (
            ["--arch", "resnet34", "--pretrained", "imagenet"],
            "from scratch with --pretrained none",
        ),
        (["--pretrained", "no.pt"], "error: weights no.pt do not exist"),
        (["--pairs", "A / A"], "error: pair must be two different findings, as 'Effusion / Edema'"),
        (["--pairs", "Edema"], "error: pair must be two different findings"),
        (["--pairs", "Edema / Scoliosis"], "error: phantoms have the findings "),
        (["--test-list", "no.txt"], "no.txt"),
        (["--phantoms", "4"], "error: too few patients"),
        (["--batch-size", "29"], "error: batch size must be at most the 28 films"),
        (["--arch", "resnet19"], "error: arch must be a model of timm"),
    ],
)
def test_the_classification_script_refuses_in_one_sentence(
    arguments: list[str], message: str, refused: Refused
) -> None:
    code, said = refused("cls_sweep.py", *CLS_SMALL, *arguments)
    assert message in said
    assert code == said
    assert "\n" not in said


def test_a_finding_that_the_table_has_not_is_refused(tmp_path: Path, refused: Refused) -> None:
    write_table(tmp_path / "nih", [("a.png", "Edema", 1), ("b.png", "Effusion", 2)])
    _, said = refused("cls_sweep.py", "--data", "nih", "--pairs", "Edema / Nodule")
    assert "no film has the finding 'Nodule'; the table has Edema 1, Effusion 1" in said


def test_a_test_list_of_other_films_is_refused(tmp_path: Path, refused: Refused) -> None:
    names = [(f"{number}.png", ("Edema", "Effusion")[number % 2], number) for number in range(40)]
    for image, _, _ in names:
        write_image(tmp_path / "nih" / "images" / image)
    write_table(tmp_path / "nih", names)
    (tmp_path / "list.txt").write_text("other.png\n")
    arguments = ["--data", "nih", "--pairs", "Edema / Effusion", "--test-list", "list.txt"]
    _, said = refused("cls_sweep.py", *arguments, "--pretrained", "none", "--size", "32")
    assert "error: list.txt must name images of the 40 films" in said


def test_masks_that_do_not_fit_the_organs_are_refused(tmp_path: Path, refused: Refused) -> None:
    for number in range(20):
        write_annotated(tmp_path / "landmark", f"CHNCXR_{number:04d}_0", heart=False)
    _, said = refused("seg_sweep.py", "--data", "landmark", "--organs", "heart", "--size", "32")
    assert "error: no film in landmark has the contours ['H'] that heart needs" in said


@pytest.mark.parametrize("name", ["seg_sweep.py", "cls_sweep.py"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "16"], "--size must be "),
        (["--phantoms", "0"], "argument --phantoms: must be at least 1, got 0"),
        (["--epochs", "many"], "argument --epochs: invalid count value: 'many'"),
        (["--device", "nonsense"], "--device nonsense cannot be used here"),
        (["--arch", "Unet", "unet"], "--arch must name each network once"),
        (["--seed", "-1"], "--seed must be from 0 to 2**32 - 1, got -1"),
        (["--learning-rate", "0"], "--learning-rate must be above 0 and at most 1, got 0.0"),
        (["--learning-rate", "nan"], "--learning-rate must be above 0 and at most 1, got nan"),
        (["--profile", "slow"], "argument --profile: invalid choice: 'slow'"),
    ],
)
def test_an_option_out_of_range_is_refused_before_anything_is_read(
    name: str, arguments: list[str], message: str, refused: Refused, tmp_path: Path
) -> None:
    code, said = refused(name, *arguments)
    assert code == 2
    assert message in said
    assert not list(tmp_path.iterdir())


def test_segmentation_networks_take_sides_that_they_can_halve(refused: Refused) -> None:
    code, said = refused("seg_sweep.py", "--size", "100")
    assert (code, "--size must be a multiple of 32, got 100" in said) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "64", "31"], "--size must be at least 32, got 31"),
        (["--size", "64", "48", "64"], "--size must name each size once, got 64 48 64"),
    ],
)
def test_every_size_is_looked_at(arguments: list[str], message: str, refused: Refused) -> None:
    code, said = refused("resolution.py", *arguments)
    assert (code, message in said) == (2, True)


def test_another_call_into_the_same_folder_needs_the_same_settings(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = [*CLS_SMALL, "--arch", "test_resnet", "--pairs", "Edema/Nodule", "--out", "o"]
    with monkeypatch.context() as patch:
        patch.setattr(Sweep, "_measure", interrupted)
        code, said = refused("cls_sweep.py", *common, *BRIEF)
    assert code == 130
    last = "Interrupted. What is finished is kept: the same command goes on from there."
    assert said.splitlines()[-1] == last
    code, said = refused("cls_sweep.py", *common, *BRIEF, "--epochs", "2")
    assert "o/Edema-Nodule holds a sweep with other settings (epochs 1 there, 2 now)" in said


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_a_finished_sweep_is_explained_without_training(tmp_path: Path) -> None:
    small = [*SEG_SMALL, "--arch", "Linknet", *BRIEF, "--train-only", "--out", "sweep"]
    trained = script("seg_sweep.py", *small, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    weights = (tmp_path / "sweep" / "Linknet" / "model.pt").read_bytes()
    done = script("explain.py", "sweep", "--out", "why", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for lead in ("Scale or signal", "Frequencies", "Attention", "Normalisation"):
        assert f"{lead} (trained on clean films): " in done.stdout
    assert "Phantoms, which say nothing about patients" in (
        tmp_path / "why" / "report.html"
    ).read_text(encoding="utf-8")
    assert (tmp_path / "sweep" / "Linknet" / "model.pt").read_bytes() == weights
    again = script("explain.py", "sweep", "--out", "why", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
