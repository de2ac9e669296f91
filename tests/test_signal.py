"""The boundary: what goes in as an image comes back as that image, digitised once if asked."""

from __future__ import annotations

import math
from collections.abc import Callable

import laws
import pytest
import torch
from torch import Tensor

from cxr_noise_transforms import electronic_noise, quantum_noise, radiographic_noise

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.uint16)
WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
# NaNs as bits: plain, with a payload, and signalling
NANS = {
    torch.float16: (0x7E00, 0x7E05, 0x7D05),
    torch.bfloat16: (0x7FC0, 0x7FC5, 0x7F85),
    torch.float32: (0x7FC00000, 0x7FC12345, 0x7F812345),
    torch.float64: (0x7FF8000000000000, 0x7FF8000000012345, 0x7FF0000000012345),
}
DIGITISERS = (
    {},
    {"clip": True},
    {"bits": 8},
    {"value_range": (-1024.0, 1024.0)},
    {"value_range": (0.0, 0.3), "bits": 3},
)
# photons far finer than a level, or their own steps beat against the levels
ROUNDED_LAWS = ({"sq": 1.0, "n0": 1e4}, {"se": 0.5}, {"sq": 1.0, "se": 0.5})
XRAY_RANGE = (-1024.0, 1024.0)

Noise = Callable[..., Tensor]

beyond_the_range = pytest.mark.filterwarnings("ignore:most values of the image lie outside")


def words(image: Tensor) -> Tensor:
    """The bits of an image, so that NaN equals NaN and 0 differs from -0."""
    return image.contiguous().view(WORDS[image.element_size()])


def hostile(dtype: torch.dtype, device: str) -> Tensor:
    """Two equal images of all a dtype can hold but NaN: infinities, -0, and what no film has."""
    if not dtype.is_floating_point:
        one = torch.arange(256, device=device).reshape(1, 16, 16) * (torch.iinfo(dtype).max // 255)
        return one.expand(2, -1, -1, -1).to(dtype)
    limits = torch.finfo(dtype)
    values = [math.inf, -math.inf, -0.0, 0.0, limits.tiny / 2, -limits.max, limits.max]
    values += torch.linspace(-1.0, 2.0, 29).tolist()
    return torch.tensor(values, dtype=dtype, device=device).reshape(1, 1, 6, 6).repeat(2, 1, 1, 1)


# severity 0


@pytest.mark.parametrize("digitiser", DIGITISERS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=str)
@beyond_the_range
def test_zero_severity_returns_the_image_bit_for_bit(
    noise: Noise, dtype: torch.dtype, digitiser: dict[str, object], device: str
) -> None:
    image = hostile(dtype, device)
    zeros = (0, 0.0, (0, 0), torch.tensor(0.0), torch.zeros(2), torch.zeros(2, dtype=torch.int64))
    for zero in zeros:
        same = noise(image, zero, **digitiser, seed=0)
        assert torch.equal(words(same), words(image)), zero


@pytest.mark.parametrize("digitiser", DIGITISERS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=str)
@beyond_the_range
def test_only_the_image_at_zero_stays_in_a_mixed_batch(
    noise: Noise, dtype: torch.dtype, digitiser: dict[str, object], device: str
) -> None:
    image = hostile(dtype, device)
    noisy = noise(image, torch.tensor([0.0, 5.0]), **digitiser, seed=0)
    assert torch.equal(words(noisy[0]), words(image[0]))
    assert not torch.equal(words(noisy[1]), words(image[1]))


@pytest.mark.parametrize("digitiser", DIGITISERS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_zero_severity_keeps_the_bits_of_nan(
    noise: Noise, dtype: torch.dtype, digitiser: dict[str, object], device: str
) -> None:
    for nan in NANS[dtype]:
        image = torch.full((2, 1, 8, 8), nan, dtype=WORDS[dtype.itemsize], device=device)
        same = noise(image.view(dtype), 0.0, **digitiser)
        assert torch.equal(words(same), image)


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
    ],
    ids=str,
)
def test_zero_severity_in_a_batch_keeps_the_bits_of_nan(
    noise: Noise, dtype: torch.dtype, device: str
) -> None:
    for nan in NANS[dtype]:
        image = torch.full((2, 1, 8, 8), nan, dtype=WORDS[dtype.itemsize], device=device)
        noisy = noise(image.view(dtype), torch.tensor([0.0, 1.0]), seed=0)
        assert torch.equal(words(noisy[0]), image[0])


@pytest.mark.parametrize("severity", [0.0, 1.0, torch.tensor([0.0, 0.0, 1.0])], ids=str)
@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=str)
def test_the_input_is_neither_changed_nor_returned(
    noise: Noise, severity: float | Tensor, dtype: torch.dtype
) -> None:
    image = torch.linspace(0, 1, 48).mul(1 if dtype.is_floating_point else 255).to(dtype)
    image = image.reshape(3, 1, 4, 4)
    before = image.clone()
    noisy = noise(image, severity, seed=0)
    assert torch.equal(image, before)
    assert noisy.untyped_storage().data_ptr() != image.untyped_storage().data_ptr()


# dtypes


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_float32_noise_rounded_once(
    noise: Noise, dtype: torch.dtype, device: str
) -> None:
    image = torch.rand(2, 1, 32, 32, device=device).to(dtype)
    exact = noise(image.float(), 3.0, seed=1)
    noisy = noise(image, 3.0, seed=1)
    assert noisy.dtype == dtype
    assert torch.equal(noisy, exact.to(dtype))


def test_float64_is_computed_in_float64(noise: Noise, device: str) -> None:
    image = torch.rand(2, 1, 32, 32, dtype=torch.float64, device=device)
    noisy = noise(image, 1.0, seed=1)
    assert noisy.dtype == torch.float64
    assert not torch.equal(noisy, noisy.float().double())


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integer_images_are_float_noise_rounded_and_saturated(
    noise: Noise, dtype: torch.dtype, device: str
) -> None:
    full = torch.iinfo(dtype).max
    image = torch.linspace(0, full, 2048, device=device).round().reshape(2, 1, 32, 32)
    exact = noise(image / full, 5.0, seed=1)
    noisy = noise(image.to(dtype), 5.0, seed=1)
    assert noisy.dtype == dtype
    assert torch.equal(noisy.to(torch.float32), (exact * full).round().clamp(0, full))


def test_integer_images_ignore_the_value_range(noise: Noise) -> None:
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    assert torch.equal(noise(image, 2.0, value_range=XRAY_RANGE, seed=1), noise(image, 2.0, seed=1))


def test_saturation_never_wraps_around(device: str) -> None:
    white = torch.full((1, 512, 512), 255, dtype=torch.uint8, device=device)
    for image, end in ((white, 255), (torch.zeros_like(white), 0)):
        noisy = electronic_noise(image, 10.0, seed=0)
        share = (noisy == end).double().mean()
        # half of the noise, and what rounds up to the end
        expected = 0.5 * (1 + math.erf(0.5 / 255 / math.sqrt(2)))
        error = share.new_tensor(expected * (1 - expected) / image.numel()).sqrt()
        laws.within(share, share.new_tensor(expected), error, "share of saturated pixels")


# the digitiser


@pytest.mark.parametrize("bits", range(1, 17))
def test_bits_saturate_and_round_the_same_noise(noise: Noise, bits: int, device: str) -> None:
    image = torch.rand(2, 1, 32, 32, device=device)
    steps = 2**bits - 1
    exact = noise(image, 3.0, seed=2)
    expected = (exact.clamp(0, 1) * steps).round() / steps
    assert torch.equal(noise(image, 3.0, bits=bits, seed=2), expected)
    assert torch.equal(noise(image, 3.0, bits=bits, clip=True, seed=2), expected)


def test_clip_saturates_the_same_noise(noise: Noise, device: str) -> None:
    image = torch.rand(2, 1, 32, 32, device=device)
    exact = noise(image, 10.0, seed=2)
    assert not ((exact >= 0) & (exact <= 1)).all()
    assert torch.equal(noise(image, 10.0, clip=True, seed=2), exact.clamp(0, 1))


def test_eight_bits_on_uint8_change_nothing(noise: Noise) -> None:
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(noise(image, 2.0, bits=8, seed=2), noise(image, 2.0, seed=2))


def test_fewer_bits_on_uint8_leave_fewer_levels(noise: Noise) -> None:
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16).repeat(4, 1, 1)
    assert noise(image, 2.0, bits=2, seed=2).unique().tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8], ids=str)
@pytest.mark.parametrize("law", ROUNDED_LAWS, ids=str)
def test_rounding_to_8_bits_shifts_no_mean(
    law: dict[str, float], dtype: torch.dtype, device: str
) -> None:
    # interior greys, each a level of its own, so that nothing saturates and nothing is lost
    image = laws.wedge(9, low=64 / 255, high=192 / 255, device=device)

    def eight_bits(image: Tensor) -> Tensor:
        film = image if dtype.is_floating_point else (image * 255).round().to(dtype)
        noisy = radiographic_noise(film, **{"sq": 0.0, "se": 0.0, **law}, bits=8, seed=0)
        return noisy if dtype.is_floating_point else noisy.double() / 255

    laws.check_moments(eight_bits, image, greys=9, **law, step=1 / 255)


@pytest.mark.parametrize("digitiser", [{}, {"clip": True}, {"bits": 8}], ids=str)
def test_value_range_moves_the_noise_with_the_image(
    noise: Noise, digitiser: dict[str, object], device: str
) -> None:
    # multiples of 1/256 map to the range and back without rounding
    signal = torch.arange(256, device=device).reshape(1, 1, 16, 16) / 256
    exact = noise(signal, 3.0, **digitiser, seed=4)
    noisy = noise(signal * 2048 - 1024, 3.0, value_range=XRAY_RANGE, **digitiser, seed=4)
    assert torch.equal(noisy, exact * 2048 - 1024)


def test_variance_is_a_share_of_the_value_range(device: str) -> None:
    def windowed(image: Tensor) -> Tensor:
        noisy = radiographic_noise(image * 2048 - 1024, 10.0, 1.0, value_range=XRAY_RANGE, seed=0)
        return (noisy + 1024) / 2048

    laws.check_moments(windowed, laws.wedge(pixels=2**16, device=device), sq=10.0, se=1.0)


# pixels no film should have


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@beyond_the_range
def test_negative_signal_counts_no_photons(dtype: torch.dtype, device: str) -> None:
    image = torch.tensor([[-1e-3, -1.0, -100.0, -math.inf]], dtype=dtype, device=device)
    assert (quantum_noise(image, 3.0, seed=0) == 0).all()


@beyond_the_range
def test_negative_signal_is_below_the_value_range(device: str) -> None:
    image = torch.full((4, 4), -2000.0, device=device)
    assert (quantum_noise(image, 3.0, value_range=XRAY_RANGE, seed=0) == -1024).all()


@pytest.mark.parametrize("digitiser", DIGITISERS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("seed", [0, None])
def test_nan_stays_nan_and_stays_alone(
    noise: Noise, dtype: torch.dtype, digitiser: dict[str, object], seed: int | None, device: str
) -> None:
    torch.manual_seed(0)
    image = torch.full((2, 1, 16, 16), 0.2, dtype=dtype, device=device)
    image[0, 0, ::3, ::2] = math.nan
    assert torch.equal(noise(image, 2.0, **digitiser, seed=seed).isnan(), image.isnan())


def test_infinity_stays_infinite_and_stays_alone(noise: Noise, device: str) -> None:
    image = torch.full((2, 1, 16, 16), 0.5, device=device)
    image[0, 0, 3, 4] = math.inf
    noisy = noise(image, 2.0, seed=0)
    assert noisy[0, 0, 3, 4] == math.inf
    assert noisy.isinf().sum() == 1


@beyond_the_range
def test_infinity_saturates(noise: Noise, device: str) -> None:
    image = torch.full((16, 16), math.inf, device=device)
    assert (noise(image, 2.0, bits=8, seed=0) == 1).all()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -3.0, 1e30])
def test_a_hostile_pixel_leaves_other_images_alone(noise: Noise, value: float, device: str) -> None:
    image = torch.rand(3, 1, 8, 8, device=device)
    broken = image.clone()
    broken[1, 0, 2, 3] = value
    clean, noisy = noise(image, 2.0, seed=7), noise(broken, 2.0, seed=7)
    assert torch.equal(clean[::2], noisy[::2])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -3.0, 1e30])
def test_hostile_pixels_leave_the_law_of_their_neighbours(value: float, device: str) -> None:
    def beside_hostile_pixels(image: Tensor) -> Tensor:
        interleaved = torch.stack([image, torch.full_like(image, value)], -1).flatten(-2)
        return radiographic_noise(interleaved, 10.0, 2.0, seed=0)[..., ::2]

    image = laws.wedge(pixels=2**14, device=device)
    laws.check_moments(beside_hostile_pixels, image, sq=10.0, se=2.0)
    white = laws.wedge(low=0.05, pixels=2**14, device=device)
    laws.check_whiteness(beside_hostile_pixels, white, sq=10.0, se=2.0)


@pytest.mark.parametrize("sq", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("value", [1e3, 1e9, 1e20, 1e30])
@beyond_the_range
def test_a_huge_signal_keeps_its_relative_noise(value: float, sq: float, device: str) -> None:
    image = torch.full((256, 256), value, dtype=torch.float64, device=device)
    noisy = quantum_noise(image, sq, seed=0)
    error = torch.tensor(value * sq**2 / 1000 / image.numel(), dtype=torch.float64).sqrt()
    # where float64 cannot hold the noise, what it can hold
    error = error.clamp(min=value * torch.finfo(torch.float64).eps).to(device)
    laws.within(noisy.mean(), image[0, 0], error, "mean of a huge signal")


@pytest.mark.parametrize(
    "sq",
    [
        1e-3,
        0.1,
        1.0,
        10.0,
    ],
)
@beyond_the_range
def test_a_huge_signal_is_no_garbage_in_float32(sq: float, device: str) -> None:
    image = torch.logspace(0, 30, 31, device=device).expand(8, 31)
    noisy = quantum_noise(image, sq, seed=0)
    spread = (image * sq**2 / 1000).sqrt() + 1e-6 * image
    assert ((noisy - image).abs() <= 8 * spread).all()


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_what_is_finite_stays_finite_in_half_precision(
    noise: Noise, dtype: torch.dtype, backend: str | None, device: str
) -> None:
    largest = torch.finfo(dtype).max
    image = torch.full((1, 1, 32, 32), min(largest, 1e29), dtype=dtype, device=device)
    image[..., 0], image[..., 1] = math.inf, math.nan
    noisy = noise(image, 4.0, value_range=(0, image[..., -1].max().item()), backend=backend)
    assert torch.equal(noisy.isinf(), image.isinf())
    assert torch.equal(noisy.isnan(), image.isnan())
    assert dtype != torch.float16 or (noisy == largest).any()


@pytest.mark.parametrize(
    "sq",
    [
        1e-30,
        1e-19,
        1e-12,
        1e15,
        1e20,
        1e39,
    ],
)
def test_an_extreme_severity_gives_no_garbage(sq: float) -> None:
    noisy = quantum_noise(torch.full((8, 8), 0.5), sq, seed=0)
    # photons either show no noise or do not come at all
    assert torch.equal(noisy, torch.full((8, 8), 0.5 if sq < 1 else 0.0))


# memory


def test_channels_last_stays_channels_last(noise: Noise, device: str) -> None:
    image = torch.rand(2, 3, 9, 7, device=device)
    noisy = noise(image.to(memory_format=torch.channels_last), 2.0, seed=0)
    assert noisy.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(noisy, noise(image, 2.0, seed=0))


@pytest.mark.parametrize("severity", [0.0, 2.0])
def test_an_expanded_image_gets_noise_of_its_own_in_every_channel(
    noise: Noise, severity: float, device: str
) -> None:
    film = torch.rand(2, 1, 16, 16, device=device)
    noisy = noise(film.expand(-1, 3, -1, -1), severity, seed=0)
    assert torch.equal(noisy, noise(film.repeat(1, 3, 1, 1), severity, seed=0))
    assert torch.equal(noisy[:, 0], noisy[:, 1]) == (severity == 0)


def test_a_view_is_left_in_place(noise: Noise, device: str) -> None:
    film = torch.rand(32, 32, device=device)
    before = film.clone()
    noisy = noise(film[4:20, 1::2], 2.0, seed=0)
    assert torch.equal(noisy, noise(film[4:20, 1::2].contiguous(), 2.0, seed=0))
    assert torch.equal(film, before)


def test_autocast_changes_nothing(noise: Noise, device: str) -> None:
    image = torch.rand(2, 1, 16, 16, device=device)
    with torch.autocast(device, torch.bfloat16):
        noisy = noise(image, 2.0, seed=0)
    assert torch.equal(noisy, noise(image, 2.0, seed=0))


def test_default_dtype_changes_nothing(noise: Noise) -> None:
    image = torch.rand(2, 1, 16, 16)
    expected = noise(image, 2.0, seed=0)
    torch.set_default_dtype(torch.float64)
    try:
        noisy = noise(image, 2.0, seed=0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert noisy.dtype == torch.float32
    assert torch.equal(noisy, expected)
