"""The bundles on folders of films: one mask per film and organ, one table of scores."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigWorkflow
from PIL import Image

from cxr_noise_transforms.study.evaluation.inference import SaveMasks, SaveScores, _unpadded
from cxr_noise_transforms.study.evaluation.sweep import own_errors
from cxr_noise_transforms.study.films.folders import LoadFolderFilm, folder_films
from cxr_noise_transforms.study.films.phantom import chest_phantom
from cxr_noise_transforms.study.films.reader import fitted
from cxr_noise_transforms.study.training.networks import (
    classification_network,
    segmentation_network,
)

BUNDLES = Path(__file__).parents[3] / "examples" / "bundles"
# width and height
SHAPES = {"one.png": (64, 64), "below/two.jpg": (80, 48), "below/deeper/three.TIF": (33, 65)}


@pytest.fixture
def films(tmp_path: Path) -> Path:
    grey = Image.fromarray(chest_phantom(0, 64).image)
    for name, size in SHAPES.items():
        (tmp_path / "films" / name).parent.mkdir(parents=True, exist_ok=True)
        grey.resize(size).save(tmp_path / "films" / name)
    (tmp_path / "films" / "readme.txt").write_text("no film")
    return tmp_path / "films"


@pytest.fixture(params=["segmentation", "classification"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def infer(kind: str, films: Path, out: Path, *, spoil: bool = False, **overrides: Any) -> None:
    torch.manual_seed(0)
    if kind == "segmentation":
        options = {"encoder": "tu-test_resnet", "organs": "lungs-heart"}
        network = segmentation_network("Unet", "tu-test_resnet", channels=2)
    else:
        options = {"arch": "test_resnet", "pair": "Effusion / Nodule"}
        network = classification_network("test_resnet")
    weights = network.state_dict()
    if spoil:
        weights = {name: value * float("nan") for name, value in weights.items()}
    out.mkdir(exist_ok=True)
    torch.save(weights, out / "model.pt")
    workflow = ConfigWorkflow(
        config_file=str(BUNDLES / kind / "configs" / "inference.yaml"),
        workflow_type="infer",
        logging_file=False,
        checkpoint=str(out / "model.pt"),
        output_dir=str(out),
        input_dir=str(films),
        device="$torch.device('cpu')",
        batch_size=2,
        **{"size": 32, **options, **overrides},
    )
    with own_errors():
        workflow.initialize()
        workflow.run()


def test_every_mask_has_its_films_own_size(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    infer("segmentation", films, out)
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert written == sorted(
        f"{Path(name).with_suffix('')}_{organ}.png"
        for name in SHAPES
        for organ in ("lungs", "heart")
    )
    for name, size in SHAPES.items():
        with Image.open(out / f"{Path(name).with_suffix('')}_lungs.png") as mask:
            assert (mask.mode, mask.size) == ("L", size)
            assert set(np.unique(mask)) <= {0, 255}
    assert f"wrote masks to {out}" in capsys.readouterr().out


def test_scores_are_the_networks_probabilities(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    infer("classification", films, out)
    table = pd.read_csv(out / "scores.csv")
    assert list(table.columns) == ["film", "Nodule"]
    assert list(table.film) == ["below/deeper/three", "below/two", "one"]
    torch.manual_seed(0)
    network = classification_network("test_resnet").eval()
    load = LoadFolderFilm(32)
    images = torch.stack([load(film)["image"] / 255 for film in folder_films(films)])
    with torch.no_grad():
        scores = network(images.expand(-1, 3, -1, -1)).sigmoid()[:, 0]
    assert table.Nodule.to_numpy() == pytest.approx(scores.numpy(), abs=1e-5)
    assert f"wrote the scores of 3 films to {out / 'scores.csv'}" in capsys.readouterr().out


@pytest.mark.parametrize(("width", "height"), [(64, 64), (96, 48), (40, 64)])
def test_a_mask_lies_where_its_film_shows_it(width: int, height: int, tmp_path: Path) -> None:
    """The film's bright quarter is the prediction: its mask is the quarter again."""
    film = np.zeros((height, width), dtype=np.uint8)
    film[height // 4 : height // 2, width // 2 : width * 3 // 4] = 255
    Image.fromarray(film).save(tmp_path / "film.png")
    [found] = folder_films(tmp_path)
    loaded = LoadFolderFilm(192)(found)
    saver = SaveMasks(tmp_path / "masks", ["bright"])
    engine = Engine(lambda *_: None)
    engine.state.batch = {"id": [loaded["id"]], "file": [loaded["file"]]}
    engine.state.output = {"pred": loaded["image"][None].float() - 127.5}
    saver(engine)
    with Image.open(tmp_path / "masks" / "film_bright.png") as mask:
        wrong = np.asarray(mask) != film
    # at most a pixel along the quarter's outline
    assert wrong.sum() <= 2 * (height // 4 + width // 4) + 4


def test_scores_of_several_classes_have_one_column_each(tmp_path: Path) -> None:
    saver = SaveScores(tmp_path, ["a", "b"])
    state = SimpleNamespace(
        output={"pred": torch.tensor([[0.0, 100.0], [-100.0, 0.0]])}, batch={"id": ["x", "y"]}
    )
    saver(SimpleNamespace(state=state))
    saver._write()
    assert pd.read_csv(tmp_path / "scores.csv").to_numpy().tolist() == [
        ["x", 0.5, 1.0],
        ["y", 0.0, 0.5],
    ]


def test_an_empty_or_missing_folder_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"folder .*empty holds no film \(.png, "):
        infer(kind, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"folder of films .*nowhere does not exist"):
        infer(kind, tmp_path / "nowhere", tmp_path / "out")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("names", [["z.png"], ["a.png", "m.png"]])
def test_films_that_cannot_be_read_are_named_and_the_others_have_their_results(
    kind: str, films: Path, tmp_path: Path, names: list[str], workers: int
) -> None:
    infer(kind, films, tmp_path / "whole")
    for name in names:
        (films / name).write_bytes((films / "one.png").read_bytes()[:-40])
    count = f"no result for {len(names)} of {len(names) + 3} films: "
    every = "; ".join(rf"cannot read film .*{name}: [^;]+" for name in names)
    with pytest.raises(ValueError, match=f"^{count}{every}$"):
        infer(kind, films, tmp_path / "out", num_workers=workers)
    written = [path for path in (tmp_path / "whole").rglob("*") if path.suffix in (".png", ".csv")]
    assert written
    for path in written:
        again = tmp_path / "out" / path.relative_to(tmp_path / "whole")
        if path.suffix == ".png":
            assert again.read_bytes() == path.read_bytes()
        else:
            # another batch may round otherwise
            one, other = pd.read_csv(path), pd.read_csv(again)
            assert list(one.film) == list(other.film)
            assert one.Nodule.to_numpy() == pytest.approx(other.Nodule.to_numpy(), abs=1e-5)


def test_a_folder_of_unreadable_films_has_no_scores(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match="no result for 1 of 1 films"):
        infer("classification", tmp_path / "films", tmp_path / "out")
    assert not (tmp_path / "out" / "scores.csv").exists()


def test_scores_before_a_failure_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def predict(_: Engine, film: float) -> dict[str, torch.Tensor]:
        prediction = torch.tensor([[film]])
        if film > 1:
            raise RuntimeError("out of memory")
        return {"pred": prediction}

    def note(engine: Engine) -> None:
        engine.state.batch = {"id": [str(engine.state.batch)]}

    engine = Engine(predict)
    engine.add_event_handler(Events.ITERATION_COMPLETED, note)
    SaveScores(tmp_path, ["a"]).attach(engine)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.run([0.0, 1.0, 2.0, 3.0])
    assert list(pd.read_csv(tmp_path / "scores.csv", dtype={"film": str}).film) == ["0.0", "1.0"]
    assert "wrote the scores of 2 films" in capsys.readouterr().out


def test_12_bit_films_are_read_on_the_scale_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    grey = chest_phantom(0, 32).image
    Image.fromarray(grey.astype(np.uint16) * 16).save(tmp_path / "films" / "a.png")
    with pytest.raises(ValueError, match="its full scale must be given as levels, 4095 or 65535"):
        infer("classification", tmp_path / "films", tmp_path / "out")
    infer("classification", tmp_path / "films", tmp_path / "out", levels=4080)
    deep = pd.read_csv(tmp_path / "out" / "scores.csv").Nodule
    Image.fromarray(grey).save(tmp_path / "films" / "a.png")
    infer("classification", tmp_path / "films", tmp_path / "out")
    assert deep.equals(pd.read_csv(tmp_path / "out" / "scores.csv").Nodule)


def test_a_prediction_of_nan_is_refused(kind: str, films: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"predicts NaN for film below/deeper/three \(2 of 2"):
        infer(kind, films, tmp_path / "out", spoil=True)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".png", ".csv")]


def test_films_of_one_name_are_not_mixed_up(tmp_path: Path) -> None:
    """Two files that differ in their ending alone would write one mask."""
    for name in ("film.png", "film.jpg"):
        Image.new("L", (32, 32)).save(tmp_path / name)
    with pytest.raises(ValueError, match=r"film.jpg and film.png"):
        folder_films(tmp_path)


@pytest.mark.parametrize("difference", range(8))
@pytest.mark.parametrize("wide", [False, True])
def test_a_mask_is_cut_where_its_film_was_padded(difference: int, wide: bool) -> None:
    shape = (40 - difference, 40) if wide else (40, 40 - difference)
    mask = np.random.default_rng(0).integers(0, 2, shape, dtype=np.uint8)
    square = fitted(Image.fromarray(255 * mask), 40)
    assert np.array_equal(_unpadded(square > 0, *shape[::-1]), 255 * mask)
