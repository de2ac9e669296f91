"""The counter-based sampler against its specification."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats

from cxr_noise_transforms import electronic_noise, image_seeds, quantum_noise, radiographic_noise
from cxr_noise_transforms._normal import normals
from cxr_noise_transforms._philox import words
from cxr_noise_transforms._poisson import counts

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


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize(("start", "length"), [(0, 1), (8, 7), (1 << 20, 33)])
def test_words_follow_the_specification(seed: int, start: int, length: int) -> None:
    expected = []
    for pixel in range(start, start + length):
        block = philox((1 + pixel // 8, 0, 0, 0), (seed & MASK, 1))
        half = block[pixel % 8 // 2] >> 32 * (pixel % 2) & 0xFFFFFFFF
        expected.append(half - (half >> 31 << 32))
    assert words(seed, 1, start, length).tolist() == expected


@pytest.mark.parametrize("decade", range(-6, 7))
def test_counts_are_the_inverse_distribution_function(decade: int) -> None:
    rng = np.random.default_rng(decade + 10)
    rates = (10 ** rng.uniform(decade, decade + 1, 20_000)).astype(np.float32)
    drawn = rng.integers(-(2**31), 2**31, rates.size, dtype=np.int32)
    # the tails, which random words seldom reach
    drawn[:4] = (-(2**31), 2**31 - 1, -(2**31) + 1, 2**31 - 2)
    found = np.empty_like(rates)
    counts(rates, drawn, found)
    uniform = 0.5 + (drawn.astype(np.float64) + 0.5) * 2.0**-32
    law = stats.poisson(rates.astype(np.float64))
    # smallest count with F(count) >= u, up to the rounding of scipy's own F
    assert (law.cdf(found) >= uniform * (1 - 1e-12) - 1e-13).all()
    below = np.where(found > 0, law.cdf(found.astype(np.float64) - 1), -1)
    assert (below < uniform * (1 + 1e-12) + 1e-13).all()


def test_normals_are_the_quantiles() -> None:
    drawn = np.random.default_rng(0).integers(-(2**31), 2**31, 200_000, dtype=np.int32)
    drawn[:4] = (-(2**31), 2**31 - 1, 0, -1)
    found = np.empty(drawn.size, dtype=np.float32)
    normals(drawn, found)
    exact = stats.norm.ppf(0.5 + (drawn.astype(np.float64) + 0.5) * 2.0**-32)
    assert (np.abs(found - exact) < 5e-6).all()


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
    reference, ours = (quantum_noise(grey, 4, seed=1, backend=b) for b in ("torch", "numpy"))
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
    with pytest.raises(ValueError, match="backend must be None or one of torch, numpy, triton"):
        quantum_noise(torch.rand(1, 8, 8), 1, backend=backend)


def test_numpy_serves_no_other_device() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with pytest.raises(ValueError, match="backend 'numpy' needs an image on the CPU, got cuda"):
        quantum_noise(torch.rand(1, 8, 8, device="cuda"), 1, backend="numpy")


@pytest.mark.parametrize("sq", [1e-20, 0.01, 1.0, 4.0, 10.0, 100.0])
def test_the_table_of_8_bit_films_is_the_general_way(sq: float) -> None:
    film = torch.randint(0, 256, (3, 1, 200, 201), dtype=torch.uint8)
    severities = torch.tensor([sq, 0.0, 2 * sq])
    by_table = quantum_noise(film, severities, seed=4)
    # a severity of the electronic noise, even 0, has no table
    generally = radiographic_noise(film, severities, torch.zeros(3), seed=4)
    assert torch.equal(by_table, generally)
    assert torch.equal(by_table[1], film[1])


def test_triton_on_the_cpu_raises_and_does_not_fall_back() -> None:
    pytest.importorskip("triton")
    with pytest.raises(RuntimeError, match="backend 'triton' needs an image on a GPU"):
        quantum_noise(torch.rand(1, 8, 8), 1, backend="triton")
