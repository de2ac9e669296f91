"""The operator of the CPU: image to image, in torch's machinery, in processes, without a cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cxr_noise_transforms import _cpu, quantum_noise, radiographic_noise
from cxr_noise_transforms._signal import FULL_SCALE, Digitiser, to_image, to_signal

PACKAGE = Path(_cpu.__file__).parent
DTYPES = (*FULL_SCALE, torch.float16, torch.bfloat16, torch.float32, torch.float64)
DIGITISERS = (
    Digitiser(),
    Digitiser(clip=True),
    Digitiser(bits=8),
    Digitiser(bits=5),
    Digitiser((-1024.0, 1024.0)),
    Digitiser((-0.3, 1.7), bits=12),
)


def films(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    signal = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    return (signal * FULL_SCALE.get(dtype, 1.0)).to(dtype)


def example() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Films, gains, sigmas and seeds; the last film has no noise."""
    strengths = torch.tensor([0.01, 0.1, 0.0])
    return films(3, 1, 16, 16), strengths, strengths / 2, torch.tensor([1, -2, 2**40])


# image to image


@pytest.mark.parametrize("digitiser", DIGITISERS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_one_step_is_signal_photons_read_out_and_image(
    dtype: torch.dtype, digitiser: Digitiser
) -> None:
    _, gain, sigma, seeds = example()
    image = films(3, 1, 40, 44, dtype=dtype)
    low, high = digitiser.value_range
    if dtype not in FULL_SCALE:
        image = (low + image.double() * (high - low)).to(dtype)
    noisy = to_signal(image, digitiser)
    noisy = _cpu.expose(noisy, gain, None, seeds, Digitiser())
    noisy = _cpu.expose(noisy, None, sigma, seeds, Digitiser())
    exposed = (gain != 0)[:, None, None, None]
    expected = to_image(noisy, image, exposed, digitiser)
    assert torch.equal(_cpu.expose(image, gain, sigma, seeds, digitiser), expected)


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 7), (2, 1, 33, 31), (2, 2049), (3, 4, 1), (2, 1, 800, 700)]
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_pixel_is_written_and_nothing_else(
    shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, strengths = films(*shape, dtype=dtype), torch.linspace(0.01, 0.05, shape[0])
    given = (image, strengths, strengths, torch.arange(shape[0]), Digitiser())
    expected = _cpu.expose(*given)
    poison = 77.0 if dtype in FULL_SCALE else torch.nan
    held: list[Tensor] = []

    def poisoned(like: Tensor) -> Tensor:
        held.append(torch.full((like.numel() + 64,), poison, dtype=like.dtype))
        return held[-1][32:-32].view(like.shape)

    monkeypatch.setattr(torch, "empty_like", poisoned)
    assert torch.equal(_cpu.expose(*given), expected)
    for buffer in held:
        outside = torch.cat([buffer[:32], buffer[-32:]])
        assert torch.equal(outside.nan_to_num(77.0), torch.full_like(outside, 77.0))


def view(layout: str) -> Tensor:
    if layout == "channels_last":
        return films(2, 3, 20, 24).contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        return films(4, 3, 20, 50)[::2, :, :, 1::2]
    if layout == "expanded":
        return films(1, 1, 20, 24).expand(2, 3, 20, 24)
    if layout == "unaligned":
        buffer = bytearray(1 + 4 * 960)
        return torch.frombuffer(buffer, dtype=torch.float32, offset=1).view(2, 480).fill_(0.3)
    return films(24, 20, 3, 2).permute(3, 2, 1, 0)


@pytest.mark.parametrize(
    "layout", ["channels_last", "strided", "expanded", "unaligned", "transposed"]
)
def test_every_layout(layout: str) -> None:
    image = view(layout)
    rest = (torch.tensor([0.01, 0.02]), torch.tensor([0.1, 0.0]), torch.tensor([8, 9]))
    noisy = _cpu.expose(image, *rest, Digitiser())
    assert noisy.stride() == torch.empty_like(image).stride()
    plain = torch.empty(image.shape).copy_(image)
    assert torch.equal(noisy, _cpu.expose(plain, *rest, Digitiser()))


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 1, 0, 8)])
def test_no_pixels(shape: tuple[int, ...]) -> None:
    ones = torch.ones(shape[0])
    noisy = _cpu.expose(torch.zeros(shape), ones, ones, torch.arange(shape[0]), Digitiser())
    assert noisy.shape == shape


def test_a_large_result_lies_in_huge_pages() -> None:
    maps = Path("/proc/self/smaps")
    if not maps.exists() or "VmFlags" not in maps.read_text():
        pytest.skip("the system does not tell of its pages")
    noisy = quantum_noise(torch.rand(1, 1, 1600, 1600), 4)
    middle, inside, flags = noisy.data_ptr() + noisy.nbytes // 2, False, ""
    for line in maps.read_text().splitlines():
        if found := re.match("([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= middle < int(found[2], 16)
        elif inside and line.startswith("VmFlags"):
            flags = line
    assert "hg" in flags.split()


def test_threads_of_the_caller_do_not_mix() -> None:
    image = films(1, 1, 300, 301)
    expected = [radiographic_noise(image, 4.0, 1.0, seed=seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        noisy = list(pool.map(lambda s: radiographic_noise(image, 4.0, 1.0, seed=s), range(8)))
    assert all(torch.equal(one, other) for one, other in zip(noisy, expected, strict=True))


# in PyTorch's machinery


def test_the_operator_keeps_torchs_rules() -> None:
    operator = torch.ops.cxr_noise_transforms.expose_on_cpu.default
    image, gain, sigma, seeds = example()
    torch.library.opcheck(operator, (image, gain, sigma, seeds, 0.0, 1.0, False, 8))
    last = image.expand(3, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    torch.library.opcheck(operator, (last, None, sigma, seeds, -1.0, 1.0, True, None))


class Film(nn.Module):
    """An exposure among other operations."""

    def forward(self, image: Tensor, gain: Tensor, sigma: Tensor, seeds: Tensor) -> Tensor:
        return _cpu.expose(image, gain, sigma, seeds, Digitiser(bits=8))


def test_compiled_and_exported_it_is_one_node() -> None:
    graphs = []

    def keep(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    given = example()
    noisy = Film()(*given)
    torch.compiler.reset()
    assert torch.equal(torch.compile(Film(), fullgraph=True, backend=keep)(*given), noisy)
    exported = torch.export.export(Film(), given)
    assert torch.equal(exported.module()(*given), noisy)
    for graph in (graphs[0].graph, exported.graph):
        calls = [node.target for node in graph.nodes if node.op == "call_function"]
        assert calls == [torch.ops.cxr_noise_transforms.expose_on_cpu.default]


# in a loader's workers


class Films(Dataset[Tensor]):
    """Films with noise of their own."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, film: int) -> Tensor:
        return radiographic_noise(films(1, 256, 256), 4.0, 1.0, seed=film)


@pytest.fixture
def _two_threads() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("_two_threads")
# python 3.12 warns of any fork from a process with threads, and torch has threads
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_draw_what_the_parent_draws(start: str) -> None:
    # the parent's threads are there before it forks
    expected = [Films()[film] for film in range(4)]
    loader = DataLoader(Films(), batch_size=None, num_workers=2, multiprocessing_context=start)
    assert all(torch.equal(one, other) for one, other in zip(loader, expected, strict=True))


# in fresh processes

DRAW = """
import sys, torch
from cxr_noise_transforms import quantum_noise, _cpu
assert "numba" not in sys.modules
quantum_noise(torch.full((1, 8, 8), 0.5), 4.0, seed=0, backend="torch")
assert "numba" not in sys.modules
print(float(quantum_noise(torch.full((1, 64, 64), 0.5), 4.0, seed=0).sum()))
"""
HITS = DRAW + "print(sum(_cpu._kernel('float32')[0].stats.cache_hits.values()))"


def begin(program: str, folder: Path = PACKAGE.parent, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> list[float]:
    printed, complaint = process.communicate()
    assert process.returncode == 0, complaint
    assert not complaint
    return [float(line) for line in printed.split()]


@pytest.fixture(scope="module")
def drawn() -> float:
    return float(quantum_noise(torch.full((1, 64, 64), 0.5), 4.0, seed=0).sum())


@pytest.mark.slow
def test_processes_share_what_they_compile(tmp_path: Path, drawn: float) -> None:
    folder = str(tmp_path)
    both = [begin(HITS, NUMBA_CACHE_DIR=folder) for _ in range(2)]
    assert [result(process)[0] for process in both] == [drawn, drawn]
    # and what they left is whole
    assert result(begin(HITS, NUMBA_CACHE_DIR=folder)) == [drawn, 1]
    for file in tmp_path.rglob("*.nb?"):
        file.write_bytes(file.read_bytes()[:100])
    assert result(begin(HITS, NUMBA_CACHE_DIR=folder)) == [drawn, 0]


def test_no_folder_for_the_cache_does_not_matter(tmp_path: Path, drawn: float) -> None:
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "study"))
    # a file where a folder is wanted: even root cannot write there
    (copy / "__pycache__").touch()
    nowhere = str(copy / "__pycache__")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "LOCALAPPDATA"), nowhere)
    assert result(begin(HITS, tmp_path, PYTHONPATH=str(tmp_path), **places)) == [drawn, 0]


WITHOUT = """
import sys, torch
from cxr_noise_transforms import quantum_noise
{}
quantum_noise(torch.rand(1, 8, 8), 4.0, backend="torch")
try:
    quantum_noise(torch.rand(1, 8, 8), 4.0)
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "without",
    ["sys.modules['numba'] = None", "import os; os.environ['NUMBA_DISABLE_JIT'] = '1'"],
    ids=["absent", "switched off"],
)
def test_without_numba_the_message_says_what_to_do(without: str) -> None:
    printed, complaint = begin(WITHOUT.format(without)).communicate()
    assert printed.startswith("noise on the CPU needs the package numba, which cannot be used")
    assert 'backend="torch" draws without it' in printed
    assert not complaint
