"""The front door of the command line: its help, its verbs, its status."""

import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from layouts import write_annotated, write_ward

from cxr_noise_transforms import quantum_noise
from cxr_noise_transforms.study.command.main import VERBS, main

README = Path(__file__).parents[3] / "README.md"
HEAVY = {"PIL", "matplotlib", "monai", "numpy", "pandas", "torch", "tqdm"}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_the_help_is_one_screen_with_an_example_of_each_verb(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    for name, verb in VERBS.items():
        at = next(place for place, line in enumerate(lines) if line.split()[:1] == [name])
        assert lines[at].endswith(verb.does)
        assert lines[at + 1].strip() == f"cxr-noise {name} {verb.example}".rstrip()


def test_no_help_loads_anything_heavy() -> None:
    script = f"""
import sys
from cxr_noise_transforms.study.command.main import VERBS, main
assert not {HEAVY} & sys.modules.keys()
for verb in VERBS:
    try:
        main([verb, "--help"])
    except SystemExit as end:
        assert end.code == 0
    assert not {HEAVY} & sys.modules.keys(), verb
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: cxr-noise ") == len(VERBS)


@pytest.mark.parametrize(
    ("verb", "end"), [("stres", "got stres; did you mean stress?\n"), ("xyz", "got xyz\n")]
)
def test_an_unknown_verb_is_refused_with_the_nearest(
    verb: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, "--films", "x"]) == 2
    assert capsys.readouterr().err == f"error: verb must be {', '.join(VERBS)}, {end}"


def test_the_installed_command_and_the_module_are_one() -> None:
    script = shutil.which("cxr-noise", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("cxr-noise is not installed beside this interpreter")
    version = importlib.metadata.version("cxr_noise_transforms")
    for command in ([script], [sys.executable, "-m", "cxr_noise_transforms.study"]):
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert done.stdout == f"cxr-noise {version}\n"


@pytest.mark.slow
# of a model whose weights are random
@pytest.mark.filterwarnings("ignore:all predictions from")
def test_every_command_that_is_shown_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pydicom")
    from dicom_files import write_dicom

    write_ward(tmp_path)
    shutil.move(tmp_path / "films", tmp_path / "FILMS")
    shutil.move(tmp_path / "lungs", tmp_path / "MASKS")
    for number in range(20):
        write_annotated(tmp_path / "DATA", f"JPCLN{number:03d}")
    for place in sorted((tmp_path / "MASKS").rglob("*.png")):
        grey = torch.linspace(0.1, 0.9, 128).expand(128, 128)
        grainy = quantum_noise(grey, 1, bits=12, seed=0) * 4095
        film = tmp_path / "DICOM" / place.relative_to(tmp_path / "MASKS").with_suffix(".dcm")
        write_dicom(film, grainy.round().numpy().astype("uint16"))
    films = sorted((tmp_path / "FILMS").rglob("*.png"))
    names = [film.relative_to(tmp_path / "FILMS").as_posix() for film in films]
    readings = [f"{name},{'FM'[place % 2]},{30 + place}" for place, name in enumerate(names)]
    (tmp_path / "clinical.csv").write_text("\n".join(["image,Sex,Age", *readings]))
    (tmp_path / "package").mkdir()
    (tmp_path / "package/module.py").write_text(
        "def model(films):\n    return films[:, 0, 99, :2] - 0.5\n"
    )
    monkeypatch.chdir(tmp_path)
    # the command looks for the module in the folder that it is called from
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = README.read_text(encoding="utf-8")
    export = next(
        one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if ".pt2" in one
    )
    exec(export, {})  # noqa: S102 (as the README shows it)
    readme = re.findall(r"^cxr-noise (.*)$", text, re.MULTILINE)
    screen = [f"{name} {verb.example}" for name, verb in VERBS.items()]
    assert {line.split()[0] for line in readme} == VERBS.keys()
    for line in dict.fromkeys([*readme, *screen]):
        assert main(shlex.split(line)) == 0
        said, _, wrote = capsys.readouterr().out.partition(" s. Wrote\n")
        written = wrote.split()
        assert written or said.startswith(("Quantum noise at", "folder of "))
        assert all((tmp_path / path).is_file() for path in written)
