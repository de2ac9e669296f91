"""The counter-based sampler against its specification, part by part."""

import itertools
import math
from collections.abc import Iterator

import laws
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import special, stats

from cxr_noise_transforms import (
    _cpu_exact,
    _cpu_kernel,
    electronic_noise,
    image_seeds,
    quantum_noise,
    radiographic_noise,
)

Words = NDArray[np.int32]
Singles = NDArray[np.float32]

TILE = _cpu_kernel.TILE
MASK = 2**64 - 1
# Random123, kat_vectors, philox4x64 with 10 rounds: counter, key, result
KNOWN = (
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B),
    ),
    (
        (MASK, MASK, MASK, MASK),
        (MASK, MASK),
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
    ),
)


def philox(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Philox4x64-10 on Python integers (Salmon et al., SC 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (p1 >> 64) ^ c1 ^ k0, p1 & MASK, (p0 >> 64) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return c0, c1, c2, c3


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_philox_gives_the_published_answers(
    counter: tuple[int, ...], key: tuple[int, ...], result: tuple[int, ...]
) -> None:
    assert philox(counter, key) == result


@pytest.mark.parametrize("stream", [0, 1])
@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("block", [0, 1, 1 << 40])
def test_words_follow_the_specification(seed: int, stream: int, block: int) -> None:
    blocks = np.empty(TILE // 2, np.uint64)
    state = np.empty((4, TILE // 8), np.uint64)
    _cpu_kernel._draw(*map(np.uint64, (seed & MASK, stream, block)), state, blocks)
    words = blocks.view(np.int32)
    for pixel in (*range(40), TILE - 1):
        four = philox((1 + block + pixel // 8, 0, 0, 0), (seed & MASK, stream))
        half = four[pixel % 8 // 2] >> 32 * (pixel % 2) & 0xFFFFFFFF
        assert words[pixel] == half - (half >> 31 << 32)


def random_words(size: int, seed: int = 0) -> Words:
    words = np.random.default_rng(seed).integers(-(2**31), 2**31, size, dtype=np.int32)
    # the ends and the centre, which random words do not reach
    words[:8] = (-(2**31), 2**31 - 1, -(2**31) + 1, 2**31 - 2, -1, 0, -2, 1)
    return words


def uniforms(words: Words) -> NDArray[np.float64]:
    return 0.5 + (words + 0.5) * 2.0**-32


def counts(rates: Singles, words: Words) -> Singles:
    """The kernel's counts of chosen words, tile by tile."""
    result, table = rates.copy(), _cpu_exact.table()
    rate, count = np.empty((2, TILE), np.float32)
    unsure = np.zeros(TILE, np.uint8)
    for start in range(0, rates.size, TILE):
        signal, drawn = result[start : start + TILE], words[start : start + TILE]
        photons = (signal, np.float32(1), drawn, rate[: signal.size], count, unsure, table)
        _cpu_kernel._photons(*photons)
    return result


@pytest.mark.parametrize("decade", range(-6, 7))
def test_counts_are_the_inverse_distribution_function(decade: int) -> None:
    rng = np.random.default_rng(decade + 10)
    rates = (10 ** rng.uniform(decade, decade + 1, 20_000)).astype(np.float32)
    words = random_words(rates.size, decade + 10)
    found = counts(rates, words)
    law, uniform = stats.poisson(rates.astype(np.float64)), uniforms(words)
    # smallest count with F(count) >= u, up to the rounding of scipy's own F
    assert (law.cdf(found) >= uniform * (1 - 1e-12) - 1e-13).all()
    below = np.where(found > 0, law.cdf(found.astype(np.float64) - 1), -1)
    assert (below < uniform * (1 + 1e-12) + 1e-13).all()


@pytest.mark.parametrize(("low", "high"), [(0, 16), (8, 70), (60, 1000), (1000, 8000)])
def test_counts_are_right_where_every_pixel_is_in_doubt(low: int, high: int) -> None:
    n = np.random.default_rng(low).integers(low, high, 50 * TILE)
    words = random_words(n.size, low)
    uniform = uniforms(words)
    # as near as float32 comes to the rate at which the count steps from n to n + 1
    rates = special.gammainccinv(n + 1, uniform).astype(np.float32)
    above = uniform - special.gammaincc(n + 1, rates.astype(np.float64))
    decided = np.abs(above) > 1e-11
    assert decided.mean() > 0.99
    assert (counts(rates, words) == n + (above > 0))[decided].all()


def test_no_cell_of_the_table_holds_two_counts() -> None:
    cells = _cpu_exact.table().reshape(-1, 1 << _cpu_exact.BITS).astype(float)
    sure = cells != _cpu_exact.OPEN
    assert sure.mean() > 0.95
    rows, columns = cells.shape
    edges, words = np.arange(rows + 1)[:, None] / _cpu_exact.ROWS, 2.0 ** (32 - _cpu_exact.BITS)
    first, last = ((np.arange(columns) * words + at) / 2**32 for at in (0.5, words - 0.5))
    # the first word at the lowest rate reaches the count, the last at the highest does not pass it
    assert (special.gammaincc(cells, edges[:-1]) < first)[sure & (cells > 0)].all()
    assert (special.gammaincc(cells + 1, edges[1:]) >= last)[sure].all()


def test_normals_are_the_quantiles() -> None:
    words = random_words(100 * TILE)
    found, normal = np.zeros(words.size, np.float32), np.empty(TILE, np.float32)
    unsure = np.zeros(TILE, np.uint8)
    for start in range(0, words.size, TILE):
        tile = slice(start, start + TILE)
        _cpu_kernel._read_out(found[tile], np.float32(1), words[tile], normal, unsure)
    assert (np.abs(found - laws.quantiles(words)) < 2e-6).all()


def test_float64_decides_by_quantiles_right_to_its_last_digits() -> None:
    words = random_words(2000)
    found = np.array([_cpu_exact.quantile(word) for word in words])
    np.testing.assert_allclose(found, laws.quantiles(words), rtol=1e-14, atol=1e-14)


def test_at_one_seed_counts_rise_with_the_rate() -> None:
    film = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    photons = [quantum_noise(film, sq, seed=5) * 1000 / sq**2 for sq in (10, 8, 6, 4, 2, 1)]
    for fewer, more in itertools.pairwise(photons):
        assert (more.round() >= fewer.round()).all()
    brighter = quantum_noise(film + 0.01, 4, seed=5)
    assert (brighter >= quantum_noise(film, 4, seed=5)).all()


def test_at_one_seed_the_read_out_noise_scales_with_the_severity() -> None:
    film = torch.zeros(1, 1, 64, 64)
    one = electronic_noise(film, 1, seed=5)
    torch.testing.assert_close(electronic_noise(film, 7, seed=5), 7 * one)


def test_a_pixels_noise_does_not_depend_on_the_other_pixels() -> None:
    film = torch.rand(1, 64, 64)
    changed = film.clone()
    changed[0, 10, 20] = float("nan")
    changed[0, 30] = -1
    same = torch.ones_like(film, dtype=torch.bool)
    same[0, 10, 20] = same[0, 30] = False
    noisy, other = (radiographic_noise(x, 4, 1, seed=3) for x in (film, changed))
    assert torch.equal(noisy[same], other[same])


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("shape", [(1, 1, 700, 701), (5, 1, 37, 41)])
def test_the_number_of_threads_does_not_matter(shape: tuple[int, ...]) -> None:
    film = torch.rand(shape)
    results = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        results.append(radiographic_noise(film, 4, 1, seed=3))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_the_reference_draws_other_numbers_of_the_same_law() -> None:
    grey = torch.full((1, 1, 300, 300), 0.5)
    reference, ours = (quantum_noise(grey, 4, seed=1, backend=b) for b in ("torch", "numba"))
    assert not torch.equal(reference, ours)
    variance = 0.5 * 4**2 / 1000
    for noisy in (reference, ours):
        assert abs(noisy.mean() - 0.5) < 5 * math.sqrt(variance / grey.numel())


def test_image_seeds_key_the_stream() -> None:
    seeds = image_seeds(3, ["a", "b"])
    film = torch.rand(1, 16, 16).expand(2, 1, 16, 16)
    first, second = quantum_noise(film, 4, seed=seeds)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("backend", ["cupy", "triton ", ""])
def test_unknown_backends_are_refused(backend: str) -> None:
    with pytest.raises(ValueError, match="backend must be None or one of torch, numba, triton"):
        quantum_noise(torch.rand(1, 8, 8), 1, backend=backend)


def test_numpy_serves_no_other_device() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with pytest.raises(ValueError, match="backend 'numba' needs an image on the CPU, got cuda"):
        quantum_noise(torch.rand(1, 8, 8, device="cuda"), 1, backend="numba")


def test_triton_on_the_cpu_raises_and_does_not_fall_back() -> None:
    pytest.importorskip("triton")
    with pytest.raises(RuntimeError, match="backend 'triton' needs an image on a GPU"):
        quantum_noise(torch.rand(1, 8, 8), 1, backend="triton")
