"""A model of one's own on a folder of films, from the command line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cxr_noise_transforms.study import read_table
from cxr_noise_transforms.study.films.folders import LabelledFolder, MaskedFolder
from cxr_noise_transforms.study.films.phantom import chest_phantom

COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    for kind in ("films/ward", "lungs/ward", "heart/ward"):
        (root / kind).mkdir(parents=True)
    for seed in range(COUNT):
        film = chest_phantom(seed, 64)
        Image.fromarray(film.image).save(root / f"films/ward/{seed:03}.png")
        # one kind of mask is stored as 0 and 255, the other as 0 and 1
        Image.fromarray(film.lungs.astype(np.uint8) * 255).save(root / f"lungs/ward/{seed:03}.png")
        Image.fromarray(film.heart.astype(np.uint8)).save(root / f"heart/ward/{seed:03}.png")
    rows = pd.DataFrame({"image": [f"ward/{seed:03}.png" for seed in range(COUNT)]})
    rows.assign(patient=["a", "a", "b", "c", "d", "e"]).to_csv(root / "patients.csv", index=False)
    rows.assign(sick=[0, 1, 0, 1, 0, 1], old=[1, 1, 0, 0, 1, 0]).to_csv(
        root / "labels.csv", index=False
    )
    return root


class Dark(nn.Module):
    """What is dark and inside is lung; a logit for it and one for the rest."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.cat([0.45 - image, image - 0.45], dim=1)


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cxr_noise_transforms.study.command.stress", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_masks_of_any_value_are_read(folder: Path) -> None:
    masks = {"lungs": folder / "lungs", "heart": folder / "heart"}
    films = MaskedFolder(folder / "films", masks, 64, folder / "patients.csv")
    assert len(films) == COUNT
    for seed, film in enumerate(films[number] for number in range(COUNT)):
        phantom = chest_phantom(seed, 64)
        assert film["id"] == f"ward/{seed:03}"
        assert torch.equal(film["image"][0], torch.from_numpy(phantom.image) / 255)
        assert np.array_equal(film["label"].numpy(), np.stack([phantom.lungs, phantom.heart]))
    assert [films[number]["patient"] for number in range(3)] == ["a", "a", "b"]
    # at another size the same organ
    small = MaskedFolder(folder / "films", masks, 32)[0]["label"]
    whole = films[0]["label"]
    assert torch.allclose(small.mean((1, 2)), whole.mean((1, 2)), atol=0.02)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"6 of 6 films have no mask of lungs in .*first"):
        MaskedFolder(folder / "films", {"lungs": tmp_path}, 32)
    table = tmp_path / "t.csv"
    for content, message in (
        ("image,patient\nward/000.png,a\n", "names no patient for 5 films, as ward/001"),
        ("film,patient\nward/000.png,a\n", "must be a CSV with image and patient"),
    ):
        table.write_text(content)
        with pytest.raises(ValueError, match=message):
            MaskedFolder(folder / "films", {"lungs": folder / "lungs"}, 32, table)
    for content, error, message in (
        (
            "image\nward/000.png\n",
            ValueError,
            "must have the column image and one column per label",
        ),
        ("image,sick\nward/000.png,2\n", ValueError, "column sick of .* must be 0 or 1"),
        ("image,sick\nward/000.png,\n", ValueError, "column sick of .* must be 0 or 1"),
        ("image,sick\nnone.png,1\n", FileNotFoundError, "1 of 1 films of .* the first is none"),
        ("image,patient,sick\nward/000.png,,1\n", ValueError, "must have a patient in every row"),
    ):
        table.write_text(content)
        with pytest.raises(error, match=message):
            LabelledFolder(folder / "films", table, 32)


# newer versions of torch deprecate the format, which is what many have
@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.slow
def test_a_torchscript_file_on_masks(folder: Path, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Dark()), tmp_path / "dark.pt")
    asked = ["dark.pt", "--films", folder / "films", "--masks", f"lungs={folder / 'lungs'}"]
    asked += [f"heart={folder / 'heart'}", "--patients", folder / "patients.csv", "--size", "64"]
    asked += ["--cells", "0,0", "10,0", "0,10", "--noise-seeds", "2", "--out", "out"]
    done = command(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = done.stdout.split("Wrote\n")[1].split()
    assert all((tmp_path / path).stat().st_size > 0 for path in written)
    table = read_table(tmp_path / "out" / "per_image.csv")
    assert len(table) == 3 * 2 * COUNT * 2 * 2
    assert set(table.patient) == set("abcde")
    lungs = table[(table.label == "lungs") & (table.metric == "dice")]
    means = lungs.groupby(["sq", "se"]).value.mean()
    assert means[0, 0] > means[0, 10]
    # another model under the same name is another measurement
    torch.jit.save(torch.jit.freeze(torch.jit.script(Dark()).eval()), tmp_path / "dark.pt")
    again = command(*asked, cwd=tmp_path)
    assert again.returncode != 0
    assert "is of another sweep (model " in again.stderr


@pytest.mark.slow
def test_a_function_on_labels_and_its_refusals(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def two(films):\n    mean = films.mean((1, 2, 3))\n    import torch\n"
        "    return torch.stack([mean, -mean], 1)\n"
        "def three(films):\n    import torch\n"
        "    return torch.nn.functional.conv2d(films, torch.ones(1, 3, 1, 1))\n"
    )
    labels = ["--films", folder / "films", "--labels", folder / "labels.csv", "--size", "32"]
    done = command("mine:two", *labels, "--cells", "0,0", "4,0", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(read_table(tmp_path / "out" / "per_image.csv").label) == {"sick", "old"}
    for arguments, message in (
        (["mine:three", *labels], "error: the model refuses images (6, 1, 32, 32)"),
        (["mine:none", *labels], "error: cannot import mine:none"),
        (["no.pt", *labels], "error: model no.pt does not exist; name a file or module:name"),
        (["mine:two", *labels, "--cells", "4,0"], "--cells must have the clean cell 0,0"),
        (["mine:two", *labels, "--cells", "x"], "--cells must be ladder, imagenet-c, medmnist-c"),
        (["mine:two", *labels, "--task", "segmentation"], "--task segmentation needs --masks"),
    ):
        refused = command(*arguments, cwd=tmp_path)
        assert refused.returncode != 0
        assert message in refused.stderr
        assert "Traceback" not in refused.stderr
