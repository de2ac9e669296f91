"""A model by its name on a command line."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.loading import load_model

CPU = torch.device("cpu")


class Edges(nn.Module):
    """A convolution, and noise of its own in training."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.filter = nn.Conv2d(1, 2, 3, padding=1)
        self.drop = nn.Dropout()

    def forward(self, image: Tensor) -> Tensor:
        return self.drop(self.filter(image))


IMAGE = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def expected() -> Tensor:
    return Edges().eval()(IMAGE)


def export(path: Path) -> None:
    """With a batch of any size."""
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(Edges().eval(), (IMAGE[:2],), dynamic_shapes=shapes)
    torch.export.save(program, path)


def test_an_exported_program_is_read(tmp_path: Path) -> None:
    path = tmp_path / "edges.pt2"
    export(path)
    model, content = load_model(str(path), CPU)
    assert torch.equal(model(IMAGE), expected())
    assert content == {"model": hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_is_read_still(tmp_path: Path) -> None:
    path = tmp_path / "edges.pt"
    torch.jit.save(torch.jit.script(Edges().eval()), path)
    model, content = load_model(str(path), CPU)
    assert torch.equal(model(IMAGE), expected())
    assert content == {"model": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_callable_is_known_by_its_source_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "a_model_of_mine.py"
    source.write_text("def mean(image):\n    return image.mean((1, 2, 3))\nsize = 3\n")
    model, content = load_model("a_model_of_mine:mean", CPU)
    assert torch.equal(model(IMAGE), IMAGE.mean((1, 2, 3)))
    assert content == {"source": hashlib.sha256(source.read_bytes()).hexdigest()}
    with pytest.raises(TypeError, match=r"^a_model_of_mine:size must be callable, got int$"):
        load_model("a_model_of_mine:size", CPU)
    with pytest.raises(ValueError, match=r"^cannot import a_model_of_mine:none: module 'a_mod"):
        load_model("a_model_of_mine:none", CPU)


def test_a_module_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_broken_model.py").write_text("raise RuntimeError('no weights\\nhere')")
    with pytest.raises(ValueError, match=r"^cannot import a_broken_model:net: no weights$"):
        load_model("a_broken_model:net", CPU)
    with pytest.raises(ValueError, match=r"^cannot import not_there:net: No module named 'not_th"):
        load_model("not_there:net", CPU)


def test_a_path_with_a_colon_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a:b.pt2"
    export(path)
    assert torch.equal(load_model(str(path), CPU)[0](IMAGE), expected())


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("content", ["cut off", "weights", "text", "nothing", "the other"])
@pytest.mark.parametrize(
    ("ending", "must"),
    [
        (".pt2", "must be a program that torch.export.save wrote"),
        (".pt", "must be a program of torch.export, named .pt2, or TorchScript"),
    ],
)
def test_a_file_of_something_else_is_one_sentence(
    content: str, ending: str, must: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"model{ending}"
    if content == "weights":
        torch.save(Edges().state_dict(), path)
    elif content in ("text", "nothing"):
        path.write_text("hello" if content == "text" else "")
    else:
        right = (content == "cut off") == (ending == ".pt2")
        other = tmp_path / "other.pt2"
        if right:
            export(other)
        else:
            torch.jit.save(torch.jit.script(Edges().eval()), other)
        whole = other.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if content == "cut off" else whole)
    with pytest.raises(ValueError, match=f"^{path} {must}: [^\n]+$"):
        load_model(str(path), CPU)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(
        FileNotFoundError, match=r"^model no.pt2 does not exist; name a file or mod"
    ):
        load_model("no.pt2", CPU)
