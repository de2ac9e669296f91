"""The peers, one small function each, with a note on what it draws.

Every peer takes the same films and must return films of the same shape, dtype and device. It is
called through its own natural interface; conversions that its interface demands are part of the
call, objects that it keeps between calls are made beforehand. Severities are translated: a gain
(signal per photon) is ``sq² / N0``, a standard deviation ``SIGMA0 se``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cxr_noise_transforms import N0, SIGMA0

from .grid import COPY, Contender

Call = Callable[[], Tensor]

CHAIN = "torch.poisson chain"
NORMAL_CHAIN = "torch.randn chain"
MKL = "mkl_random POISNORM"
DEEPINV_BOTH = "deepinv PoissonGaussianNoise"
COPY_LIMIT = "copy"


def _signal(films: Tensor) -> Tensor:
    return films.to(torch.float32) / 255 if films.dtype == torch.uint8 else films


def _image(noisy: Tensor, films: Tensor) -> Tensor:
    """Float noise as an image like ``films``; full scale is 1."""
    if films.dtype == torch.uint8:
        return (noisy * 255).round().clamp(0, 255).to(torch.uint8)
    return noisy.to(films.dtype)


def _around(films: Tensor, noise: Callable[[Tensor], Tensor]) -> Call:
    """A call of float ``noise``, with the way from and to integers where the films need it."""
    return lambda: _image(noise(_signal(films)), films)


def _around_numpy(
    films: Tensor, noise: Callable[[NDArray[np.float32]], NDArray[np.floating]]
) -> Call:
    """As ``_around`` for a noise of numpy arrays."""
    return _around(films, lambda signal: torch.from_numpy(noise(signal.numpy())))


def _each(films: Tensor, noise: Callable[[NDArray[np.generic]], NDArray[np.generic]]) -> Call:
    """A call of ``noise`` on one film at a time, each an array ``(H, W, 1)``."""

    def call() -> Tensor:
        arrays = films.permute(0, 2, 3, 1).numpy()
        noisy = np.stack([noise(array) for array in arrays])
        return torch.from_numpy(noisy).permute(0, 3, 1, 2)

    return call


def copy(films: Tensor, _: float) -> Call:
    """Nothing: one read and one write of every pixel."""
    return films.clone


def torch_poisson(films: Tensor, sq: float) -> Call:
    """`torch.poisson(x k) / k`, what most training code writes by hand."""
    photons = N0 / sq**2
    return lambda: _image(torch.poisson(_signal(films) * photons) / photons, films)


def torch_poisson_compiled(films: Tensor, sq: float) -> Call:
    """The same under `torch.compile`; `torch.poisson` itself stays one operator."""
    photons = N0 / sq**2

    def noise(films: Tensor) -> Tensor:
        return _image(torch.poisson(_signal(films) * photons) / photons, films)

    return _compiled(noise, films)


def torch_randn(films: Tensor, se: float) -> Call:
    """`x + s torch.randn`."""
    sigma = SIGMA0 * se
    return _around(films, lambda signal: signal + sigma * torch.randn_like(signal))


def torch_randn_compiled(films: Tensor, se: float) -> Call:
    """The same under `torch.compile`, which fuses draw and arithmetic."""
    sigma = SIGMA0 * se

    def noise(films: Tensor) -> Tensor:
        signal = _signal(films)
        return _image(signal + sigma * torch.randn_like(signal), films)

    return _compiled(noise, films)


def numpy_poisson(films: Tensor, sq: float) -> Call:
    """`Generator.poisson(x k) / k` through float64 rates and int64 counts."""
    generator, photons = np.random.default_rng(0), N0 / sq**2
    return _around_numpy(films, lambda signal: generator.poisson(signal * photons) / photons)


def numpy_normal(films: Tensor, se: float) -> Call:
    """`x + s Generator.standard_normal`, ziggurat in float32."""
    generator, sigma = np.random.default_rng(0), np.float32(SIGMA0 * se)

    def noise(signal: NDArray[np.float32]) -> NDArray[np.floating]:
        normal = generator.standard_normal(signal.shape, dtype=np.float32)
        return np.asarray(signal + sigma * normal)

    return _around_numpy(films, noise)


def mkl_poisson(films: Tensor, sq: float) -> Call:
    """`MKLRandomState.poisson(x k, method="POISNORM") / k`: inverse CDF from a normal value."""
    state, photons = import_module("mkl_random").MKLRandomState(0), N0 / sq**2

    def noise(signal: NDArray[np.float32]) -> NDArray[np.floating]:
        counts = state.poisson(signal * photons, signal.shape, method="POISNORM")
        return np.asarray(counts / photons)

    return _around_numpy(films, noise)


def cupy_poisson(films: Tensor, sq: float) -> Call:
    """`cupy.random.poisson(x k) / k`, exchanged through DLPack."""
    cupy, photons = import_module("cupy"), N0 / sq**2

    def noise(signal: Tensor) -> Tensor:
        rates = cupy.from_dlpack(signal) * photons
        counts = cupy.random.poisson(rates)
        return torch.utils.dlpack.from_dlpack(counts.astype(cupy.float32) / cupy.float32(photons))

    return _around(films, noise)


def torch_both(films: Tensor, severity: float) -> Call:
    """`torch.poisson(x k) / k + s torch.randn`."""
    photons, sigma = N0 / severity**2, SIGMA0 * severity

    def noise(signal: Tensor) -> Tensor:
        return torch.poisson(signal * photons) / photons + sigma * torch.randn_like(signal)

    return _around(films, noise)


def deepinv_poisson(films: Tensor, sq: float) -> Call:
    """`PoissonNoise(gain=sq² / N0)`: `torch.poisson` after a check of the values."""
    noise = import_module("deepinv.physics").PoissonNoise(gain=sq**2 / N0).to(films.device)
    return _around(films, noise)


def deepinv_gaussian(films: Tensor, se: float) -> Call:
    """`GaussianNoise(sigma=SIGMA0 se)`: `torch.randn`."""
    noise = import_module("deepinv.physics").GaussianNoise(sigma=SIGMA0 * se).to(films.device)
    return _around(films, noise)


def deepinv_both(films: Tensor, severity: float) -> Call:
    """`PoissonGaussianNoise(gain=sq² / N0, sigma=SIGMA0 se)`: both torch draws."""
    noise = import_module("deepinv.physics").PoissonGaussianNoise(
        gain=severity**2 / N0, sigma=SIGMA0 * severity
    )
    return _around(films, noise.to(films.device))


def kornia_gaussian(films: Tensor, se: float) -> Call:
    """`RandomGaussianNoise(std=SIGMA0 se, p=1)`: `torch.randn`, kept for replay."""
    return _around(
        films, import_module("kornia.augmentation").RandomGaussianNoise(std=SIGMA0 * se, p=1.0)
    )


def monai_gaussian(films: Tensor, se: float) -> Call:
    """`RandGaussianNoise(prob=1, std=SIGMA0 se)` film by film: numpy's RandomState in float64."""
    noise = import_module("monai.transforms").RandGaussianNoise(
        prob=1.0, std=SIGMA0 * se, sample_std=False
    )
    return _around(films, lambda signal: torch.stack([noise(film).as_tensor() for film in signal]))


def torchvision_gaussian(films: Tensor, se: float) -> Call:
    """`v2.GaussianNoise(sigma=SIGMA0 se)`; on 8-bit films it truncates instead of rounding."""
    noise = import_module("torchvision.transforms.v2").GaussianNoise(
        sigma=SIGMA0 * se, clip=films.dtype == torch.uint8
    )
    return lambda: noise(films)


def skimage_poisson(films: Tensor, _: float) -> Call:
    """`random_noise(mode="poisson")`: photons at full scale follow from the grey levels present."""
    random_noise = import_module("skimage.util").random_noise

    def call() -> Tensor:
        noisy = random_noise(films.numpy(), mode="poisson", clip=False)
        return _image(torch.from_numpy(noisy), films)

    return call


def skimage_gaussian(films: Tensor, se: float) -> Call:
    """`random_noise(mode="gaussian", var=(SIGMA0 se)²)` in float64."""
    random_noise = import_module("skimage.util").random_noise

    def call() -> Tensor:
        noisy = random_noise(films.numpy(), mode="gaussian", var=(SIGMA0 * se) ** 2, clip=False)
        return _image(torch.from_numpy(noisy), films)

    return call


def albumentations_shot(films: Tensor, sq: float) -> Call:
    """`ShotNoise(scale=sq² / N0)` film by film: Poisson in a gamma-2.2 space, saturated."""
    gain = sq**2 / N0
    noise = _albumentations().ShotNoise(scale_range=(gain, gain), p=1.0)
    return _each(films, lambda film: noise(image=film)["image"])


def albumentations_gauss(films: Tensor, se: float) -> Call:
    """`GaussNoise(std=SIGMA0 se)` film by film, saturated."""
    sigma = SIGMA0 * se
    noise = _albumentations().GaussNoise(std_range=(sigma, sigma), mean_range=(0.0, 0.0), p=1.0)
    return _each(films, lambda film: noise(image=film)["image"])


def _compiled(noise: Callable[[Tensor], Tensor], films: Tensor) -> Call:
    # after a few recompilations of the same function torch would go on uncompiled
    torch.compiler.reset()
    compiled = torch.compile(noise)
    return lambda: compiled(films)


def _albumentations() -> Any:
    # no question over the network whether there is a newer version
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return import_module("albumentations")


def _peer(
    name: str,
    noise: str,
    prepare: Callable[[Tensor, float], Call],
    package: str = "torch",
    **traits: bool,
) -> Contender:
    draws = (prepare.__doc__ or "").strip().removesuffix(".")
    return Contender(name, noise, prepare, draws, package, **traits)


_EVERYWHERE = (
    _peer(COPY_LIMIT, COPY, copy),
    _peer(CHAIN, "quantum", torch_poisson),
    _peer("deepinv PoissonNoise", "quantum", deepinv_poisson, "deepinv"),
    _peer(NORMAL_CHAIN, "electronic", torch_randn),
    _peer("deepinv GaussianNoise", "electronic", deepinv_gaussian, "deepinv"),
    _peer("kornia RandomGaussianNoise", "electronic", kornia_gaussian, "kornia"),
    _peer("torchvision GaussianNoise", "electronic", torchvision_gaussian, "torchvision"),
    _peer("torch.poisson and randn chain", "radiographic", torch_both),
    _peer(DEEPINV_BOTH, "radiographic", deepinv_both, "deepinv"),
)
CPU_PEERS = (
    *_EVERYWHERE,
    _peer("numpy Generator.poisson", "quantum", numpy_poisson, "numpy"),
    _peer(MKL, "quantum", mkl_poisson, "mkl_random"),
    _peer(
        "scikit-image poisson",
        "quantum",
        skimage_poisson,
        "skimage",
        same_law=False,
        severities=False,
    ),
    _peer(
        "albumentations ShotNoise",
        "quantum",
        albumentations_shot,
        "albumentations",
        same_law=False,
    ),
    _peer("numpy Generator.standard_normal", "electronic", numpy_normal, "numpy"),
    _peer("MONAI RandGaussianNoise", "electronic", monai_gaussian, "monai"),
    _peer("scikit-image gaussian", "electronic", skimage_gaussian, "skimage"),
    _peer(
        "albumentations GaussNoise",
        "electronic",
        albumentations_gauss,
        "albumentations",
        same_law=False,
    ),
)
CUDA_PEERS = (
    *_EVERYWHERE,
    _peer("torch.poisson chain, compiled", "quantum", torch_poisson_compiled),
    _peer("CuPy poisson", "quantum", cupy_poisson, "cupy", torch_memory=False),
    _peer("torch.randn chain, compiled", "electronic", torch_randn_compiled),
)
