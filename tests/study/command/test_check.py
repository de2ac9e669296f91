import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import cxr_noise
from layouts import write_annotated, write_chexpert, write_image, write_table
from monai.data import load_decathlon_datalist
from PIL import Image

from cxr_noise_transforms.study.command.main import main
from cxr_noise_transforms.study.films import ORGANS
from cxr_noise_transforms.study.films.check import check

PAIR = "Effusion / Edema"
THICK = "Pleural_Thickening"


@pytest.fixture
def landmark(tmp_path: Path) -> Path:
    for number in range(1, 21):
        write_annotated(tmp_path / "data", f"JPCLN{number:03d}", size=32)
        write_annotated(tmp_path / "data", f"CHNCXR_{number:04d}_0", size=48, heart=False)
    return tmp_path / "data"


@pytest.fixture
def chestxray14(tmp_path: Path) -> Path:
    """20 patients of either finding, two films each, in twelve folders."""
    rows = [
        (f"{patient:08d}_{film:03d}.png", ("Effusion", "Edema")[patient % 2], patient)
        for patient in range(1, 41)
        for film in range(2)
    ]
    write_table(tmp_path / "data", rows)
    for number, (image, _, _) in enumerate(rows):
        write_image(tmp_path / "data" / f"images_{number % 12 + 1:03d}/images" / image, 32)
    return tmp_path / "data"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main(["check", *map(str, arguments)])
    return status, capsys.readouterr().out


def test_a_good_landmark_folder(landmark: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report = run(capsys, landmark)
    assert status == 0
    assert report.splitlines() == [
        f"Landmark dataset in {landmark}",
        "40 films of 40 patients, 0 with several films",
        "sources: Shenzhen 20, JSRT 20",
        "lungs: Shenzhen 20, JSRT 20; can be split",
        "heart: JSRT 20; can be split",
        "lungs-heart: JSRT 20; can be split",
        "images: 48 x 48 L 20, 32 x 32 L 20",
        "Nothing to be mended.",
    ]


def test_a_good_chestxray14_folder(chestxray14: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report = run(capsys, chestxray14, "--workers", 2)
    assert status == 0
    assert report.splitlines() == [
        f"ChestX-ray14 in {chestxray14}",
        "80 films of 40 patients, 40 with several films",
        "sources: NIH 80",
        "findings: Edema 40, Effusion 40",
        "Fibrosis / Pleural_Thickening (visually similar): no film has the finding 'Fibrosis'",
        "Effusion / Edema (visually similar): Effusion 40, Edema 40, of 40 patients; can be split",
        "Pneumothorax / Atelectasis (visually similar): no film has the finding 'Pneumothorax'",
        "Fibrosis / Infiltration (visually distinct): no film has the finding 'Fibrosis'",
        f"Edema / {THICK} (visually distinct): no film has the finding '{THICK}'",
        "Nodule / Effusion (visually distinct): no film has the finding 'Nodule'",
        "images: 32 x 32 L 80",
        "Nothing to be mended.",
    ]


def test_the_datalist_of_a_pair(
    chestxray14: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lists" / "pair.json"
    status, report = run(capsys, chestxray14, "--pair", PAIR, "--out", out, "--seed", 3)
    assert status == 0
    assert f"{PAIR}: training 56, validation 12, testing 12\nNothing to be mended." in report
    assert report.endswith(f" s. Wrote\n  {out}\n")
    assert list(out.parent.iterdir()) == [out]
    patients = []
    for part, count in (("training", 56), ("validation", 12), ("testing", 12)):
        films = load_decathlon_datalist(
            out, is_segmentation=False, data_list_key=part, base_dir=chestxray14
        )
        assert len(films) == count
        assert all(Path(film["image"]).is_file() for film in films)
        assert all(film["label"] == (film["finding"] == "Edema") for film in films)
        patients.append({film["patient"] for film in films})
    assert not set.intersection(*patients)


def test_the_datalist_of_an_organ(
    landmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "hearts.json"
    assert run(capsys, landmark, "--organs", "lungs-heart", "--out", out)[0] == 0
    films = load_decathlon_datalist(
        out, is_segmentation=True, data_list_key="training", base_dir=landmark
    )
    assert len(films) == 14
    for film in films:
        assert Path(film["image"]).is_file()
        assert [np.load(path).shape for path in film["label"]] == [(4, 2)] * 3


def test_lungs_are_the_task_where_none_is_named(
    landmark: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lungs.json"
    status, report = run(capsys, landmark, "--out", out)
    assert status == 0
    assert "lungs: training 28, validation 6, testing 6" in report
    assert {Path(path).parent.name for path in json.loads(out.read_text())["testing"][0]["label"]}


def test_truncated_and_broken_films(
    chestxray14: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third, fourth = sorted((chestxray14 / "images_002/images").iterdir())[:4]
    first.write_bytes(first.read_bytes()[:300])
    second.write_bytes(b"")
    Image.open(third).crop((0, 0, 32, 30)).save(third)
    Image.open(fourth).convert("RGBA").save(fourth)
    out = tmp_path / "list.json"
    status, report = run(capsys, chestxray14, "--pair", PAIR, "--out", out)
    assert status == 1
    assert f"- films that cannot be used: 2 (cannot read film {first}: " in report
    assert f"cannot read film {second}: " in report
    assert "images: 32 x 32 L 76, 32 x 30 L 1, 32 x 32 RGBA 1" in report
    assert f"{out} is not written" in report
    assert not out.exists()


def deepen(path: Path, highest: int) -> None:
    """Store a film's values in 16 bits, on a scale of its own."""
    values = np.asarray(Image.open(path)) / 255 * highest
    Image.fromarray(values.round().astype(np.uint16)).save(path)


@pytest.mark.parametrize("fixture", ["landmark", "chestxray14"])
def test_12_bit_films_in_16_bit_files(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], fixture: str
) -> None:
    folder = request.getfixturevalue(fixture)
    films = sorted(folder.rglob("*.png"))
    for path in films:
        deepen(path, 4095)
    status, report = run(capsys, folder)
    assert status == 1
    assert f"values up to 4095 in files for values up to 65535: {len(films)} (" in report
    assert "name their full scale with --levels 4095, or --levels 65535 if it is that" in report
    status, report = run(capsys, folder, "--levels", 4095)
    assert status == 0
    assert report.endswith("Nothing to be mended.\n")
    # as many bits as the brightest film of all needs
    Image.fromarray(np.asarray(Image.open(films[0])) * 16).save(films[0])
    status, report = run(capsys, folder)
    assert status == 1
    dark = len(films) - 1
    assert f"- films nearly black, below 0.25 of full scale 65535: {dark} (" in report
    status, report = run(capsys, folder, "--levels", 4095)
    assert status == 1
    assert f"{films[0]} must hold values from 0 to 4095, got " in report


def test_films_that_show_nothing(chestxray14: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = sorted((chestxray14 / "images_002/images").iterdir())[:3]
    Image.new("L", (32, 32)).save(first)
    Image.new("L", (32, 32), 200).save(second)
    Image.fromarray(np.asarray(Image.open(third)) // 8).save(third)
    status, report = run(capsys, chestxray14)
    assert status == 1
    assert f"- films of one value throughout: 2 ({first.name}, {second.name})\n" in report
    assert f"- films nearly black, below 0.25 of full scale 255: 1 ({third.name})\n" in report


def test_missing_and_unnamed_images(chestxray14: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for image in list((chestxray14 / "images_001/images").iterdir()):
        image.unlink()
    write_image(chestxray14 / "images/other.png", 32)
    status, report = run(capsys, chestxray14)
    assert status == 1
    assert (
        "- images missing of 80 in the table: 7 (00000001_000.png, 00000007_000.png, "
        "00000013_000.png, and 4 more)" in report
    )
    assert "images that the table does not name: 1 (other.png)" in report


def test_identical_files(chestxray14: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = {path.name: path for path in chestxray14.glob("images_*/images/*.png")}
    shutil.copy(images["00000001_000.png"], images["00000001_001.png"])
    status, report = run(capsys, chestxray14)
    assert status == 0
    assert "identical files of one patient: 1 (00000001_000.png = 00000001_001.png)" in report
    shutil.copy(images["00000001_000.png"], images["00000002_000.png"])
    status, report = run(capsys, chestxray14)
    assert status == 1
    assert (
        "- identical files of different patients: 1 (00000001_000.png = 00000001_001.png = "
        "00000002_000.png)" in report
    )


def test_landmarks_that_are_missing_or_broken(
    landmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(landmark / "Images/JPCLN090.png")
    (landmark / "landmarks/H/JPCLN001.npy").write_bytes(b"\x93NUMPY")
    np.save(landmark / "landmarks/RL/MCUCXR_0001_0.npy", np.zeros((44, 2)))
    status, report = run(capsys, landmark)
    assert status == 1
    assert "- films without landmarks: 1 (JPCLN090)" in report
    assert "- films that cannot be used: 1 (cannot read landmarks" in report
    assert "landmarks without an image: 1 (MCUCXR_0001_0)" in report


def test_what_makes_a_table_unusable_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(tmp_path, [("a.png", "Edema", "")])
    status, report = run(capsys, tmp_path)
    assert status == 1
    assert report == (
        f"To be mended:\n- {tmp_path}/Data_Entry_2017.csv has no Patient ID in the row of image "
        "a.png (line 2); rows without: 1\n"
    )


def test_an_empty_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path, [])
    status, report = run(capsys, tmp_path)
    assert status == 1
    assert report.endswith("To be mended:\n- there is no film\n")


def test_a_pair_that_cannot_be_split(
    chestxray14: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("00000001_000.png", "Edema", 1), ("00000002_000.png", "Effusion", 2)]
    write_table(chestxray14, rows)
    status, report = run(capsys, chestxray14)
    assert status == 0
    assert "of 2 patients; cannot be split: too few patients to split into" in report
    status, report = run(capsys, chestxray14, "--pair", PAIR, "--out", tmp_path / "list.json")
    assert status == 1
    assert "- too few patients to split into train, val and test" in report
    assert not (tmp_path / "list.json").exists()


def test_a_folder_of_neither_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "masks").mkdir()
    status, report = run(capsys, tmp_path)
    assert status == 1
    assert "must hold Images/ and landmarks/" in report
    assert "found masks" in report
    assert "nowhere does not exist" in run(capsys, tmp_path / "nowhere")[1]


def test_a_folder_of_films_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "films/ward/a.png")
    shutil.copy(tmp_path / "films/ward/a.png", tmp_path / "films/b.png")
    status, report = run(capsys, "films")
    assert status == 0
    assert report.splitlines() == [
        "folder of 2 films films",
        "images: 64 x 64 L 2",
        "identical files: 1 (b = ward/a)",
        "Nothing to be mended.",
    ]
    for task in (["--organs", "lungs"], ["--pair", PAIR], ["--out", "list.json"]):
        with pytest.raises(SystemExit, match="2"):
            main(["check", str(tmp_path / "films"), *task])
        assert "DIR holds films alone: there is no task to split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--organs", "lungs"], "--organs is for the Landmark dataset"),
        (["--out", "list.json"], "--out needs --pair"),
        (["--workers", "0"], "--workers: must be at least 1, got 0"),
    ],
)
def test_options_that_do_not_fit(
    chestxray14: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(capsys, chestxray14, *options)
    assert message in capsys.readouterr().err


def test_a_pair_is_no_task_of_the_landmark_dataset(
    landmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(capsys, landmark, "--pair", PAIR)
    assert "--pair is for ChestX-ray14" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_says_how_far_it_is(landmark: Path) -> None:
    (landmark / "Images/JPCLN001.png").write_bytes(b"")
    done = cxr_noise("check", landmark, cwd=landmark)
    assert done.returncode == 1
    assert "cannot read film" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 20
    assert lines[0].startswith("reading: film 2 of 40, ")
    assert lines[-1].startswith("reading: film 40 of 40, ")


def test_the_help_names_all_organs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["check", "--help"])
    assert f"{{{','.join(ORGANS)}}}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fixture", "facts"),
    [
        ("landmark_data", ["598 films of 598 patients", "lungs: Shenzhen 352, JSRT 246; can be"]),
        ("nih64_data", ["1000 films of 264 patients, 136 with several", "64 x 64 L 1000"]),
        ("tb_data", ["566 films of 566 patients", "findings: Tuberculosis 287, No Finding 279"]),
    ],
)
def test_real_films_need_no_mending(
    request: pytest.FixtureRequest, fixture: str, facts: list[str]
) -> None:
    report = check(request.getfixturevalue(fixture))
    assert not report.problems
    for fact in facts:
        assert fact in str(report)


@pytest.fixture
def chexpert(tmp_path: Path) -> Path:
    """14 patients to train on, two to test on, two views of each."""
    marks = {"Edema": 1, "Consolidation": -1, "Fracture": 0}
    train = [("train", number, marks) for number in range(1, 15)]
    return write_chexpert(tmp_path / "data", [*train, *(("valid", n, {}) for n in (90, 91))])


def test_a_good_chexpert_folder(chexpert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = chexpert.parent / "split.json"
    status, report = run(capsys, chexpert, "--out", out)
    assert status == 0, report
    lines = report.splitlines()
    assert lines[0] == f"CheXpert in {chexpert}"
    for fact in (
        "32 films of 16 patients, 16 with several films",
        "sources: train 28, valid 4",
        "views: frontal 16, lateral 16",
        "blank labels count as negative, a choice of this package",
        "studies: 16; their views agree in every label",
        "images: 48 x 48 L 32",
        "five findings: training 22, validation 6, testing 4",
        "Nothing to be mended.",
    ):
        assert fact in lines
    assert "Edema 28/0/0/0, Consolidation 0/0/28/0, Pneumonia 0/0/0/28" in lines[4]
    testing = json.loads(out.read_text())["testing"]
    assert {(film["patient"], tuple(film["labels"])) for film in testing} == {
        ("patient00090", (0,) * 5), ("patient00091", (0,) * 5)
    }  # fmt: skip


def test_what_is_wrong_with_a_chexpert_folder(
    chexpert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (chexpert / "train/patient00003/study1/view2_lateral.jpg").unlink()
    valid = chexpert / "valid.csv"
    lines = valid.read_text().splitlines()
    # a lateral view with a finding of its own, and uncertain at that
    lines[2] = ",".join([*lines[2].split(",")[:7], "-1", *lines[2].split(",")[8:]])
    valid.write_text("\n".join(lines))
    status, report = run(capsys, chexpert)
    assert status == 1
    assert "studies: 16; their views disagree in a label in 1 (valid/patient00090/study1)" in report
    assert "films of valid.csv with uncertain labels, left out: 1" in report
    assert "images missing of 32 in the tables: 1 (train/patient00003/study1/view2_la" in report


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--pair", PAIR], "--pair is for ChestX-ray14, DIR holds CheXpert, whose films need no"),
        (["--organs", "lungs"], "--organs is for the Landmark dataset, DIR holds CheXpert, whose"),
    ],
)
def test_options_of_other_datasets_are_refused_of_chexpert(
    option: list[str], message: str, chexpert: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(capsys, chexpert, *option)
    assert message in capsys.readouterr().err
