"""Folders of films to folders of noisy films, and the record that makes them again."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import CXR_NOISE
from PIL import Image

from cxr_noise_transforms import RadiographicNoise, image_seeds
from cxr_noise_transforms.study.command.main import main
from cxr_noise_transforms.study.files import alone_in
from cxr_noise_transforms.study.films import chest_phantom, read_grey

NAMES = ["deep/wide", "high", "ward/a.b", "ward/c"]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Films of 8 and 16 bits, none square, some in folders below."""
    root = tmp_path / "films"
    grey = chest_phantom(0, 64).image
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey[:40].astype(np.uint16) * 257 + 3).save(root / "deep/wide.png")
    Image.fromarray(grey[:, 20:]).save(root / "high.png")
    Image.fromarray(grey[5:]).save(root / "ward/a.b.png")
    Image.fromarray(grey[9:]).save(root / "ward/c.png")
    return root


def levels(path: Path) -> np.ndarray:
    return np.array(Image.open(path))


def noisy(film: np.ndarray, name: str, sq: float, se: float, bits: int | None = None) -> np.ndarray:
    """One film alone, through the noise itself."""
    seed = int(image_seeds(0, [name]))
    return RadiographicNoise(sq, se, bits=bits)(torch.from_numpy(film)[None], seed=seed)[0].numpy()


def apply(films: Path, out: Path, *options: object) -> int:
    return main(["apply", str(films), str(out), *map(str, options)])


def replay(record: Path, *options: object) -> int:
    return main(["replay", str(record), *map(str, options)])


def content(folder: Path) -> dict[str, bytes]:
    """All files but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_films_keep_name_size_and_depth_and_have_the_noise_of_their_name(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(films)
    assert apply(films, tmp_path / "out", "--sq", 4, "--se", 0.5) == 0
    for name in NAMES:
        film, made = levels(films / f"{name}.png"), levels(tmp_path / "out" / f"{name}.png")
        assert made.dtype == film.dtype
        assert np.array_equal(made, noisy(film, name, 4, 0.5))
        assert not np.array_equal(made, film)
    assert levels(tmp_path / "out/deep/wide.png").dtype == np.uint16
    assert content(tmp_path / "out").keys() == {*before, "applied.json"}
    assert content(films) == before
    said = capsys.readouterr()
    assert said.out.startswith(f"4 films with noise in {tmp_path / 'out'}\nFinished in ")
    assert said.out.endswith(f" s. Wrote\n  {tmp_path / 'out' / 'applied.json'}\n")
    assert said.err.splitlines()[-1].startswith("noise: film 4 of 4, ")


def test_other_films_are_read_as_the_folder_reader_does(tmp_path: Path) -> None:
    root, out = tmp_path / "films", tmp_path / "out"
    root.mkdir()
    film = Image.fromarray(chest_phantom(0, 64).image)
    film.convert("RGB").save(root / "colour.png")
    film.convert("P").save(root / "palette.png")
    film.convert("1").save(root / "binary.png")
    film.convert("LA").save(root / "alpha.png")
    film.convert("RGB").save(root / "photograph.jpg")
    film.save(root / "grey.tif")
    assert apply(root, out, "--sq", 4) == 0
    for path in root.iterdir():
        made = levels(out / f"{path.stem}.png")
        assert np.array_equal(made, noisy(read_grey(path, 64), path.stem, 4, 0))


def test_sixteen_bits_of_any_file_are_kept(films: Path, tmp_path: Path) -> None:
    deep = levels(films / "deep/wide.png")
    (tmp_path / "other").mkdir()
    Image.fromarray(deep).save(tmp_path / "other/a.tif")
    Image.fromarray(deep.astype(np.int32)).save(tmp_path / "other/b.tif")
    # 32-bit integers have no scale of their own
    assert apply(tmp_path / "other", tmp_path / "out", "--sq", 4, "--levels", 65535) == 0
    for name in "ab":
        assert np.array_equal(levels(tmp_path / f"out/{name}.png"), noisy(deep, name, 4, 0))


def test_bits_digitise(films: Path, tmp_path: Path) -> None:
    assert apply(films, tmp_path / "out", "--sq", 4, "--bits", 3) == 0
    for name in NAMES:
        made = levels(tmp_path / "out" / f"{name}.png")
        assert len(np.unique(made)) <= 8
        assert np.array_equal(made, noisy(levels(films / f"{name}.png"), name, 4, 0, bits=3))


def test_a_range_is_drawn_per_film_and_the_record_says_what(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert apply(films, out, "--sq", "1,4", "--se", "0,1", "--bits", 8) == 0
    record = json.loads((out / "applied.json").read_text())
    assert [record[name] for name in ("sq", "se", "bits", "seed")] == [[1, 4], [0, 1], 8, 0]
    assert list(record["films"]) == NAMES
    assert all(1 <= made["sq"] <= 4 and 0 <= made["se"] <= 1 for made in record["films"].values())
    assert len({made["sq"] for made in record["films"].values()}) == len(NAMES)
    for name, made in record["films"].items():
        assert made["seed"] == int(image_seeds(0, [name]))
        again = noisy(levels(films / f"{name}.png"), name, made["sq"], made["se"], bits=8)
        assert np.array_equal(again, levels(out / f"{name}.png"))


def test_seeds_differ(films: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        assert apply(films, tmp_path / str(seed), "--sq", 4, "--seed", seed) == 0
    for name in NAMES:
        zero, one = (levels(tmp_path / seed / f"{name}.png") for seed in "01")
        assert not np.array_equal(zero, one)


# the record


def test_a_replay_is_the_same_bit_for_bit(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, again = tmp_path / "out", tmp_path / "again"
    assert apply(films, out, "--sq", "0,4", "--se", 1, "--seed", 7) == 0
    (films / "new.png").write_bytes((films / "high.png").read_bytes())
    assert replay(out / "applied.json", "--out", again) == 0
    assert content(again) == content(out)
    said = capsys.readouterr().out
    assert f"\n4 films in {again} are bit for bit what {out / 'applied.json'} says\n" in said
    # and a folder that was made goes on by its record
    (again / "high.png").unlink()
    assert replay(out / "applied.json", "--out", again) == 0
    assert content(again) == content(out)


def test_a_record_finds_its_films_and_goes_with_them(films: Path, tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    films = films.rename(tmp_path / "ward/films")
    assert apply(films, tmp_path / "ward/out", "--sq", 4) == 0
    before = content(tmp_path / "ward/out")
    moved = (tmp_path / "ward").rename(tmp_path / "moved")
    (moved / "out/high.png").unlink()
    assert replay(moved / "out/applied.json") == 0
    assert content(moved / "out") == before
    elsewhere = (moved / "films").rename(tmp_path / "elsewhere")
    assert replay(moved / "out/applied.json", "--films", elsewhere) == 0


def test_a_replay_compares_the_films_that_are_there(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert apply(films, out, "--sq", 4) == 0
    shutil.copy(films / "high.png", out / "high.png")
    before = content(out)
    assert replay(out / "applied.json") == 1
    said = capsys.readouterr()
    assert "high.png is there already, with other content" in said.err
    assert f"\n3 films in {out} are bit for bit what" in said.out
    assert content(out) == before


def test_a_replay_names_films_that_are_not_those_of_the_record(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apply(films, tmp_path / "out", "--sq", 4) == 0
    record = json.loads((tmp_path / "out/applied.json").read_text())
    record["films"]["high"]["noisy_sha256"] = "0" * 64
    (tmp_path / "record").write_text(json.dumps(record))
    shutil.copy(films / "ward/a.b.png", films / "ward/c.png")
    again = tmp_path / "again"
    assert replay(tmp_path / "record", "--films", films, "--out", again) == 1
    made, there = content(again), content(tmp_path / "out")
    assert made.keys() == {"applied.json", "deep/wide.png", "ward/a.b.png"}
    assert all(made[name] == there[name] for name in made if name != "applied.json")
    said = capsys.readouterr()
    assert f"error: film {films}/high.png has other noise here than in the record\n" in said.err
    assert f"error: film {films}/ward/c.png is another one than in the record\n" in said.err
    assert f"\n2 films in {again} are bit for bit what" in said.out


def test_a_replay_needs_a_record_and_its_films(films: Path, tmp_path: Path) -> None:
    assert apply(films, tmp_path / "out", "--sq", 4) == 0
    record, again = tmp_path / "out/applied.json", ("--out", tmp_path / "again")
    for text in ("{}", "no JSON", "[]", '{"films": {"a": {}}}', '{"films": 1}'):
        (tmp_path / "broken").write_text(text)
        with pytest.raises(SystemExit, match="broken must be a record of applied noise"):
            replay(tmp_path / "broken", *again)
    with pytest.raises(SystemExit, match="No such file"):
        replay(tmp_path / "none", *again)
    (films / "high.png").unlink()
    with pytest.raises(SystemExit, match=r"1 of the 4 films of .* are not in .*, .* is high$"):
        replay(record, *again)
    assert not (tmp_path / "again").exists()


# what is there already


def test_a_finished_folder_is_left_as_it_is(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert apply(films, out, "--sq", 4) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    capsys.readouterr()
    assert apply(films, out, "--sq", 4) == 0
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    said = capsys.readouterr()
    assert f"4 films with noise in {out}, 4 of them from before\n" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sq", 6], r"other settings \(sq 4.0 there, 6.0 now\): choose another folder$"),
        (["--sq", "0,4"], r"\(sq 4.0 there, \[0.0, 4.0\] now\)"),
        (["--sq", 4, "--se", 1], r"\(se 0.0 there, 1.0 now\)"),
        (["--sq", 4, "--seed", 1], r"\(seed 0 there, 1 now\)"),
        (["--sq", 4, "--bits", 8], r"\(bits None there, 8 now\)"),
    ],
)
def test_a_finished_folder_does_not_answer_for_other_settings(
    options: list[object], message: str, films: Path, tmp_path: Path
) -> None:
    assert apply(films, tmp_path / "out", "--sq", 4) == 0
    before = content(tmp_path / "out")
    with pytest.raises(SystemExit, match=message):
        apply(films, tmp_path / "out", *options)
    assert content(tmp_path / "out") == before


def test_a_finished_folder_does_not_answer_for_other_films(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert apply(films, out, "--sq", 4) == 0
    before, film = content(out), (films / "high.png").read_bytes()
    shutil.copy(films / "ward/c.png", films / "high.png")
    with pytest.raises(SystemExit, match=r"was made of another film high than .*high.png: choose"):
        apply(films, out, "--sq", 4)
    (films / "high.png").unlink()
    with pytest.raises(SystemExit, match="holds film high, which is not among the films to be"):
        apply(films, out, "--sq", 4)
    assert content(out) == before
    # one more is no other
    (films / "high.png").write_bytes(film)
    (films / "more.png").write_bytes(film)
    assert apply(films, out, "--sq", 4) == 0
    assert content(out).keys() - before.keys() == {"more.png"}
    assert all(content(out)[name] == before[name] for name in before if name != "applied.json")


def test_nothing_is_overwritten(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match=r"must be empty or hold applied.json, but holds notes"):
        apply(films, tmp_path / "mine", "--sq", 4)
    assert content(tmp_path / "mine") == {"notes.txt": b"mine"}
    for out in (films, films / "noisy"):
        with pytest.raises(SystemExit, match="must not lie in the folder of films"):
            apply(films, out, "--sq", 4)
    # somebody's film among ours
    (films / "new.png").write_bytes((films / "high.png").read_bytes())
    assert apply(films, tmp_path / "out", "--sq", 4) == 0
    (films / "late.png").write_bytes((films / "high.png").read_bytes())
    shutil.copy(films / "high.png", tmp_path / "out/late.png")
    assert apply(films, tmp_path / "out", "--sq", 4) == 1
    assert "late.png is there already, with other content" in capsys.readouterr().err
    assert (tmp_path / "out/late.png").read_bytes() == (films / "high.png").read_bytes()


def test_two_processes_are_not_in_one_folder(films: Path, tmp_path: Path) -> None:
    with (
        alone_in(tmp_path / "out"),
        pytest.raises(SystemExit, match="another process is at work in"),
    ):
        apply(films, tmp_path / "out", "--sq", 4)


# films that cannot be read, and ends before the end


def test_a_film_that_cannot_be_read_is_named_and_the_rest_is_done(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (films / "high.png").read_bytes()
    (films / "high.png").write_bytes(whole[:100])
    Image.fromarray(np.zeros((4, 4), np.float32)).save(films / "float.tif")
    assert apply(films, tmp_path / "out", "--sq", 4) == 1
    said = capsys.readouterr()
    assert f"error: cannot read film {films}/high.png: " in said.err
    assert f"error: film {films}/float.tif must hold integers, got floating point" in said.err
    assert f"3 films with noise in {tmp_path}/out, 2 could not be made\n" in said.out
    # mended, it is all that is left to do
    (films / "high.png").write_bytes(whole)
    (films / "float.tif").unlink()
    assert apply(films, tmp_path / "out", "--sq", 4) == 0
    assert "4 films with noise in" in (out := capsys.readouterr().out)
    assert "3 of them from before" in out


LONG = ["--sq", "0,4", "--se", "0,1", "--workers", "1"]


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films whose noise takes a while, and beside them those that were made without a break."""
    root = tmp_path_factory.mktemp("through")
    (root / "films").mkdir()
    for number in range(60):
        Image.fromarray(chest_phantom(number, 384).image).save(root / f"films/{number:03}.png")
    assert apply(root / "films", root / "out", *LONG) == 0
    return root


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_folder_goes_on(end: signal.Signals, through: Path) -> None:
    films, out = through / "films", through / end.name
    process = subprocess.Popen(
        [*CXR_NOISE, "apply", str(films), str(out), *LONG],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    while len(list(out.glob("[0-9]*.png"))) < 5:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(end)
    said = process.communicate()[1]
    assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
    assert ("Interrupted. What is finished is kept" in said) == (end == signal.SIGINT)
    finished = json.loads((out / "applied.json").read_text())["films"]
    assert 0 < len(finished) < 60
    before = {film: (out / f"{film}.png").stat().st_mtime_ns for film in finished}
    # as if it had been killed while it wrote
    (out / f".007.{'0' * 32}.png").write_bytes(b"cut off")
    assert apply(films, out, *LONG) == 0
    assert before == {film: (out / f"{film}.png").stat().st_mtime_ns for film in finished}
    assert content(out) == content(through / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--sq or --se must be above 0"),
        (["--sq", "0", "--se", "0"], "--sq or --se must be above 0"),
        (["--sq", "-1"], "argument --sq: must be a number from 0 on or LOW,HIGH, got -1"),
        (["--sq", "4,1"], "must be a number from 0 on or LOW,HIGH, got 4,1"),
        (["--sq", "1,2,3"], "must be a number from 0 on or LOW,HIGH, got 1,2,3"),
        (["--sq", "nan"], "must be a number from 0 on or LOW,HIGH, got nan"),
        (["--sq", "0,inf"], "must be a number from 0 on or LOW,HIGH, got 0,inf"),
        (["--sq", "many"], "argument --sq: invalid severity value: 'many'"),
        (["--sq", "1", "--workers", "0"], "argument --workers: must be at least 1, got 0"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_read(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        apply(tmp_path / "none", tmp_path / "out", *options)
    assert message in capsys.readouterr().err


def test_refusals_before_anything_is_written(films: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, options, message in (
        (tmp_path / "none", [], "folder of films .*none does not exist"),
        (tmp_path / "empty", [], "holds no film"),
        (films, ["--bits", 17], "bits must be .*17"),
    ):
        with pytest.raises(SystemExit, match=message):
            apply(folder, tmp_path / "out", "--sq", 4, *options)
    assert not (tmp_path / "out").exists()


def test_12_bit_films_are_exposed_on_the_scale_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "films").mkdir()
    twelve = chest_phantom(0, 64).image.astype(np.uint16) * 16
    Image.fromarray(twelve).save(tmp_path / "films" / "a.png")
    assert apply(tmp_path / "films", tmp_path / "wrong", "--sq", 4) == 1
    assert "its full scale must be given as levels, 4095 or 65535" in capsys.readouterr().err
    assert apply(tmp_path / "films", tmp_path / "right", "--sq", 4, "--levels", 4095) == 0
    signal = torch.from_numpy(twelve.astype(np.float32) / 4095)[None]
    noise = RadiographicNoise(4, 0, clip=True)
    expected = 4095 * noise(signal, seed=int(image_seeds(0, ["a"])))[0].numpy()
    # half a level of rounding
    assert np.abs(levels(tmp_path / "right" / "a.png") - expected).max() <= 0.51


def test_a_film_with_white_at_zero_is_written_with_black_at_zero(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    grey = chest_phantom(0, 64).image.astype(np.uint16) * 257
    negative = Image.fromarray(65535 - grey)
    negative.save(tmp_path / "films" / "a.tif", tiffinfo={262: 0})
    assert apply(tmp_path / "films", tmp_path / "out", "--se", 1) == 0
    assert np.array_equal(levels(tmp_path / "out" / "a.png"), noisy(grey, "a", 0, 1))
