"""Where randomness comes from: torch's generators, seeds, seeds per image, and drawn severities."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import laws
import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from cxr_noise_transforms import (
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    image_seeds,
    quantum_noise,
)

Noise = Callable[..., Tensor]
Module = Callable[..., nn.Module]

NUMBERS = [0, 1, 2, -1, 2**40]
NAMES = ["film_a.png", "", "Röntgen"]
# computed by hand from splitmix64 and BLAKE2b; noise already published hangs on them
NUMBER_SEEDS = [
    7,
    6238072747940578786,
    -2606959012126976883,
    -5417735806833148548,
    48217637115032575,
]
NAME_SEEDS = [-2067251356801838888, 8670812520888592112, 2869389439052481656]


@pytest.fixture
def image(device: str) -> Tensor:
    return torch.linspace(0.1, 1, 2 * 3 * 64, device=device).reshape(2, 3, 8, 8)


def global_state(device: str) -> Tensor:
    return torch.cuda.get_rng_state() if device == "cuda" else torch.get_rng_state()


# generators


def test_manual_seed_reproduces_and_calls_differ(noise: Noise, image: Tensor) -> None:
    torch.manual_seed(3)
    first, second = noise(image, 2.0), noise(image, 2.0)
    torch.manual_seed(3)
    assert torch.equal(noise(image, 2.0), first)
    assert not torch.equal(first, second)


def test_a_generator_reproduces_and_calls_differ(noise: Noise, image: Tensor, device: str) -> None:
    generator = torch.Generator(device).manual_seed(3)
    first, second = (noise(image, 2.0, generator=generator) for _ in range(2))
    generator.manual_seed(3)
    assert torch.equal(noise(image, 2.0, generator=generator), first)
    assert not torch.equal(first, second)


def test_a_generator_draws_what_the_global_one_would(
    noise: Noise, module: Module, image: Tensor, device: str
) -> None:
    torch.manual_seed(3)
    expected = noise(image, (1.0, 2.0))
    generator = torch.Generator(device).manual_seed(3)
    assert torch.equal(noise(image, (1.0, 2.0), generator=generator), expected)
    generator.manual_seed(3)
    assert torch.equal(module((1.0, 2.0))(image, generator=generator), expected)


@pytest.mark.parametrize("severity", [2.0, (1.0, 2.0)])
def test_seed_and_generator_leave_the_global_generator_alone(
    noise: Noise, severity: float | tuple[float, float], image: Tensor, device: str
) -> None:
    before = global_state(device)
    noise(image, severity, generator=torch.Generator(device))
    noise(image, severity, seed=1)
    noise(image, severity, seed=torch.tensor([1, 2]))
    assert torch.equal(global_state(device), before)
    noise(image, severity)
    assert not torch.equal(global_state(device), before)


def test_severity_zero_draws_nothing(noise: Noise, image: Tensor, device: str) -> None:
    before = global_state(device)
    noise(image, 0.0)
    assert torch.equal(global_state(device), before)


# seeds


def test_the_number_of_threads_changes_no_noise(noise: Noise) -> None:
    image = torch.rand(2, 1, 256, 256)
    single = noise(image, 2.0, seed=0)
    torch.set_num_threads(2)
    try:
        assert torch.equal(noise(image, 2.0, seed=0), single)
    finally:
        torch.set_num_threads(1)


def test_seeds_reproduce_and_differ(noise: Noise, image: Tensor) -> None:
    seeds = (0, 1, 2, -1, 2**31, 2**32, 2**63, torch.tensor(5), torch.tensor([7, 8]))
    noisy = [noise(image, 2.0, seed=seed) for seed in seeds]
    for seed, expected in zip(seeds, noisy, strict=True):
        assert torch.equal(noise(image, 2.0, seed=seed), expected)
    # the first image under [7, 8] is the first under 7
    firsts = torch.stack([one[0] for one in noisy]).flatten(1)
    assert len(firsts.unique(dim=0)) == len(seeds)


def test_the_batch_of_an_int_is_the_batch_of_its_image_seeds(noise: Noise, image: Tensor) -> None:
    explicit = noise(image, 2.0, seed=image_seeds(9, range(2)))
    assert torch.equal(noise(image, 2.0, seed=9), explicit)
    assert torch.equal(noise(image, 2.0, seed=torch.tensor(9)), explicit)


def test_three_axes_are_one_image_until_an_argument_is_per_image(
    noise: Noise, image: Tensor
) -> None:
    film = image[:, 0]
    channels = noise(film, 2.0, seed=9)
    batch = noise(film, torch.tensor([2.0, 2.0]), seed=9)
    assert torch.equal(batch, noise(film, 2.0, seed=image_seeds(9, range(2))))
    assert not torch.equal(batch[1], channels[1])


def test_images_of_equal_seed_get_equal_noise(noise: Noise, image: Tensor) -> None:
    twice = image[:1].repeat(2, 1, 1, 1)
    first, second = noise(twice, 2.0, seed=torch.tensor([4, 4]))
    assert torch.equal(first, second)


@pytest.mark.parametrize("integer", [np.uint8(5), np.int64(5)], ids=repr)
def test_numpys_integers_are_integers(noise: Noise, image: Tensor, integer: np.integer) -> None:
    assert torch.equal(noise(image, 2.0, seed=integer), noise(image, 2.0, seed=5))
    assert torch.equal(image_seeds(integer, [1, 2]), image_seeds(5, [1, 2]))


def test_seed_zero_shares_no_numbers_with_the_global_generator(device: str) -> None:
    image = torch.full((1, 1, 64, 64), 0.5, device=device)
    torch.manual_seed(0)
    callers_own = 0.5 + 0.1 * torch.randn(image.shape, device=device)
    noises = (lambda _: callers_own, partial(electronic_noise, se=1.0, seed=0))
    laws.check_independence(*noises, image=image, se=1.0)


def test_seeds_that_agree_in_32_mixed_bits_differ() -> None:
    # the first such pair of integers; among 1e5 films one pair is expected
    image = torch.full((1, 8, 8), 0.5)
    first, second = (quantum_noise(image, 2.0, seed=seed) for seed in (85078, 177926))
    assert not torch.equal(first, second)


# seeds per image


@pytest.mark.parametrize(("ids", "seeds"), [(NUMBERS, NUMBER_SEEDS), (NAMES, NAME_SEEDS)])
def test_image_seeds_never_change(ids: list[int] | list[str], seeds: list[int]) -> None:
    assert image_seeds(7, ids).tolist() == seeds
    assert image_seeds(7 + 2**64, iter(ids)).tolist() == seeds


def test_image_seeds_of_a_tensor_are_those_of_its_numbers(device: str) -> None:
    seeds = image_seeds(7, torch.tensor(NUMBERS, device=device))
    assert (seeds.dtype, seeds.device.type) == (torch.int64, device)
    assert seeds.tolist() == NUMBER_SEEDS
    assert image_seeds(7, list(torch.tensor(NUMBERS))).tolist() == NUMBER_SEEDS


def test_image_0_keeps_the_base_seed() -> None:
    for seed in (0, 1, -5, 2**63 - 1, -(2**63)):
        assert image_seeds(seed, [0]).item() == seed


def test_image_seeds_go_with_their_image() -> None:
    names = [f"film_{number}" for number in range(20)]
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    shuffled = [names[place] for place in order.tolist()]
    assert torch.equal(image_seeds(3, shuffled), image_seeds(3, names)[order])


def test_image_seeds_do_not_collide() -> None:
    names = [f"{number:08d}_000.png" for number in range(100_000)]
    seeds = torch.cat([image_seeds(repeat, names) for repeat in (0, 1)])
    assert len(seeds.unique()) == len(seeds)
    numbers = torch.cat([image_seeds(repeat, range(1000)) for repeat in range(100)])
    assert len(numbers.unique()) == len(numbers)


def test_no_images_have_no_seeds() -> None:
    assert image_seeds(7, []).shape == (0,)
    assert image_seeds(7, []).dtype == torch.int64


# drawn severities


def draw(module: nn.Module, images: int, seed: int | Tensor | None = None) -> Tensor:
    module(torch.zeros(images, 1, 1, 1), seed=seed)
    return next(iter(module.drawn.values()))


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_a_range_is_drawn_uniformly_and_independently(seed: int | None) -> None:
    torch.manual_seed(0)
    noise = RadiographicNoise((1.0, 4.0), [0.5, 1.5])
    noise(torch.zeros(5000, 1, 1, 1), seed=seed)
    sq, se = noise.drawn["sq"], noise.drawn["se"]
    assert sq.shape == se.shape == (5000,)
    # two Kolmogorov-Smirnov tests for each of three seeds
    for severity, low, width in ((sq, 1.0, 3.0), (se, 0.5, 1.0)):
        assert low <= severity.min() < severity.max() <= low + width
        uniform = stats.kstest(severity.numpy(), "uniform", (low, width))
        laws.fits(uniform.pvalue, 6, "Kolmogorov-Smirnov against the uniform")
    # of variance 1/12 each
    scaled = torch.stack([(sq - 2.5) / 3, se - 1]).double() * 12**0.5
    error = torch.tensor(5000).rsqrt().double()
    laws.within((scaled[0] * scaled[1]).mean(), 0 * error, error, "covariance of sq and se")
    successive = (scaled[:, 1:] * scaled[:, :-1]).mean(1)
    laws.within(successive, 0 * successive, error.expand(2), "covariance of successive images")


def test_a_drawn_severity_is_not_the_noise_of_its_image() -> None:
    # were both from one stream, a high severity would come with a high first pixel
    noise = ElectronicNoise((1.0, 3.0))
    first = noise(torch.zeros(5000, 1, 1, 1), seed=0).flatten().sign().double()
    severity = (noise.drawn["se"].double() - 2) * 3**0.5
    error = torch.tensor(5000).rsqrt().double()
    laws.within((first * severity).mean(), 0 * error, error, "covariance of severity and noise")


@pytest.mark.parametrize("seed", [None, 3])
def test_every_image_and_call_draws_its_own_severity(module: Module, seed: int | None) -> None:
    torch.manual_seed(0)
    noise = module((1.0, 4.0))
    severities = draw(noise, 100, seed)
    assert len(severities.unique()) == 100
    assert torch.equal(draw(noise, 100, seed), severities) == (seed is not None)


def test_a_drawn_severity_given_as_a_tensor_makes_the_same_noise(
    noise: Noise, module: Module, image: Tensor
) -> None:
    drawing = module((1.0, 4.0))
    for seed in (3, torch.tensor([11, 12])):
        noisy = drawing(image, seed=seed)
        assert torch.equal(type(drawing)(**drawing.drawn)(image, seed=seed), noisy)
        assert torch.equal(noise(image, (1.0, 4.0), seed=seed), noisy)


def test_a_drawn_severity_belongs_to_its_image(module: Module) -> None:
    noise = module((1.0, 4.0))
    seeds = torch.tensor([5, 6, 7])
    severities = draw(noise, 3, seeds)
    assert torch.equal(draw(noise, 3, seeds.flip(0)), severities.flip(0))
    assert torch.equal(draw(noise, 1, seeds[1:2]), severities[1:2])
    noise(torch.zeros(1, 1), seed=5)
    assert next(iter(noise.drawn.values())) == severities[0]


def test_one_image_draws_one_severity(module: Module) -> None:
    noise = module((1.0, 4.0))
    noise(torch.zeros(3, 8, 8), seed=0)
    assert all(severity.shape == () for severity in noise.drawn.values())


def test_a_range_of_one_value_is_that_value(noise: Noise, image: Tensor) -> None:
    assert torch.equal(noise(image, (3.0, 3.0), seed=1), noise(image, 3.0, seed=1))
    assert torch.equal(noise(image, [3.0, 3.0], seed=1), noise(image, 3.0, seed=1))


def test_drawn_holds_a_fixed_severity_as_it_is(module: Module, image: Tensor) -> None:
    noise = module(2.0)
    noise(image)
    assert set(noise.drawn.values()) == {2.0}
    noise = module(torch.tensor([1.0, 2.0]))
    noise(image)
    assert all(severity.tolist() == [1.0, 2.0] for severity in noise.drawn.values())


def test_drawn_is_empty_before_the_first_call() -> None:
    assert QuantumNoise((1.0, 4.0)).drawn == {}


def test_a_range_gives_the_seeds_noise_in_every_thread() -> None:
    film = torch.rand(2, 1, 16, 16)
    noise = QuantumNoise((1.0, 8.0))
    expected = [noise(film, seed=seed) for seed in range(200)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda seed: noise(film, seed=seed), range(200)))
    finally:
        sys.setswitchinterval(interval)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
