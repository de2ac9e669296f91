"""A report of tables that are there already."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import curve, rows

from cxr_noise_transforms.study.command.main import main

CELLS = {(0, 0): 0.9, (4, 0): 0.5, (0, 4): 0.25}


def written(folder: Path, name: str, table: pd.DataFrame) -> str:
    table.to_csv(folder / name, index=False)
    return str(folder / name)


def test_packed_and_unpacked_tables_become_one_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = written(tmp_path, "a.csv", curve(CELLS, metric="dice", network="Unet"))
    two = written(tmp_path, "b.csv.gz", curve(CELLS, metric="dice", network="FPN"))
    out = tmp_path / "new" / "report"
    assert main(["report", one, two, "--title", "Both < one", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    counts, quantum, electronic, finished, *_ = said.splitlines()
    assert counts == "12 rows: task; Unet, FPN; 2 films"
    assert quantum.startswith("Quantum noise: Dice falls from 0.900 to 0.500 at s_q = 4 (62.5 ")
    assert electronic.startswith("Electronic noise: Dice falls from 0.900 to 0.250 at s_e = 4 ")
    assert finished.startswith("Finished in ")
    assert said.split("Wrote\n")[1].split() == [f"{out}/report.html", f"{out}/report.md"]
    assert (out / "report.md").read_text().startswith("# Both &lt; one\n")
    html = (out / "report.html").read_text()
    assert "Both &lt; one" in html
    assert all(network in html for network in ("Unet", "FPN"))


def test_the_networks_are_the_title_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "a.csv", curve(CELLS, metric="dice", network="Unet"))
    assert main(["report", "a.csv"]) == 0
    assert (tmp_path / "runs/report/report.md").read_text().startswith("# Unet under noise\n")


def test_validation_films_fix_the_threshold_of_f1(tmp_path: Path) -> None:
    target = np.tile([0.0, 1.0], 5)
    score = np.linspace(0.1, 0.3, 10)
    table = pd.concat([rows(score, target, cell=cell) for cell in CELLS])
    one = written(tmp_path, "a.csv", table)
    validation = written(tmp_path, "v.csv", rows(score, target))
    for name, options in (("with", ["--validation", validation]), ("without", [])):
        assert main(["report", one, *options, "--out", str(tmp_path / name)]) == 0
        report = (tmp_path / name / "report.md").read_text()
        assert ("F1 at the validation threshold" in report) == bool(options)


def test_refusals(tmp_path: Path) -> None:
    table = curve(CELLS, metric="dice", network="Unet")
    one = written(tmp_path, "a.csv", table)
    short = written(tmp_path, "short.csv", table.drop(columns="sq"))
    wide = written(tmp_path, "wide.csv", table[table.sq > 0].assign(sq=-1.0))
    (tmp_path / "image.csv").write_bytes(bytes(range(256)))
    for arguments, message in (
        ([one, one], "must hold each row once, but hold 6 twice, the first of network Unet, film"),
        ([str(tmp_path / "no.csv")], "No such file or directory"),
        ([short], "short.csv must be a long table as Parquet or CSV: .*sq"),
        ([str(tmp_path / "image.csv")], "image.csv must be a long table as Parquet or CSV"),
        ([wide], "sq must be finite and not negative, got -1"),
    ):
        with pytest.raises(SystemExit, match=message):
            main(["report", *arguments, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_groups_of_the_tables_or_of_readings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, generator = np.arange(40), np.random.default_rng(0)
    table = pd.concat(
        rows(generator.normal(mean, 0.05, 40).clip(0, 1), metric="dice", cell=cell)
        for cell, mean in (((0, 0), 0.9), ((4, 0), 0.5))
    ).assign(view=np.tile(np.where(films % 2, "AP", "PA"), 2))
    one = written(tmp_path, "a.csv", table)
    image = [f"image{n:04d}.png" for n in films]
    readings = pd.DataFrame({"Image Index": image, "Patient Age": 20 + 2 * films})
    asked = ["report", one, "--out", str(tmp_path / "out")]
    read = ["--readings", written(tmp_path, "readings.csv", readings)]
    for options, columns in (
        ([], ["view: AP (20 patients), PA (20)."]),
        (
            [*read, "--groups", "Patient Age=40,60", "view"],
            ["Patient Age: under 40 (10 patients), 40 to 59 (10), 60 and over (20).", "view: AP"],
        ),
    ):
        assert main([*asked, *options]) == 0
        said = capsys.readouterr().out.splitlines()
        told = said[2 : next(n for n, line in enumerate(said) if line.startswith("Finished"))]
        assert len(told) == len(columns)
        for line, start in zip(told, columns, strict=True):
            assert line.startswith(start)
        report = (tmp_path / "out/report.md").read_text()
        assert all(f"### {line.partition(':')[0]}" in report for line in told)
    for options, message in (
        ([*read, "--groups", "Sex"], "must have the column Sex, has Image Index, Patient Age"),
        (["--groups", "Sex"], "column must be one of groups, got 'Sex'; the table has view"),
    ):
        with pytest.raises(SystemExit, match=message):
            main([*asked, *options])
    with pytest.raises(SystemExit, match="2"):
        main([*asked, *read])
    assert "--readings needs --groups" in capsys.readouterr().err


def test_help_says_what_is_held_in_memory(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Where groups are compared, all of the table is held in memory." in said
