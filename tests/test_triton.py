"""The fused kernel against the sampler it repeats: on a GPU, or else in Triton's interpreter.

The interpreter must be chosen before triton is imported, so without a GPU the tests of the kernel
are run by one test in a process of their own.
"""
# no `from __future__ import annotations`: Triton's interpreter reads the annotations as they are
# ruff: noqa: ANN001, ANN201, ANN202, N803

from collections.abc import Callable, Iterator

import laws
import numpy as np
import pytest
import torch
from interpreter import INTERPRETED, run_in_the_interpreter
from scipy import special
from torch import Tensor, nn

from cxr_noise_transforms import _cpu
from cxr_noise_transforms._signal import FULL_SCALE, Digitiser

triton = pytest.importorskip("triton", minversion="3.2")
import triton.language as tl  # noqa: E402

from cxr_noise_transforms import _triton  # noqa: E402

TRITON = tuple(int(number) for number in triton.__version__.split(".")[:2])
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA and not INTERPRETED else "cpu"
DTYPES = (*FULL_SCALE, torch.float16, torch.bfloat16, torch.float32)
# the interpreter takes its time for every program, whatever its size
LANES = 32 if DEVICE == "cuda" else 512

Expose = Callable[..., Tensor]


@pytest.fixture
def expose(monkeypatch: pytest.MonkeyPatch) -> Iterator[Expose]:
    """``expose(image, gain, sigma, seeds, digitiser)`` on the device, the result on the CPU."""
    if DEVICE == "cpu" and not INTERPRETED:
        pytest.skip("no GPU: test_in_the_interpreter runs it")
    monkeypatch.setattr(_triton, "_LANES", LANES)

    def launch(image, gain, sigma, seeds, digitiser=Digitiser()):  # noqa: B008
        moved = [None if given is None else given.to(DEVICE) for given in (gain, sigma, seeds)]
        return _triton.expose(image.to(DEVICE), *moved, digitiser).cpu()

    # the kernel computes both sides of every choice
    with np.errstate(all="ignore"):
        yield launch


def reference(
    image: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    digitiser: Digitiser = Digitiser(),  # noqa: B008
) -> Tensor:
    """The CPU's kernel."""
    return _cpu.expose(image, gain, sigma, seeds, digitiser)


def draw_words(seed: int, stream: int, block: int, size: int) -> np.ndarray:
    """Words of the specification, from numpy's Philox, which counts before it draws."""
    key = np.array([seed % 2**64, stream], dtype=np.uint64)
    halves = np.random.Philox(key=key, counter=block).random_raw(size // 2)
    return halves.astype("<u8").view("<i4").astype(np.int32)


def films(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    signal = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    return (signal * FULL_SCALE.get(dtype, 1.0)).to(dtype)


def close(noisy: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(noisy, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.slow
@pytest.mark.skipif(CUDA or INTERPRETED, reason="the tests of the kernel run here")
def test_in_the_interpreter() -> None:
    run_in_the_interpreter(__file__)


# parts of the kernel


@triton.jit
def write_words(result, seeds, first, STREAM: tl.constexpr, LANES: tl.constexpr):
    lane = tl.arange(0, LANES)
    at = 8 * lane[:, None, None] + _triton._slots()
    words = _triton._words(tl.load(seeds), STREAM, first + lane, at >= 0)
    tl.store(result + at, words)


@triton.jit
def write_quantiles(result, words, LANES: tl.constexpr):
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES)
    at = 8 * lane[:, None, None] + _triton._slots()
    tl.store(result + at, _triton._quantiles(tl.load(words + at)))


@triton.jit
def write_distribution(result, n, rate, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(result + at, _triton._distribution(tl.load(n + at), tl.load(rate + at)))


@pytest.mark.parametrize("seed", [0, 1, -1, -7, 2**63 - 1, -(2**63), 0x123456789ABCDEF])
def test_words_are_philoxs(expose: Expose, seed: int) -> None:
    del expose
    for stream in (0, 1):
        for first in (0, 5, 2**33):
            words = torch.empty(8 * 64, dtype=torch.int32, device=DEVICE)
            seeds = torch.tensor([seed], device=DEVICE)
            write_words[(1,)](words, seeds, first, STREAM=stream, LANES=64)
            expected = draw_words(seed, stream, first, 8 * 64)
            assert np.array_equal(words.cpu().numpy(), expected)


def test_quantiles_are_right_to_the_last_words(expose: Expose) -> None:
    del expose
    rng = np.random.default_rng(0)
    words = rng.integers(-(2**31), 2**31, 2**15, dtype=np.int32)
    # both tails, the centre, and where the two formulas meet
    edges = np.array([0, 2**31 - 2048, -(2**31), 2145405911])
    words[:8192] = (edges[:, None] + np.arange(2048)).ravel()
    result = torch.empty(2**15, device=DEVICE)
    write_quantiles[(64,)](result, torch.from_numpy(words).to(DEVICE), LANES=64)
    exact = torch.from_numpy(laws.quantiles(words))
    torch.testing.assert_close(result.cpu().double(), exact, rtol=2e-6, atol=1e-12)


def test_the_distribution_function_is_scipys(expose: Expose) -> None:
    del expose
    rng = np.random.default_rng(0)
    rate = np.exp(rng.uniform(np.log(64), np.log(1e5), 2**14)).astype(np.float32).astype(np.float64)
    w = rng.uniform(-6.3, 6.3, rate.size)
    n = np.floor(rate + np.sqrt(rate) * w + w * w / 6)
    result = torch.empty(rate.size, dtype=torch.float64, device=DEVICE)
    given = [torch.from_numpy(x).to(DEVICE) for x in (n, rate)]
    write_distribution[(64,)](result, *given, N=256)
    assert np.abs(result.cpu().numpy() - special.gammaincc(n + 1, rate)).max() < 1e-10


# the noise


@pytest.mark.parametrize("decade", range(-6, 7))
def test_counts_are_the_cpus(expose: Expose, decade: int) -> None:
    rng = np.random.default_rng(decade + 6)
    rates = (10 ** rng.uniform(decade, decade + 1, (1, 2**15))).astype(np.float32)
    given = (torch.from_numpy(rates), torch.ones(1), None, torch.tensor([decade - 3]))
    assert torch.equal(expose(*given), reference(*given))


@pytest.mark.parametrize(("low", "high"), [(11, 13), (60, 70), (1.5e7, 1.8e7)])
def test_counts_are_the_cpus_where_the_method_changes(
    expose: Expose, low: float, high: float
) -> None:
    rates = torch.linspace(low, high, 2**16)[None]
    rates[0, 7::16] = low
    given = (rates, torch.ones(1), None, torch.tensor([5]))
    noisy, expected = expose(*given), reference(*given)
    countable = rates < 2**24
    assert torch.equal(noisy[countable], expected[countable])
    close(noisy, expected)


def at_a_step(n: np.ndarray, words: np.ndarray) -> tuple[Tensor, Tensor]:
    """Rates where a pixel's count steps from n to n + 1, as near as float32 comes, and counts."""
    uniforms = 0.5 + (words.astype(np.float64) + 0.5) / 2**32
    rates = special.gammainccinv(n + 1, uniforms).astype(np.float32)
    counts = n + (special.gammaincc(n + 1, rates.astype(np.float64)) < uniforms)
    return torch.from_numpy(rates), torch.from_numpy(counts.astype(np.float32))


@pytest.mark.parametrize(("low", "high"), [(0, 16), (8, 60), (60, 1000), (1000, 8000)])
def test_counts_are_right_where_every_pixel_is_in_doubt(
    expose: Expose, low: int, high: int
) -> None:
    n = np.random.default_rng(low).integers(low, high, 2**13)
    rates, counts = at_a_step(n, draw_words(9, 0, 0, n.size))
    noisy = expose(rates[None], torch.ones(1), None, torch.tensor([9]))
    assert torch.equal(noisy[0], counts)


def test_counts_are_right_in_the_far_tails(expose: Expose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_triton, "_LANES", 4 * LANES)
    words = draw_words(9, 0, 0, 2**19)
    tail = np.flatnonzero(np.abs(laws.quantiles(words)) > 4)
    rates, counts = torch.zeros(2, words.size)
    rates[tail], counts[tail] = at_a_step(np.arange(tail.size) + 8, words[tail])
    noisy = expose(rates[None], torch.ones(1), None, torch.tensor([9]))
    assert torch.equal(noisy[0], counts)


@pytest.mark.parametrize("sq", [0.5, 4.0, 7.0, 10.0, 40.0])
def test_counts_follow_poissons_law(expose: Expose, sq: float) -> None:
    def noise(image: Tensor) -> Tensor:
        return expose(image, torch.tensor([sq**2 / 1000]), None, torch.tensor([3]))

    laws.check_counts(noise, torch.full((1, 256, 256), 0.9), sq, tests=5)


def test_read_out_follows_the_normal_law(expose: Expose) -> None:
    def noise(image: Tensor) -> Tensor:
        return expose(image, None, torch.tensor([0.2]), torch.tensor([3]))

    laws.check_normality(noise, torch.full((1, 256, 256), 0.5), se=2.0)


def test_read_out_is_the_cpus(expose: Expose) -> None:
    given = (films(2, 1, 99, 101), None, torch.tensor([0.3, 2.0]), torch.tensor([-1, 2**40]))
    close(expose(*given), reference(*given))


@pytest.mark.parametrize(
    "digitiser",
    [
        Digitiser(),
        Digitiser(clip=True),
        Digitiser(bits=8),
        Digitiser(bits=5),
        Digitiser((-1024.0, 1024.0)),
        Digitiser((-0.3, 1.7), bits=12),
        Digitiser((-65500.0, 65500.0)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_digitiser(
    expose: Expose, dtype: torch.dtype, digitiser: Digitiser
) -> None:
    image = films(2, 1, 40, 44, dtype=dtype)
    low, high = digitiser.value_range
    if dtype not in FULL_SCALE:
        image = (low + image.float() * (high - low)).to(dtype)
    gain, sigma, seeds = torch.tensor([1e-4, 0.1]), torch.tensor([0.02, 0.5]), torch.tensor([1, 2])
    quantum = expose(image, gain, None, seeds, digitiser)
    expected = reference(image, gain, None, seeds, digitiser)
    assert quantum.dtype == dtype
    if INTERPRETED and dtype == torch.bfloat16:
        # where a GPU rounds to bfloat16, the interpreter cuts off
        torch.testing.assert_close(quantum, expected, rtol=2**-7, atol=0)
        return
    assert torch.equal(quantum, expected)
    both = expose(image, gain, sigma, seeds, digitiser).double()
    expected = reference(image, gain, sigma, seeds, digitiser).double()
    # the last bit of a float32 may carry a few pixels over to the next level, and no further
    assert (
        torch.isclose(both, expected, rtol=1e-5, atol=1e-5 * (high - low)).double().mean() > 0.998
    )
    steps = 2**digitiser.bits - 1 if digitiser.bits else 1e5
    level = max(FULL_SCALE.get(dtype, high - low) / steps, float(dtype in FULL_SCALE))
    assert ((both - expected).abs() <= 1.1 * level + 2**-10 * expected.abs()).all()


# images as they come


def view(layout: str) -> Tensor:
    if layout == "channels_last":
        image = films(2, 3, 20, 24).to(DEVICE)
        return image.contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        return films(4, 3, 20, 50).to(DEVICE)[::2, :, :, 1::2]
    if layout == "expanded":
        return films(1, 1, 20, 24).to(DEVICE).expand(2, 3, 20, 24)
    if layout == "unaligned":
        return films(2 * 480 + 1).to(DEVICE)[1:].view(2, 480)
    return films(24, 20, 3, 2).to(DEVICE).permute(3, 2, 1, 0)


@pytest.mark.parametrize(
    "layout", ["channels_last", "strided", "expanded", "unaligned", "transposed"]
)
def test_every_layout(expose: Expose, layout: str) -> None:
    image = view(layout)
    rest = (torch.tensor([0.01, 0.02]), torch.tensor([0.1, 0.0]), torch.tensor([8, 9]))
    noisy = expose(image, *rest)
    assert noisy.stride() == torch.empty_like(image).stride()
    assert torch.equal(noisy, expose(image.contiguous(), *rest))
    close(noisy, reference(image.cpu(), *rest))


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 1, 33, 31), (2, 257, 2), (3, 4, 1), (5, 8)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_pixel_is_written_and_nothing_else(
    expose: Expose, shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = films(*shape, dtype=dtype)
    strengths = torch.linspace(0.01, 0.05, len(image))
    given = (image, strengths, strengths, torch.arange(len(image)))
    expected = expose(*given)
    poison = 77.0 if dtype in FULL_SCALE else torch.nan
    held = []

    def poisoned(like: Tensor, **_: object) -> Tensor:
        held.append(torch.full((like.numel() + 64,), poison, dtype=like.dtype, device=like.device))
        return held[-1][32:-32].view(like.shape)

    monkeypatch.setattr(torch, "empty_like", poisoned)
    assert torch.equal(expose(*given), expected)
    (buffer,) = held
    outside = torch.cat([buffer[:32], buffer[-32:]]).cpu()
    assert torch.equal(outside, torch.full((64,), poison, dtype=dtype)) or outside.isnan().all()


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 1, 0, 8)])
def test_no_pixels(expose: Expose, shape: tuple[int, ...]) -> None:
    ones = torch.ones(shape[0])
    assert expose(torch.zeros(shape), ones, ones, torch.arange(shape[0])).shape == shape


def test_an_image_has_its_noise_in_any_batch_and_tile(
    expose: Expose, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, gain, seeds = films(3, 1, 50, 50), torch.tensor([0.1, 0.001, 0.01]), torch.arange(3)
    noisy = expose(image, gain, gain, seeds)
    monkeypatch.setattr(_triton, "_LANES", 32)
    for one in range(3):
        only = slice(one, one + 1)
        alone = expose(image[only], gain[only], gain[only], seeds[only])
        assert torch.equal(alone, noisy[only])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_images_without_noise_come_back_bit_for_bit(expose: Expose, dtype: torch.dtype) -> None:
    bits = {2: torch.int16, 4: torch.int32}[dtype.itemsize]
    # every bit pattern of a half-precision number, or as many of float32
    image = torch.arange(-(2**15), 2**15).mul(2 ** (8 * dtype.itemsize - 16)).to(bits).view(dtype)
    batch = image.expand(3, -1)
    gain, sigma = torch.tensor([0.0, 0.01, 0.0]), torch.tensor([0.0, 0.0, 0.1])
    noisy = expose(batch, gain, sigma, torch.arange(3), Digitiser(bits=8))
    assert torch.equal(noisy[0].view(bits), image.view(bits))
    assert not torch.equal(noisy[1].view(bits), image.view(bits))
    assert not torch.equal(noisy[2].view(bits), image.view(bits))
    for given in ((None, None), (gain[:1], None), (None, sigma[:1])):
        same = expose(image[None], *given, torch.arange(1), Digitiser(bits=8))
        assert torch.equal(same[0].view(bits), image.view(bits))


def test_what_is_no_signal(expose: Expose) -> None:
    inf, nan = torch.inf, torch.nan
    odd = torch.tensor([nan, inf, -inf, -1.0, -0.0, 0.0, 3e38, 1e-40])
    # every one of them in every place among others
    image = films(1, 64, 64)
    image.view(-1)[::9] = odd.repeat(57)[:456]
    one, seeds = torch.tensor([0.01]), torch.tensor([4])
    noisy = expose(image, one, None, seeds)
    close(noisy, reference(image, one, None, seeds))
    assert noisy.isnan().equal(image.isnan())
    assert (noisy[image == inf] == inf).all()
    assert (noisy[image <= 0] == 0).all()
    for digitiser in (Digitiser(), Digitiser(clip=True)):
        close(
            expose(image, one, one, seeds, digitiser), reference(image, one, one, seeds, digitiser)
        )


@pytest.mark.parametrize("gain", [1e30, 1e-30, 1e-38])
def test_extreme_gains(expose: Expose, gain: float) -> None:
    given = (films(1, 16, 16), torch.tensor([gain]), None, torch.tensor([4]))
    close(expose(*given), reference(*given))


# in PyTorch's machinery


def example() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    image = films(2, 1, 16, 16).to(DEVICE)
    strengths = torch.tensor([0.01, 0.1], device=DEVICE)
    return image, strengths, strengths, torch.tensor([1, 2], device=DEVICE)


def test_the_operator_keeps_torchs_rules(expose: Expose) -> None:
    del expose
    torch.library.opcheck(_triton._expose, (*example(), 0.0, 1.0, False, 8))
    image, strengths, _, seeds = example()
    last = image.expand(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    torch.library.opcheck(_triton._expose, (last, None, strengths, seeds, -1.0, 1.0, True, None))


class Film(nn.Module):
    """An exposure among other operations."""

    def forward(self, image: Tensor, gain: Tensor, sigma: Tensor, seeds: Tensor) -> Tensor:
        return _triton.expose(image, gain, sigma, seeds, Digitiser(bits=8))


def test_compiled_and_exported_it_is_one_node(expose: Expose) -> None:
    del expose
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
        assert calls == [torch.ops.cxr_noise_transforms.expose.default]


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")
# torch says once per process that its check for waiting is a prototype
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_it_never_waits_for_the_gpu_and_can_be_captured(expose: Expose) -> None:
    del expose
    given = example()
    expected = Film()(*given)
    torch.cuda.set_sync_debug_mode("error")
    try:
        Film()(*given)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = Film()(*given)
    captured.zero_()
    graph.replay()
    assert torch.equal(captured, expected)


def test_float64_is_refused() -> None:
    image, *rest = example()
    with pytest.raises(TypeError, match=r"image must be uint8.*got torch.float64"):
        _triton.expose(image.double(), *rest, Digitiser())


@pytest.mark.skipif(INTERPRETED, reason="the interpreter takes images on the CPU")
def test_an_image_on_the_cpu_is_refused() -> None:
    given = [tensor.cpu() for tensor in example()]
    with pytest.raises(RuntimeError, match=r"needs an image on a GPU.*got one on the CPU"):
        _triton.expose(*given, Digitiser())


# compiled without a GPU


@pytest.mark.skipif(INTERPRETED, reason="the interpreter does not compile")
@pytest.mark.skipif(TRITON < (3, 3), reason="needs triton >= 3.3")
@pytest.mark.parametrize(
    ("dtype", "full", "group"), [("fp32", 0, 8), ("fp32", 0, 1), ("u8", 255, 4)]
)
def test_it_compiles_for_hopper_with_a_lane_per_block(dtype: str, full: int, group: int) -> None:
    compiler = pytest.importorskip("triton.compiler")
    backend = pytest.importorskip("triton.backends.compiler")
    names = _triton._kernel.arg_names
    pointers = {"image": f"*{dtype}", "result": f"*{dtype}", "gain": "*fp32", "sigma": "*fp32"}
    types = {**pointers, "seeds": "*i64", "groups": "i32"}
    constants = {"low": None, "span": None, "FULL": full, "STEPS": 0, "GROUP": group, "LANES": 32}
    source = compiler.ASTSource(
        fn=_triton._kernel,
        signature={name: types.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in pointers},
    )
    options = {"num_warps": 1, "enable_fp_fusion": False}
    target = backend.GPUTarget("cuda", 90, 32)
    compiled = triton.compile(source, target=target, options=options)
    # all eight pixels of a lane in its registers, and no word computed twice
    assert "sizePerThread = [1, 4, 2], threadsPerWarp = [32, 1, 1]" in compiled.asm["ttgir"]
    assert compiled.asm["ttgir"].count("tt.mulhiui") <= 2 * 2 * 10
