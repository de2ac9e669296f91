"""On a CUDA device: laws, the CPU's bits, no waiting, graphs, autocast, generators, adapters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import laws
import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms import ElectronicNoise, QuantumNoise, RadiographicNoise, image_seeds

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)

Noise = Callable[..., Tensor]

FULL_SCALE = {torch.uint8: 255, torch.uint16: 65535}
DTYPES = (*FULL_SCALE, torch.float16, torch.bfloat16, torch.float32, torch.float64)
SEEDS = torch.tensor([0, -1, 2**40, 7])
# torch says once per process that its check for waiting is a prototype
pytestmark = pytest.mark.filterwarnings("ignore:Synchronization debug mode")


@pytest.fixture(params=["torch", "triton"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "triton":
        pytest.importorskip("triton", minversion="3.2")
    return request.param


@pytest.fixture(params=[None, "triton"], ids=["default", "triton"])
def promised(request: pytest.FixtureRequest) -> str | None:
    """What must follow the laws; the reference is looked at by the benchmarks alone."""
    if request.param == "triton":
        pytest.importorskip("triton", minversion="3.2")
    return request.param


def films(dtype: torch.dtype = torch.float32) -> Tensor:
    """Four films on the CPU, with every grey level of 8 bit and bright enough for photons."""
    levels = torch.randint(1, 256, (4, 1, 96, 96), generator=torch.Generator().manual_seed(1))
    if dtype in FULL_SCALE:
        return (levels * (FULL_SCALE[dtype] // 255)).to(dtype)
    return (levels / 255).to(dtype)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator("cuda").manual_seed(seed)


@contextmanager
def no_waiting() -> Iterator[None]:
    """Whatever makes the CPU wait for the device raises."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def captured(call: Callable[[], Tensor], *generators: torch.Generator) -> Callable[[], Tensor]:
    """A call as a CUDA graph; what it returns is a copy of what the replay wrote."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    for own in generators:
        graph.register_generator_state(own)
    with torch.cuda.graph(graph):
        result = call()

    def replay() -> Tensor:
        graph.replay()
        return result.clone()

    return replay


# the noise


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_every_dtype_keeps_its_image(
    noise: Noise, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    image = films(dtype).cuda().expand(4, 3, 96, 96).contiguous(memory_format=layout)
    clean = image.cpu()
    for arguments in ({}, {"seed": SEEDS}, {"generator": generator()}, {"backend": "torch"}):
        noisy = noise(image, 2.0, **arguments)
        assert (noisy.dtype, noisy.device, noisy.shape) == (dtype, image.device, image.shape)
        assert noisy.stride() == image.stride()
        assert not torch.equal(noisy.cpu(), clean)
    assert torch.equal(image.cpu(), clean)
    assert torch.equal(noise(image, 0.0).cpu(), clean)


@pytest.mark.parametrize("sq", [1.0, 4.0, 10.0])
def test_counts_follow_poissons_law(sq: float, promised: str | None) -> None:
    torch.manual_seed(0)
    flat = torch.full((1, 512, 512), 0.9, device="cuda")
    laws.check_counts(QuantumNoise(sq, backend=promised), flat, sq, tests=6)


def test_read_out_follows_the_normal_law(promised: str | None) -> None:
    torch.manual_seed(0)
    flat = torch.full((1, 512, 512), 0.5, device="cuda")
    laws.check_normality(ElectronicNoise(1.0, backend=promised), flat, tests=2, se=1.0)


@pytest.mark.parametrize("sq", [1.0, 4.0, 10.0])
def test_films_of_a_large_batch_and_calls_are_independent(sq: float, promised: str | None) -> None:
    torch.manual_seed(0)
    noise = QuantumNoise(sq, backend=promised)
    flat = torch.full((1024, 1024), 0.9, device="cuda")
    batch = flat.expand(4, 1, -1, -1)
    first = noise(batch)
    draws = iter([first[0, 0], first[1, 0], first[3, 0], noise(batch)[0, 0]])
    laws.check_independence(*[lambda _: next(draws)] * 4, image=flat, sq=sq)


@pytest.mark.parametrize("sq", [1.0, 4.0, 10.0])
def test_the_pixels_of_a_large_film_are_independent(sq: float, promised: str | None) -> None:
    torch.manual_seed(0)
    flat = torch.full((2048, 2048), 0.9, device="cuda")
    noisy = QuantumNoise(sq, backend=promised)(flat)
    standard = (noisy - flat).double() / (0.9 * sq**2 / 1000) ** 0.5
    # the correlation at every shift at once, by the theorem of Wiener and Khinchin
    power = torch.fft.rfft2(standard).abs().square()
    correlation = torch.fft.irfft2(power, s=standard.shape).flatten()[1:] / standard.numel()
    # the largest of 4 million normal values lies beyond 7.5 standard errors once in 1e7
    assert correlation.abs().max() < 7.5 * standard.numel() ** -0.5


@pytest.mark.parametrize("severity", [0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_seed_gives_the_cpus_bits(noise: Noise, dtype: torch.dtype, severity: float) -> None:
    image = films(dtype)
    per_image = torch.tensor([0.0, 0.3, 1.0, 1.5]) * severity
    for given in (severity, per_image, (0.0, severity)):
        for seed in (SEEDS, 5):
            expected = noise(image, given, seed=seed)
            assert torch.equal(noise(image.cuda(), given, seed=seed).cpu(), expected)
        on_device = noise(image.cuda(), given, seed=SEEDS.cuda())
        assert torch.equal(on_device.cpu(), noise(image, given, seed=SEEDS))
    alone = noise(image[2].cuda(), severity, seed=int(SEEDS[2]))
    assert torch.equal(alone.cpu(), noise(image, severity, seed=SEEDS)[2])


@pytest.mark.parametrize("severity", [1.0, 4.0, 6.0, 10.0])
def test_the_fused_kernel_draws_the_cpus_noise(noise: Noise, severity: float) -> None:
    pytest.importorskip("triton", minversion="3.2")
    image = films()
    noisy = noise(image.cuda(), severity, seed=SEEDS.cuda(), backend="triton").cpu()
    torch.testing.assert_close(noisy, noise(image, severity, seed=SEEDS), rtol=1e-5, atol=1e-6)


# without a wait


def test_a_wait_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="synchronizing"), no_waiting():
        torch.ones(1, device="cuda").item()


def test_noise_never_waits_for_the_device(noise: Noise, backend: str) -> None:
    image, eight_bit = films().cuda(), films(torch.uint8).cuda()
    severities, own = torch.tensor([0.0, 1.0, 4.0, 9.0], device="cuda"), generator()

    def calls() -> None:
        for severity in (4.0, (0.0, 4.0), severities):
            noise(image, severity, backend=backend)
        noise(image, 4.0, bits=8)
        noise(eight_bit, 4.0, backend=backend)
        noise(image, 4.0, generator=own, backend=backend)

    # the first call compiles and allocates
    calls()
    with no_waiting():
        calls()


def test_the_fused_kernel_never_waits_for_seeds_on_the_device(noise: Noise) -> None:
    pytest.importorskip("triton", minversion="3.2")
    image, seeds = films().cuda(), SEEDS.cuda()
    expected = noise(image, 4.0, seed=seeds, backend="triton")
    with no_waiting():
        noisy = noise(image, 4.0, seed=seeds, backend="triton")
    assert torch.equal(noisy, expected)


# in a graph


def test_every_replay_of_a_graph_draws_afresh(noise: Noise, backend: str) -> None:
    torch.manual_seed(0)
    image = films().cuda()
    replay = captured(lambda: noise(image, 4.0, backend=backend))
    first, second = replay(), replay()
    assert not torch.equal(first, second)
    # new films in the same memory
    image.zero_()
    replayed = replay()
    assert replayed.mean().abs() < 0.05
    assert not torch.equal(replayed, first)


@pytest.mark.parametrize("severity", [4.0, (1.0, 4.0)], ids=str)
def test_a_graph_draws_from_its_own_generator(noise: Noise, backend: str, severity: Any) -> None:
    image, own = films().cuda(), generator()
    replay = captured(lambda: noise(image, severity, generator=own, backend=backend), own)
    own.manual_seed(3)
    first, second = replay(), replay()
    own.manual_seed(3)
    assert torch.equal(replay(), first)
    assert not torch.equal(first, second)
    assert torch.equal(
        noise(image, severity, generator=generator(3), backend=backend),
        first,
    )


def test_a_graph_keeps_its_seeds_and_takes_new_ones(noise: Noise) -> None:
    pytest.importorskip("triton", minversion="3.2")
    image, seeds = films().cuda(), SEEDS.cuda()
    replay = captured(lambda: noise(image, 4.0, seed=seeds, backend="triton"))
    assert torch.equal(replay(), noise(image, 4.0, seed=SEEDS, backend="triton"))
    seeds += 1
    assert torch.equal(replay(), noise(image, 4.0, seed=SEEDS + 1, backend="triton"))


# autocast and generators


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("lower", [torch.float16, torch.bfloat16], ids=str)
def test_autocast_changes_nothing(
    noise: Noise, backend: str, dtype: torch.dtype, lower: torch.dtype
) -> None:
    image = films(dtype).cuda()
    expected = noise(image, (1.0, 4.0), generator=generator(), backend=backend)
    with torch.autocast("cuda", dtype=lower):
        noisy = noise(image, (1.0, 4.0), generator=generator(), backend=backend)
    assert noisy.dtype == dtype
    assert torch.equal(noisy, expected)


def test_a_generator_on_the_device_is_the_only_source(noise: Noise, backend: str) -> None:
    image, own = films().cuda(), generator(5)
    before = torch.cuda.get_rng_state()
    first, second = (noise(image, (1.0, 4.0), generator=own, backend=backend) for _ in range(2))
    assert not torch.equal(first, second)
    own.manual_seed(5)
    assert torch.equal(noise(image, (1.0, 4.0), generator=own, backend=backend), first)
    noise(image, 4.0, seed=SEEDS)
    assert torch.equal(torch.cuda.get_rng_state(), before)


def test_torchs_global_seed_repeats_the_noise(noise: Noise, backend: str) -> None:
    image, draws = films().cuda(), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(noise(image, 4.0, backend=backend))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_gradients_arrive_on_the_device(noise: Noise) -> None:
    image = films()
    gradients = []
    for device in ("cpu", "cuda"):
        given = image.to(device, copy=True).requires_grad_()
        noise(given, 2.0, seed=SEEDS).square().mean().backward()
        assert given.grad is not None
        assert given.grad.device == given.device
        gradients.append(given.grad.cpu())
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


# the adapters


def test_monais_transforms_on_a_device() -> None:
    monai = pytest.importorskip("cxr_noise_transforms.monai", exc_type=ImportError)
    noise = monai.RandNoised("image", QuantumNoise((1, 4)), prob=1.0)
    film = films()[0]
    noisy = {
        device: noise.set_random_state(seed=0)({"image": film.to(device)})["image"]
        for device in ("cpu", "cuda")
    }
    assert noisy["cuda"].device.type == "cuda"
    torch.testing.assert_close(noisy["cuda"].as_tensor().cpu(), noisy["cpu"].as_tensor())


def test_kornias_augmentation_on_a_device() -> None:
    kornia = pytest.importorskip("cxr_noise_transforms.kornia", exc_type=ImportError)
    image = films().cuda()
    augment = kornia.RandomNoise(QuantumNoise((1, 4)), p=0.5)
    noisy = augment(image)
    params = augment._params
    assert noisy.device == image.device
    assert torch.equal(augment(image, params=params), noisy)
    on_cpu = {name: value.cpu() for name, value in params.items()}
    torch.testing.assert_close(augment(image.cpu(), params=on_cpu), noisy.cpu())


def test_torchvisions_transform_on_a_device() -> None:
    torchvision = pytest.importorskip("cxr_noise_transforms.torchvision", exc_type=ImportError)
    tv_tensors = pytest.importorskip("torchvision.tv_tensors")
    transform = torchvision.Noise(RadiographicNoise((1, 4), (0, 1)))
    for dtype in (torch.uint8, torch.float32):
        image, mask = films(dtype).cuda(), torch.ones(4, 96, 96, device="cuda")
        noisy, same = transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
        assert (type(noisy), noisy.dtype, noisy.device) == (tv_tensors.Image, dtype, image.device)
        assert not torch.equal(noisy, image)
        assert torch.equal(same, mask)


def batch() -> dict[str, Any]:
    return {
        "image": films(),
        "label": torch.ones(4, 1, 96, 96),
        "id": ["film_a", "film_b", "film_c", "film_d"],
    }


def test_noisy_batches_with_a_seed_are_the_cpus() -> None:
    monai = pytest.importorskip("cxr_noise_transforms.monai", exc_type=ImportError)
    noise = QuantumNoise(4)
    prepare = monai.NoisyBatch(noise, seed=7, channels=3)
    image, label = prepare(batch(), "cuda")
    assert (image.device.type, label.device.type) == ("cuda", "cuda")
    assert torch.equal(image.cpu(), prepare(batch(), "cpu")[0])
    assert torch.equal(
        image[1, 2].cpu(), noise(films()[1, 0], seed=int(image_seeds(7, ["film_b"])))
    )
    normal, _ = monai.NoisyBatch(noise, seed=7, mean=0.5, std=[0.25])(batch(), "cuda")
    torch.testing.assert_close(normal, (image[:, :1] - 0.5) / 0.25)


def test_noisy_batches_without_a_seed_never_wait() -> None:
    monai = pytest.importorskip("cxr_noise_transforms.monai", exc_type=ImportError)
    given = batch()
    given |= {name: given[name].pin_memory() for name in ("image", "label")}
    for noise in (None, QuantumNoise((0, 4)), RadiographicNoise((0, 4), (0, 1))):
        prepare = monai.NoisyBatch(noise, channels=3)
        first, _ = prepare(given, "cuda", non_blocking=True)
        with no_waiting():
            second, _ = prepare(given, "cuda", non_blocking=True)
        assert torch.equal(first, second) == (noise is None)


def test_an_engine_trains_on_noisy_batches() -> None:
    monai = pytest.importorskip("cxr_noise_transforms.monai", exc_type=ImportError)
    engines = pytest.importorskip("monai.engines")
    network = nn.Conv2d(3, 1, 1).cuda()
    before = network.weight.detach().clone()
    trainer = engines.SupervisedTrainer(
        device=torch.device("cuda"),
        max_epochs=1,
        train_data_loader=[batch(), batch()],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=nn.MSELoss(),
        prepare_batch=monai.NoisyBatch(QuantumNoise((0, 4)), channels=3),
        amp=True,
        decollate=False,
    )
    trainer.run()
    assert trainer.state.iteration == 2
    assert not torch.equal(network.weight, before)
