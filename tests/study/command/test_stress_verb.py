"""A model of one's own on a folder of films."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from commands import cxr_noise
from layouts import write_ward
from torch import Tensor, nn

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.command.main import main
from cxr_noise_transforms.study.evaluation import MEASURES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ward(tmp_path_factory.mktemp("films"))


class Dark(nn.Module):
    """What is dark and inside is lung; a logit for it and one for the rest."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([0.45 - image, image - 0.45], dim=1)


# newer versions of torch deprecate the format, which is what many have
@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.slow
def test_a_torchscript_file_on_masks(folder: Path, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Dark()), tmp_path / "dark.pt")
    asked = ["dark.pt", "--films", folder / "films", "--masks", f"lungs={folder / 'lungs'}"]
    asked += [f"heart={folder / 'heart'}", "--patients", folder / "patients.csv", "--size", "64"]
    asked += ["--cells", "0,0", "10,0", "0,10", "--noise-seeds", "2", "--out", "out"]
    done = cxr_noise("stress", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = done.stdout.split("Wrote\n")[1].split()
    assert all((tmp_path / path).stat().st_size > 0 for path in written)
    table = read_table(tmp_path / "out" / "per_image.parquet")
    assert len(table) == 3 * 2 * 6 * 2 * 2
    assert set(table.patient) == set("abcde")
    lungs = table[(table.label == "lungs") & (table.metric == "dice")]
    means = lungs.groupby(["sq", "se"]).value.mean()
    assert means[0, 0] > means[0, 10]
    # another model under the same name is another measurement
    torch.jit.save(torch.jit.freeze(torch.jit.script(Dark()).eval()), tmp_path / "dark.pt")
    again = cxr_noise("stress", *asked, cwd=tmp_path)
    assert again.returncode != 0
    assert "is of another sweep (model " in again.stderr


@pytest.fixture
def labelled(folder: Path, tmp_path: Path) -> list[str]:
    """Films and labels on the command line, beside a script with models."""
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def two(films):\n"
        "    mean = films.mean((1, 2, 3))\n"
        "    return torch.stack([mean, -mean], 1)\n"
        "def dim(films):\n"
        "    return films * 0.9\n"
        "def three(films):\n"
        "    return torch.nn.functional.conv2d(films, torch.ones(1, 3, 1, 1))\n"
    )
    return ["--films", f"{folder}/films", "--labels", f"{folder}/labels.csv", "--size", "32"]


@pytest.mark.slow
def test_a_function_on_labels(labelled: list[str], tmp_path: Path) -> None:
    short = ["--cells", "0,0", "4,0", "--noise-seeds", "2", "--out", "out"]
    done = cxr_noise("stress", "mine:two", *labelled, *short, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split(", ")[:4] for line in done.stderr.splitlines()]
    assert lines[1] == ["mine:two: cell 2 of 4", "sq=4", "se=0", "noise seed 0"]
    assert len(lines) == 4
    assert set(read_table(tmp_path / "out" / "per_image.parquet").label) == {"sick", "old"}


def call_from(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the command from a folder, in which it looks for the script."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "mine", raising=False)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("mine:three", [], "error: the model refuses images (6, 1, 32, 32)"),
        ("mine:none", [], "error: cannot import mine:none"),
        ("no.pt", [], "error: model no.pt does not exist; name a file or module:name"),
        ("mine:two", ["--cells", "4,0"], "--cells must have the clean cell 0,0"),
        ("mine:two", ["--cells", "x"], "--cells must be ladder, imagenet-c, medmnist-c, "),
        ("mine:two", ["--cells", "bands", "0,0"], "--cells equal-variance and bands come alone"),
        ("mine:two", ["--levels", "100"], "must hold values from 0 to 100, got "),
        ("mine:two", ["--task", "segmentation"], "--task segmentation needs --masks"),
    ],
)
def test_refusals(
    model: str,
    options: list[str],
    message: str,
    labelled: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_from(tmp_path, monkeypatch)
    with pytest.raises(SystemExit) as end:
        main(["stress", model, *labelled, *options])
    said = end.value.code if isinstance(end.value.code, str) else capsys.readouterr().err
    assert message in said


def test_the_help_names_all_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["stress", "--help"])
    assert f"{{{','.join(MEASURES)}}}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_front_end_and_other_degradations(labelled: list[str], tmp_path: Path) -> None:
    asked = ["mine:two", *labelled, "--cells", "0,0", "4,0", "--noise-seeds", "1", "--out", "out"]
    asked += ["--degradations", "none", "contrast=0.5", "--front-end", "mine:dim"]
    done = cxr_noise("stress", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "out" / "per_image.parquet")
    assert set(table.degradation) == {"none", "contrast=0.5"}
    report = (tmp_path / "out" / "report.md").read_text()
    assert "other degradations, paired with the same films without them" in report
    without = cxr_noise("stress", *asked[:-2], cwd=tmp_path)
    assert without.returncode != 0
    assert "is of another sweep (front_end " in without.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("cells", "other"), [("equal-variance", "quantum"), ("bands", "band=8")])
def test_noises_of_one_rms(cells: str, other: str, labelled: list[str], tmp_path: Path) -> None:
    asked = ["mine:two", *labelled, "--cells", cells, "--noise-seeds", "1", "--out", "out"]
    done = cxr_noise("stress", *asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert other in set(read_table(tmp_path / "out" / "per_image.parquet").degradation)
    assert f"| {other} | 0 | 1 |" in (tmp_path / "out" / "report.md").read_text()


def test_groups_of_readings(
    labelled: list[str],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_from(tmp_path, monkeypatch)
    readings = pd.DataFrame({"File": [f"ward/{n:03}.png" for n in range(6)]})
    readings.assign(Sex=["F", "M", "F", "", "M", "M"], Age=[20, 40, 41, 59, 60, 80]).to_csv(
        "clinical.csv", index=False
    )
    asked = ["stress", "mine:two", *labelled, "--cells", "0,0", "--noise-seeds", "1"]
    asked += ["--readings", "clinical.csv", "--outputs", "logits", "--out", "out"]
    assert main([*asked, "--groups", "Sex", "Age=40,60"]) == 0
    said = capsys.readouterr().out
    assert "\nSex: F (2 patients), M (3), unknown (1). " in said
    assert "\nAge: under 40 (1 patient), 40 to 59 (3), 60 and over (2). " in said
    table = read_table("out/per_image.parquet")
    assert set(table.Sex) == {"F", "M", "unknown"}
    assert "## Subgroups" in Path("out/report.md").read_text()
    # other groups are another measurement
    with pytest.raises(SystemExit, match=r"is of another sweep \(groups "):
        main([*asked, "--groups", "Sex"])
    masks = ["--films", f"{folder}/films", "--masks", f"lungs={folder}/lungs", "--size", "32"]
    with pytest.raises(SystemExit, match="groups must have a table of readings, or of patients"):
        main(["stress", "mine:two", *masks, "--groups", "Sex"])
