"""Every refusal says which argument, what must hold, and what was given."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms import (
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    image_seeds,
    quantum_noise,
    radiographic_noise,
)

Noise = Callable[..., Tensor]
Module = Callable[..., nn.Module]

IMAGE = torch.full((2, 1, 4, 4), 0.5)
NAN, INF = math.nan, math.inf

IMAGES = (
    (np.zeros((4, 4)), TypeError, r"image must be a torch\.Tensor, got numpy\.ndarray"),
    ([[0.0, 1.0]], TypeError, r"image must be a torch\.Tensor, got builtins\.list"),
    (None, TypeError, r"image must be a torch\.Tensor, got builtins\.NoneType"),
    (torch.zeros(4, 4, dtype=torch.int64), TypeError, r"image must be uint8, .* got torch\.int64"),
    (torch.zeros(4, 4, dtype=torch.bool), TypeError, r"image must be uint8, .* got torch\.bool"),
    (torch.zeros(4, 4) * 1j, TypeError, r"image must be uint8, .* got torch\.complex64"),
    (torch.zeros(4, 4).to(torch.float8_e5m2), TypeError, r"got torch\.float8_e5m2"),
    (torch.zeros(4), ValueError, r"image must have shape \(\.\.\., H, W\), got 1 axes \(4,\)"),
    (torch.tensor(0.5), ValueError, r"image must have shape \(\.\.\., H, W\), got 0 axes \(\)"),
    (torch.eye(4).to_sparse(), TypeError, r"image must be a dense tensor, got .*sparse_coo"),
)

NOT_NEGATIVE = r"s[qe] must be finite and not negative, got"
BOTH_ENDS = r"both ends of s[qe] must be finite and not negative, got"
A_NUMBER = (
    r"s[qe] must be a number, a range \(low, high\), a tensor \(B,\) or a torch distribution, got"
)

# refused by the module when it is made, and by the function when it is called
SEVERITIES = (
    (-1, ValueError, f"{NOT_NEGATIVE} -1"),
    (-1e-9, ValueError, f"{NOT_NEGATIVE} -1e-09"),
    (NAN, ValueError, f"{NOT_NEGATIVE} nan"),
    (INF, ValueError, f"{NOT_NEGATIVE} inf"),
    (np.float32(-2), ValueError, f"{NOT_NEGATIVE} -2"),
    (torch.tensor(-1.0), ValueError, rf"{NOT_NEGATIVE} -1\.0"),
    (torch.tensor([1.0, -3.0]), ValueError, rf"{NOT_NEGATIVE} -3\.0"),
    (torch.tensor([1.0, NAN]), ValueError, f"{NOT_NEGATIVE} nan"),
    (torch.tensor([INF, 1.0]), ValueError, f"{NOT_NEGATIVE} inf"),
    (torch.tensor([1, -3]), ValueError, f"{NOT_NEGATIVE} -3"),
    ((-1, 1), ValueError, f"{BOTH_ENDS} -1"),
    ((1, INF), ValueError, f"{BOTH_ENDS} inf"),
    ([NAN, 1], ValueError, f"{BOTH_ENDS} nan"),
    ((2, 1), ValueError, r"s[qe] must be a range .* with low <= high, got \(2, 1\)"),
    ((1, 2, 3), ValueError, r"s[qe] must be .* got a tuple of 3"),
    ([1.0], ValueError, r"s[qe] must be .* got a list of 1"),
    ((), ValueError, r"s[qe] must be .* got a tuple of 0"),
    (torch.ones(2, 1), ValueError, r"s[qe] must .* shape \(B,\).* got shape \(2, 1\)"),
    ("2", TypeError, f"{A_NUMBER} str"),
    (None, TypeError, f"{A_NUMBER} NoneType"),
    (True, TypeError, f"{A_NUMBER} bool"),
    (1j, TypeError, f"{A_NUMBER} complex"),
    (np.ones(2), TypeError, f"{A_NUMBER} ndarray"),
    (("1", 2), TypeError, r"both ends of s[qe] must be a number.* got str"),
    ((True, 2), TypeError, r"both ends of s[qe] must be a number.* got bool"),
    (torch.tensor([True, False]), TypeError, r"s[qe] must be real, got torch\.bool"),
    (torch.ones(2) * 1j, TypeError, r"s[qe] must be real, got torch\.complex64"),
)

# refused once the image is known
LENGTHS = (
    (IMAGE, torch.ones(3), r"must have one value per image, 2 for .*\(2, 1, 4, 4\), got 3"),
    (IMAGE, torch.ones(1), r"must have one value per image, 2 for .*\(2, 1, 4, 4\), got 1"),
    (IMAGE[0, 0], torch.ones(1), r"needs an image with a leading batch axis.*shape \(4, 4\)"),
    (IMAGE[0, 0], torch.ones(4), r"needs an image with a leading batch axis.*shape \(4, 4\)"),
)

DIGITISERS = (
    ({"bits": 0}, ValueError, "bits must be between 1 and 16, got 0"),
    ({"bits": 17}, ValueError, "bits must be between 1 and 16, got 17"),
    ({"bits": -8}, ValueError, "bits must be between 1 and 16, got -8"),
    ({"bits": 2.5}, TypeError, r"bits must be None or an integer, got 2\.5"),
    ({"bits": 8.0}, TypeError, r"bits must be None or an integer, got 8\.0"),
    ({"bits": True}, TypeError, "bits must be None or an integer, got True"),
    ({"bits": "8"}, TypeError, "bits must be None or an integer, got '8'"),
    ({"clip": 1}, TypeError, "clip must be True or False, got 1"),
    ({"clip": None}, TypeError, "clip must be True or False, got None"),
    ({"value_range": (0, 0)}, ValueError, r"value_range must be .* low < high, got \(0, 0\)"),
    ({"value_range": [1, 0]}, ValueError, r"value_range must be .* low < high, got \(1, 0\)"),
    ({"value_range": (0, INF)}, ValueError, r"value_range must be finite .* got \(0, inf\)"),
    ({"value_range": (-INF, 0)}, ValueError, r"value_range must be finite .* got \(-inf, 0\)"),
    ({"value_range": (NAN, 1)}, ValueError, r"value_range must be finite .* got \(nan, 1\)"),
    ({"value_range": (0, 1, 2)}, TypeError, r"value_range must be two numbers .* \(0, 1, 2\)"),
    ({"value_range": "01"}, TypeError, r"value_range must be two numbers .* got '01'"),
    ({"value_range": 255}, TypeError, r"value_range must be two numbers .* got 255"),
    ({"value_range": (False, True)}, TypeError, r"two numbers .* got \(False, True\)"),
)

SCALES = (
    (0, ValueError, "must be positive and finite, got 0"),
    (-1.0, ValueError, r"must be positive and finite, got -1\.0"),
    (NAN, ValueError, "must be positive and finite, got nan"),
    (INF, ValueError, "must be positive and finite, got inf"),
    ("1", TypeError, "must be a number, got str"),
    (True, TypeError, "must be a number, got bool"),
    (torch.tensor(1.0), TypeError, "must be a number, got Tensor"),
)

SEEDS = (
    (1.0, TypeError, r"seed must be an int or an int64 tensor \(B,\), got float 1\.0"),
    (True, TypeError, r"seed must be an int or an int64 tensor \(B,\), got bool True"),
    ("7", TypeError, r"seed must be an int or an int64 tensor \(B,\), got str '7'"),
    ([1, 2], TypeError, r"seed must be an int or an int64 tensor \(B,\), got list \[1, 2\]"),
    (torch.tensor([1, 2], dtype=torch.int32), TypeError, r"seed must be int64 .* torch\.int32"),
    (torch.tensor([1.0, 2.0]), TypeError, r"seed must be int64 .* got torch\.float32"),
    (torch.tensor([True, False]), TypeError, r"seed must be int64 .* got torch\.bool"),
    (torch.tensor([[1], [2]]), ValueError, r"seed must have shape \(B,\).* got \(2, 1\)"),
    (torch.arange(3), ValueError, "seed must have one value per image, 2 for .* got 3"),
    (torch.arange(1), ValueError, "seed must have one value per image, 2 for .* got 1"),
)

IDS = (
    ("film.png", r"image_ids must hold one identity per image, got one string 'film\.png'"),
    ([1.0], "image_ids must be integers or strings, got float"),
    ([None], "image_ids must be integers or strings, got NoneType"),
    ([b"film"], "image_ids must be integers or strings, got bytes"),
    ([("a", 1)], "image_ids must be integers or strings, got tuple"),
    (torch.tensor([1.0]), r"image_ids must be int64 of shape \(B,\) .* got torch\.float32"),
    (torch.tensor([[1]]), r"image_ids must be int64 of shape \(B,\) .* of shape \(1, 1\)"),
    (torch.tensor(1), r"image_ids must be int64 of shape \(B,\) .* of shape \(\)"),
)

Refusal = type[Exception]


@pytest.mark.parametrize(("image", "error", "message"), IMAGES)
@pytest.mark.parametrize("severity", [0.0, 1.0, (0.0, 1.0)])
def test_images(noise: Noise, severity: float, image: object, error: Refusal, message: str) -> None:
    with pytest.raises(error, match=message):
        noise(image, severity)


def test_pil_images(noise: Noise) -> None:
    pil = pytest.importorskip("PIL.Image")
    with pytest.raises(TypeError, match=r"image must be a torch\.Tensor, got PIL\.Image\.Image"):
        noise(pil.new("L", (4, 4)), 1.0)


def test_images_are_refused_by_modules_too(module: Module) -> None:
    with pytest.raises(TypeError, match=r"image must be a torch\.Tensor, got numpy\.ndarray"):
        module(1.0)(np.zeros((4, 4)))


@pytest.mark.parametrize(("severity", "error", "message"), SEVERITIES)
def test_severities(
    noise: Noise, module: Module, severity: object, error: Refusal, message: str
) -> None:
    with pytest.raises(error, match=message):
        noise(IMAGE, severity)
    with pytest.raises(error, match=message):
        module(severity)


@pytest.mark.parametrize(("image", "severity", "message"), LENGTHS)
def test_lengths_of_severities(
    noise: Noise, module: Module, image: Tensor, severity: Tensor, message: str
) -> None:
    for refused in (noise, lambda image, severity: module(severity)(image)):
        with pytest.raises(ValueError, match=f"s[qe] .*{message}"):
            refused(image, severity)


def test_each_of_two_severities_is_checked_and_named() -> None:
    with pytest.raises(ValueError, match="sq must be finite and not negative, got -1"):
        radiographic_noise(IMAGE, -1, 1)
    with pytest.raises(ValueError, match="se must be finite and not negative, got -1"):
        radiographic_noise(IMAGE, 1, -1)
    with pytest.raises(ValueError, match="se must have one value per image"):
        radiographic_noise(IMAGE, torch.ones(2), torch.ones(3))


@pytest.mark.parametrize(("arguments", "error", "message"), DIGITISERS)
def test_digitisers(
    noise: Noise, module: Module, arguments: dict[str, object], error: Refusal, message: str
) -> None:
    with pytest.raises(error, match=message):
        noise(IMAGE, 1.0, **arguments)
    with pytest.raises(error, match=message):
        module(1.0, **arguments)


@pytest.mark.parametrize(("scale", "error", "message"), SCALES)
def test_scales(scale: object, error: Refusal, message: str) -> None:
    for refused in (
        lambda n0: quantum_noise(IMAGE, 1.0, n0=n0),
        lambda n0: QuantumNoise(1.0, n0=n0),
        lambda n0: radiographic_noise(IMAGE, 1.0, 1.0, n0=n0),
        lambda n0: RadiographicNoise(1.0, 1.0, n0=n0),
    ):
        with pytest.raises(error, match=f"n0 {message}"):
            refused(scale)
    for refused in (
        lambda sigma0: electronic_noise(IMAGE, 1.0, sigma0=sigma0),
        lambda sigma0: ElectronicNoise(1.0, sigma0=sigma0),
        lambda sigma0: radiographic_noise(IMAGE, 1.0, 1.0, sigma0=sigma0),
        lambda sigma0: RadiographicNoise(1.0, 1.0, sigma0=sigma0),
    ):
        with pytest.raises(error, match=f"sigma0 {message}"):
            refused(scale)


@pytest.mark.parametrize(("seed", "error", "message"), SEEDS)
@pytest.mark.parametrize("severity", [0.0, 1.0, (0.0, 1.0)])
def test_seeds(
    noise: Noise, module: Module, severity: float, seed: object, error: Refusal, message: str
) -> None:
    with pytest.raises(error, match=message):
        noise(IMAGE, severity, seed=seed)
    with pytest.raises(error, match=message):
        module(severity)(IMAGE, seed=seed)


def test_a_seed_per_image_needs_a_batch(noise: Noise) -> None:
    message = r"seed with one value per image needs an image with a leading batch axis.*\(4, 4\)"
    with pytest.raises(ValueError, match=message):
        noise(IMAGE[0, 0], 1.0, seed=torch.arange(4))


def test_seed_and_generator_together(noise: Noise) -> None:
    with pytest.raises(ValueError, match="give seed or generator, not both"):
        noise(IMAGE, 1.0, seed=0, generator=torch.Generator())


@pytest.mark.parametrize("generator", [0, "cpu", np.random.default_rng(0)], ids=str)
def test_generators_of_another_kind(noise: Noise, generator: object) -> None:
    message = rf"generator must be a torch\.Generator, got {type(generator).__name__}"
    with pytest.raises(TypeError, match=message):
        noise(IMAGE, 1.0, generator=generator)


def test_a_generator_on_another_device_than_the_image(noise: Noise) -> None:
    image = IMAGE.to("meta")
    message = "generator must be on the image's device meta, got cpu"
    with pytest.raises(ValueError, match=message):
        noise(image, 1.0, generator=torch.Generator())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cpu_generator_for_a_cuda_image_and_the_reverse(noise: Noise) -> None:
    with pytest.raises(ValueError, match=r"generator must be on .* cuda:0, got cpu"):
        noise(IMAGE.to("cuda:0"), 1.0, generator=torch.Generator())
    with pytest.raises(ValueError, match=r"generator must be on .* cpu, got cuda"):
        noise(IMAGE, 1.0, generator=torch.Generator("cuda"))


@pytest.mark.parametrize(("ids", "message"), IDS)
def test_image_ids(ids: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        image_seeds(7, ids)


@pytest.mark.parametrize("seed", [1.5, "7", None, True, torch.tensor(7)], ids=str)
def test_base_seeds(seed: object) -> None:
    with pytest.raises(TypeError, match="seed must be an int"):
        image_seeds(seed, [1, 2])


def test_a_sparse_severity(noise: Noise) -> None:
    with pytest.raises(TypeError, match=r"s[qe] must be a dense tensor"):
        noise(IMAGE, torch.ones(2).to_sparse())


def test_a_refused_call_leaves_the_generators_alone(noise: Noise) -> None:
    before = torch.get_rng_state()
    for severity in (-1.0, torch.ones(3), (2.0, 1.0)):
        with pytest.raises(ValueError, match=r"s[qe]"):
            noise(IMAGE, severity)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("value_range", [(0.0, 1e-300), (-1e308, 1e308), (0.0, 1e31)])
def test_value_ranges_that_float32_cannot_hold(noise: Noise, value_range: object) -> None:
    with pytest.raises(ValueError, match=r"value_range must span at least 1e-30 within .*, got \("):
        noise(IMAGE, 1.0, value_range=value_range)


def test_integers_beyond_every_float(noise: Noise) -> None:
    with pytest.raises(ValueError, match=r"s[qe] must be finite, got an integer beyond every"):
        noise(IMAGE, 10**400)
