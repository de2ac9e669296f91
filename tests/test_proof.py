"""The kernel's proof on a device: it accepts the kernel, and refuses others that draw nearly alike.

Without a GPU the kernel runs in Triton's interpreter, in a process of its own.
"""
# no `from __future__ import annotations`: Triton's interpreter reads the annotations as they are
# ruff: noqa: ANN001, ANN201

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from interpreter import INTERPRETED, run_in_the_interpreter
from torch import Tensor

from cxr_noise_transforms import _cpu, _drawers, _proof, quantum_noise
from cxr_noise_transforms._signal import Digitiser

triton = pytest.importorskip("triton", minversion="3.2")
import triton.language as tl  # noqa: E402

from cxr_noise_transforms import _triton  # noqa: E402

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA and not INTERPRETED else "cpu")
# the kernel computes both sides of every choice, and numpy, which interprets it, tells
pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")
needs_kernel = pytest.mark.skipif(
    not (CUDA or INTERPRETED), reason="no GPU: test_in_the_interpreter runs it"
)
if INTERPRETED:
    # the interpreter takes its time for every program, whatever its size
    _triton._LANES = 2048

_words, _by_quantile = _triton._words, _triton._by_quantile


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No verdict is known, and those that come are kept in a folder of the test."""
    monkeypatch.setattr(_proof, "_verdicts", {})
    monkeypatch.setattr(_proof, "_failures", Counter())
    monkeypatch.setattr(_proof, "_file", lambda device: tmp_path / f"{device.type}.json")


@pytest.mark.slow
@pytest.mark.skipif(CUDA or INTERPRETED, reason="the tests of the kernel run here")
def test_in_the_interpreter() -> None:
    run_in_the_interpreter(__file__)


@needs_kernel
def test_the_kernel_is_accepted() -> None:
    assert _proof.flaw(_triton.expose, DEVICE) == ""


@triton.jit
def swapped_words(key, stream, block, wanted):
    words = _words(key, stream, block, wanted)
    return (words << 16) | ((words >> 16) & 0xFFFF)


@triton.jit
def one_more_in_the_tail(rate, words):
    count, unsure = _by_quantile(rate, words)
    near = (words <= 2147347267) & (words >= -2147347267)
    return tl.where(near, count, count + 1), unsure & near


@needs_kernel
@pytest.mark.skipif(not INTERPRETED, reason="a compiled kernel keeps its own parts")
@pytest.mark.parametrize(
    ("part", "twin", "where"),
    [
        ("_M0", tl.constexpr(0xD2E7470EE14C6C95), "quantum"),
        ("_W1", tl.constexpr(0xBB67AE8584CAA73D), "quantum"),
        ("_words", swapped_words, "quantum"),
        ("_by_quantile", one_more_in_the_tail, "quantum"),
        ("_READ_OUT", tl.constexpr(0), "electronic"),
    ],
    ids=["Philox's multiplier", "Philox's key", "half words", "the tail", "no stream of its own"],
)
def test_a_broken_twin_is_refused(
    monkeypatch: pytest.MonkeyPatch, part: str, twin: object, where: str
) -> None:
    monkeypatch.setattr(_triton, part, twin)
    assert _proof.flaw(_triton.expose, DEVICE).endswith(f"pixels are not the CPU's ({where})")


@needs_kernel
def test_a_verdict_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert _proof.proven(DEVICE)
    assert json.loads((tmp_path / f"{DEVICE.type}.json").read_text()) == {"flaw": ""}
    # in this process, and for the next one
    monkeypatch.setattr(_proof, "flaw", lambda *_: pytest.fail("it is tried again"))
    assert _proof.proven(DEVICE)
    _proof._verdicts.clear()
    assert _proof.proven(DEVICE)


@needs_kernel
def test_callers_modes_do_not_reach_the_proof() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"), torch.autocast(DEVICE.type, dtype=torch.bfloat16):
            assert _proof.proven(DEVICE)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("content", ["", "[]", "1", "{}", '{"flaw": null}'])
def test_a_damaged_verdict_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    monkeypatch.setattr(_proof, "flaw", lambda *_: "")
    (tmp_path / "cpu.json").write_text(content)
    assert _proof.proven(torch.device("cpu"))
    assert json.loads((tmp_path / "cpu.json").read_text()) == {"flaw": ""}


def not_the_cpus(images: Tensor, *_: object) -> Tensor:
    return images + 1e-3


def test_without_proof_noise_is_drawn_as_before_and_one_warning_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(_triton, "expose", not_the_cpus)
    device = torch.device("cpu")
    expected = r"not used on cpu: \d+ of 262144 pixels are not the CPU's \(quantum\); noise with a"
    with pytest.warns(RuntimeWarning, match=expected):
        assert not _proof.proven(device)
    assert not _proof.proven(device)
    assert not recwarn
    assert "pixels" in json.loads((tmp_path / "cpu.json").read_text())["flaw"]
    # a GPU with that verdict is served as it was before there was a kernel
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    cuda = torch.device("cuda", 0)
    _proof._verdicts[cuda] = _proof._verdicts[device]
    assert _drawers._best_backend(cuda, torch.float32, seeded=True) == "numba"
    assert _drawers._best_backend(cuda, torch.float32, seeded=False) == "torch"
    _proof._verdicts[cuda] = ""
    assert _drawers._best_backend(cuda, torch.float32, seeded=False) == "triton"
    assert _drawers._best_backend(cuda, torch.float64, seeded=True) == "numba"


def out_of_memory(*_: object) -> Tensor:
    raise torch.OutOfMemoryError("out of memory\nwith details")


FAILS = "it fails with OutOfMemoryError: out of memory; noise"


def test_a_kernel_that_fails_is_not_used_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_triton, "expose", out_of_memory)
    with pytest.warns(RuntimeWarning, match=FAILS):
        assert not _proof.proven(torch.device("cpu"))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(_triton, "expose", _cpu.expose)
    assert _proof.proven(torch.device("cpu"))


def test_a_kernel_that_fails_again_and_again_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(_triton, "expose", out_of_memory)
    for _ in range(_proof._TRIES):
        with pytest.warns(RuntimeWarning, match=FAILS):
            assert not _proof.proven(torch.device("cpu"))
    monkeypatch.setattr(_triton, "expose", lambda *_: pytest.fail("it is tried again"))
    assert not _proof.proven(torch.device("cpu"))
    assert not recwarn


def test_a_folder_that_cannot_be_written_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(_proof, "_file", lambda _: tmp_path / "file" / "kernel.json")
    monkeypatch.setattr(_proof, "flaw", lambda *_: "")
    assert _proof.proven(torch.device("cpu"))


@pytest.mark.parametrize("verdict", [None, "", "3 of 9 pixels are not the CPU's (bits)"])
def test_while_tracing_an_earlier_verdict_counts_and_nothing_is_tried(
    monkeypatch: pytest.MonkeyPatch, verdict: str | None
) -> None:
    monkeypatch.setattr(_proof, "flaw", lambda *_: pytest.fail("it is tried"))
    if verdict is not None:
        _proof._verdicts[torch.device("cpu")] = verdict

    @torch.compile(fullgraph=True, backend="eager")
    def trusted(film: Tensor) -> Tensor:
        return film + 1 if _proof.proven(film.device) else film - 1

    torch.compiler.reset()
    if verdict is None:
        with pytest.warns(RuntimeWarning, match="call the noise once before"):
            assert trusted(torch.zeros(())) == -1
    else:
        assert trusted(torch.zeros(())) == (-1 if verdict else 1)


@pytest.mark.skipif(not CUDA or INTERPRETED, reason="needs a GPU")
def test_the_kernel_is_the_default_on_a_gpu() -> None:
    films = torch.rand(2, 1, 64, 64)
    for film in (films, (255 * films).to(torch.uint8)):
        noisy = quantum_noise(film.cuda(), 4, seed=1).cpu()
        assert torch.equal(noisy, quantum_noise(film, 4, seed=1))
    assert _proof.proven(torch.device("cuda", 0))


def test_every_path_of_the_law_is_probed() -> None:
    rates = torch.cat(
        [
            (probe.images / probe.gain.reshape(-1, 1, 1)).flatten()
            for probe in _proof.probes()
            if probe.gain is not None and probe.images.is_floating_point()
        ]
    )
    exponents = rates[rates > 0].log10()
    assert exponents.histc(9, -3, 6).min() > 1000
    assert {probe.images.dtype for probe in _proof.probes()} == {
        torch.float32, torch.float16, torch.uint8, torch.uint16,
    }  # fmt: skip
    assert Digitiser(bits=8) in {probe.digitiser for probe in _proof.probes()}
