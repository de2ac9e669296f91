"""What holds for every shape, dtype, severity and seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import laws
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cxr_noise_transforms import (
    electronic_noise,
    image_seeds,
    quantum_noise,
    radiographic_noise,
)

Noise = Callable[..., Tensor]
Module = Callable[..., nn.Module]

DTYPES = (
    torch.uint8,
    torch.uint16,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
)
PIXELS = 2**16

for_all = settings(deadline=None, derandomize=True, max_examples=40)

sizes = st.integers(1, 7)
seeds = st.integers(-(2**63), 2**63 - 1)
# a severity that float32 holds means the same as a number and in a tensor
severities = st.floats(0.0, 20.0, width=32)
positive_severities = st.floats(0.125, 10.0, width=32)
digitisers = st.fixed_dictionaries(
    {}, optional={"clip": st.booleans(), "bits": st.none() | st.integers(1, 16)}
)


def film(shape: list[int], dtype: torch.dtype, seed: int) -> Tensor:
    """Uniform greys over the whole of the dtype's scale."""
    greys = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    full = 1 if dtype.is_floating_point else torch.iinfo(dtype).max
    return (greys * full).to(dtype)


@st.composite
def images(draw: st.DrawFn, batch: st.SearchStrategy[int] | None = None) -> Tensor:
    """Images of two to five axes; with ``batch``, batches of that many images."""
    if batch is None:
        shape = draw(st.lists(sizes, min_size=2, max_size=5))
        if len(shape) >= 4:
            shape[0] = draw(st.integers(0, 3))
    else:
        shape = [draw(batch), *draw(st.lists(sizes, min_size=3, max_size=4))]
    return film(shape, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 99)))


@for_all
@given(image=images(), severity=severities, seed=seeds, digitiser=digitisers)
def test_the_output_is_like_the_input_and_the_input_stays(
    noise: Noise,
    device: str,
    image: Tensor,
    severity: float,
    seed: int,
    digitiser: dict[str, object],
) -> None:
    image = image.to(device)
    before = image.clone()
    noisy = noise(image, severity, **digitiser, seed=seed)
    assert (noisy.shape, noisy.dtype, noisy.device) == (image.shape, image.dtype, image.device)
    assert noisy.stride() == image.stride()
    assert torch.equal(image, before)
    assert torch.equal(noisy, noise(image, severity, **digitiser, seed=seed))


@for_all
@given(image=images(), seed=seeds, digitiser=digitisers)
def test_severity_zero_is_the_identity(
    noise: Noise, device: str, image: Tensor, seed: int, digitiser: dict[str, object]
) -> None:
    image = image.to(device)
    for zero in (0.0, torch.tensor(0.0), (0.0, 0.0)):
        same = noise(image, zero, **digitiser, seed=seed)
        assert torch.equal(same, image)
        assert same.numel() == 0 or same.data_ptr() != image.data_ptr()


@for_all
@given(
    batch=images(st.integers(1, 4)),
    severity=st.lists(severities, min_size=4, max_size=4),
    seed=seeds,
    digitiser=digitisers,
    order=st.permutations(range(4)),
    data=st.data(),
)
def test_noise_of_an_image_ignores_its_company(
    noise: Noise,
    device: str,
    batch: Tensor,
    severity: list[float],
    seed: int,
    digitiser: dict[str, object],
    order: list[int],
    data: st.DataObject,
) -> None:
    count = len(batch)
    batch = batch.to(device)
    severity = torch.tensor(severity[:count])
    expose = partial(noise, **digitiser)
    noisy = expose(batch, severity, seed=seed)

    own_seeds = image_seeds(seed, range(count))
    assert torch.equal(expose(batch, severity, seed=own_seeds), noisy)

    company = torch.tensor([place for place in order if place < count])
    company = company[: data.draw(st.integers(1, count), label="images kept")]
    # some dtypes cannot be indexed by a tensor
    chosen = torch.stack([batch[place] for place in company.tolist()])
    among_others = expose(chosen, severity[company], seed=own_seeds[company])
    for place, one in zip(company.tolist(), among_others, strict=True):
        assert torch.equal(one, noisy[place])

    for place in range(count):
        alone = batch[place : place + 1]
        own_seed, own_severity = own_seeds[place : place + 1], severity[place].item()
        assert torch.equal(expose(alone, own_severity, seed=own_seed)[0], noisy[place])
        if batch.ndim == 4:
            unbatched = expose(batch[place], own_severity, seed=own_seed.item())
            assert torch.equal(unbatched, noisy[place])


@for_all
@given(batch=images(st.integers(0, 4)), severity=severities, seed=seeds, digitiser=digitisers)
def test_a_severity_means_the_same_in_every_form(
    noise: Noise,
    device: str,
    batch: Tensor,
    severity: float,
    seed: int,
    digitiser: dict[str, object],
) -> None:
    batch = batch.to(device)
    expose = partial(noise, **digitiser, seed=seed)
    noisy = expose(batch, severity)
    per_image = torch.full((len(batch),), severity)
    forms = (torch.tensor(severity), per_image, per_image.double(), (severity, severity))
    for form in forms:
        assert torch.equal(expose(batch, form), noisy)


@for_all
@given(image=images(), severity=severities, seed=seeds, data=st.data())
def test_layout_in_memory_changes_no_value(
    noise: Noise, device: str, image: Tensor, severity: float, seed: int, data: st.DataObject
) -> None:
    image = image.to(device)
    noisy = noise(image, severity, seed=seed)
    first, second = data.draw(st.permutations(range(image.ndim)).map(lambda axes: axes[:2]))
    transposed = image.transpose(first, second).contiguous().transpose(first, second)
    spread = torch.stack([image, image], -1)[..., 0]
    for layout in (transposed, spread):
        again = noise(layout, severity, seed=seed)
        assert torch.equal(again, noisy)
    assert noise(transposed, severity, seed=seed).stride() == transposed.stride()


@for_all
@given(shape=st.tuples(sizes, st.integers(2, 4), sizes, sizes), severity=severities, seed=seeds)
def test_channels_last_and_expanded_images_get_the_same_noise(
    noise: Noise, device: str, shape: tuple[int, ...], severity: float, seed: int
) -> None:
    image = torch.rand(shape[0], 1, *shape[2:], device=device).expand(shape)
    noisy = noise(image.contiguous(), severity, seed=seed)
    assert torch.equal(noise(image, severity, seed=seed), noisy)
    last = noise(image.contiguous(memory_format=torch.channels_last), severity, seed=seed)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, noisy)


@for_all
@given(
    grey=st.floats(1 / 64, 1.0, width=32),
    sq=positive_severities,
    se=severities,
    n0=st.floats(100.0, 1e5),
    sigma0=st.floats(1e-3, 1.0),
    seed=seeds,
)
def test_mean_and_variance_follow_the_model(
    device: str, grey: float, sq: float, se: float, n0: float, sigma0: float, seed: int
) -> None:
    # fewer photons in all, and no normal law bounds the moments of so many pixels
    assume(grey * n0 / sq**2 * PIXELS > 1e4)
    # a deviation below the last bits of a pixel is rounded away
    assume(se == 0 or sigma0 * se > 2**-40)
    image = torch.full((1, PIXELS // 256, 256), grey, dtype=torch.float64, device=device)
    for law in (
        {"sq": sq, "n0": n0},
        {"se": se, "sigma0": sigma0},
        {"sq": sq, "n0": n0, "se": se, "sigma0": sigma0},
    ):
        noise = partial(radiographic_noise, **{"sq": 0.0, "se": 0.0, **law}, seed=seed)
        laws.check_moments(noise, image, greys=1, **law)


@for_all
@given(image=images(), severity=severities, seed=seeds, digitiser=digitisers)
def test_radiographic_noise_of_one_source_is_that_noise(
    device: str, image: Tensor, severity: float, seed: int, digitiser: dict[str, object]
) -> None:
    image = image.to(device)
    arguments = {**digitiser, "seed": seed}
    quantum = radiographic_noise(image, severity, 0.0, **arguments)
    assert torch.equal(quantum, quantum_noise(image, severity, **arguments))
    electronic = radiographic_noise(image, 0.0, severity, **arguments)
    assert torch.equal(electronic, electronic_noise(image, severity, **arguments))


@for_all
@given(severity=positive_severities, step=st.floats(1.1, 2.0), seed=seeds)
def test_more_severity_is_more_noise(
    noise: Noise, device: str, severity: float, step: float, seed: int
) -> None:
    image = torch.full((128, 128), 0.5, device=device)
    weaker, stronger = (noise(image, one, seed=seed).std() for one in (severity, step * severity))
    assert weaker < stronger


@for_all
@given(bounds=st.tuples(severities, severities).map(sorted), count=st.integers(0, 9), seed=seeds)
def test_a_range_bounds_every_drawn_severity(
    noise: Noise, module: Module, bounds: list[float], count: int, seed: int
) -> None:
    low, high = bounds
    drawing = module(bounds)
    image = torch.full((count, 1, 5, 6), 0.5)
    noisy = drawing(image, seed=seed)
    assert drawing.drawn
    for severity in drawing.drawn.values():
        assert severity.shape == (count,)
        assert ((low <= severity) & (severity <= high)).all()
    assert torch.equal(noisy, noise(image, (low, high), seed=seed))
    assert torch.equal(noisy, type(drawing)(**drawing.drawn)(image, seed=seed))
