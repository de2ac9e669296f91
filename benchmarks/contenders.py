"""This package and its peers, with a note on what each draws exactly.

Severities are translated: photons at full scale are ``k = N0 / sq²``, their inverse is the gain, a
standard deviation is ``s = SIGMA0 se``; radiographic noise has ``sq = se``.
"""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cxr_noise_transforms import N0, SIGMA0, electronic_noise, quantum_noise, radiographic_noise

Noise = Callable[[Tensor], Tensor]

NOISES = {
    "quantum": quantum_noise,
    "electronic": electronic_noise,
    "radiographic": radiographic_noise,
}
COPY = "copy"
OURS = "this package"
SEEDED = "this package, seed=0"
REFERENCE = 'this package, backend="torch"'
OWN = (OURS, SEEDED, REFERENCE)
CHAIN = "torch.poisson chain"
NORMAL_CHAIN = "torch.randn chain"
MKL = "mkl_random POISNORM"
DEEPINV = "deepinv PoissonGaussianNoise"


class Contender(NamedTuple):
    """One way to do a task.

    Attributes:
        name: as the tables show it.
        noise: which noise it makes, or ``COPY``.
        draws: what it draws exactly.
        make: from a severity to a noise.
        package: the module it needs.
        device: the only kind of device on which it takes part, if there is one.
        same_law: whether its law is the task's.
        takes_films: whether it takes and gives 8-bit films itself; others get float signals.
        compiled: whether it runs under ``torch.compile``.
    """

    name: str
    noise: str
    draws: str
    make: Callable[[float], Noise]
    package: str = "torch"
    device: str | None = None
    same_law: bool = True
    takes_films: bool = False
    compiled: bool = False

    def prepare(self, severity: float, device: str) -> Noise:
        """The noise of films on a device, made once before it is called."""
        with torch.device(device):
            noise = self.make(severity)
        whole = noise if self.takes_films else _through_signal(noise)
        if self.compiled:
            # after a few recompilations of the same function torch would go on uncompiled
            torch.compiler.reset()
            whole = torch.compile(whole)
        return whole


def _through_signal(noise: Noise) -> Noise:
    """Noise of float signals as noise of films, with the way from and to integers."""

    def whole(films: Tensor) -> Tensor:
        if films.dtype != torch.uint8:
            return noise(films).to(films.dtype)
        return (noise(films.to(torch.float32) / 255) * 255).round().clamp(0, 255).to(torch.uint8)

    return whole


def _photons(sq: float) -> float:
    return N0 / sq**2


def _own(name: str, noise: str, draws: str, **arguments: Any) -> Contender:
    def make(severity: float) -> Noise:
        severities = (severity,) * (2 if noise == "radiographic" else 1)
        return lambda films: NOISES[noise](films, *severities, **arguments)

    return Contender(name, noise, draws, make, "cxr_noise_transforms", takes_films=True)


def _torch_poisson(sq: float) -> Noise:
    return lambda x: torch.poisson(x * _photons(sq)) / _photons(sq)


def _torch_normal(se: float) -> Noise:
    return lambda x: x + SIGMA0 * se * torch.randn_like(x)


def _torch_both(severity: float) -> Noise:
    k, sigma = _photons(severity), SIGMA0 * severity
    return lambda x: torch.poisson(x * k) / k + sigma * torch.randn_like(x)


def _numpy_normal(se: float) -> Noise:
    draw, sigma = np.random.default_rng(0).standard_normal, np.float32(SIGMA0 * se)
    return lambda x: torch.from_numpy(x.numpy() + sigma * draw(x.shape, dtype=np.float32))


def _numpy_poisson(sq: float) -> Noise:
    draw, k = np.random.default_rng(0).poisson, _photons(sq)
    return lambda x: torch.from_numpy(draw(x.numpy() * k) / k)


def _mkl_poisson(sq: float) -> Noise:
    draw, k = import_module("mkl_random").MKLRandomState(0).poisson, _photons(sq)
    return lambda x: torch.from_numpy(draw(x.numpy() * k, x.shape, method="POISNORM") / k)


def _cupy_poisson(sq: float) -> Noise:
    cupy, k = import_module("cupy"), _photons(sq)

    def noise(signal: Tensor) -> Tensor:
        counts = cupy.random.poisson(cupy.from_dlpack(signal) * k)
        return torch.utils.dlpack.from_dlpack(counts.astype(cupy.float32) / cupy.float32(k))

    return noise


def _deepinv(name: str, **arguments: float) -> Noise:
    return getattr(import_module("deepinv.physics"), name)(**arguments)


def _kornia_normal(se: float) -> Noise:
    return import_module("kornia.augmentation").RandomGaussianNoise(std=SIGMA0 * se, p=1.0)


def _monai_normal(se: float) -> Noise:
    make = import_module("monai.transforms").RandGaussianNoise
    noise = make(prob=1.0, std=SIGMA0 * se, sample_std=False)
    return lambda signal: torch.stack([noise(film).as_tensor() for film in signal])


def _torchvision_normal(se: float) -> Noise:
    make = import_module("torchvision.transforms.v2").GaussianNoise
    saturated, plain = (make(sigma=SIGMA0 * se, clip=clip) for clip in (True, False))
    return lambda films: (saturated if films.dtype == torch.uint8 else plain)(films)


def _skimage(**law: Any) -> Noise:
    noise = import_module("skimage.util").random_noise
    return lambda signal: torch.from_numpy(noise(signal.numpy(), clip=False, **law))


def _albumentations(name: str, **arguments: Any) -> Noise:
    # no question over the network whether there is a newer version
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    noise = getattr(import_module("albumentations"), name)(p=1.0, **arguments)

    def whole(films: Tensor) -> Tensor:
        arrays = films.permute(0, 2, 3, 1).numpy()
        noisy = np.stack([noise(image=array)["image"] for array in arrays])
        return torch.from_numpy(noisy).permute(0, 3, 1, 2)

    return whole


_SATURATED: dict[str, Any] = {
    "package": "albumentations",
    "device": "cpu",
    "same_law": False,
    "takes_films": True,
}
_COMPILED: dict[str, Any] = {"device": "cuda", "compiled": True}


# fmt: off
CONTENDERS = (
    Contender(COPY, COPY, "nothing: one read and one write of every pixel", lambda _: torch.clone,
              takes_films=True),
    *(contender for noise in NOISES for contender in (
        _own(OURS, noise, "the default sampler, seeds from torch's global generator"),
        _own(SEEDED, noise, "the default sampler, one stream per film from an int", seed=0),
        _own(REFERENCE, noise, "`torch.poisson` and `torch.randn`", backend="torch"),
    )),
    Contender(CHAIN, "quantum", "`torch.poisson(x k) / k`, what most training code writes by hand",
              _torch_poisson),
    Contender(f"{CHAIN}, compiled", "quantum", "the same under `torch.compile`", _torch_poisson,
              **_COMPILED),
    Contender("deepinv PoissonNoise", "quantum",
              "`PoissonNoise(gain=sq² / N0)`: `torch.poisson` after a check of the values",
              lambda sq: _deepinv("PoissonNoise", gain=1 / _photons(sq)), "deepinv"),
    Contender("numpy Generator.poisson", "quantum",
              "`Generator.poisson(x k) / k` through float64 rates and int64 counts",
              _numpy_poisson, "numpy", "cpu"),
    Contender(MKL, "quantum", '`poisson(x k, method="POISNORM") / k`: inverse CDF from a normal',
              _mkl_poisson, "mkl_random", "cpu"),
    Contender("CuPy poisson", "quantum", "`cupy.random.poisson(x k) / k`, through DLPack",
              _cupy_poisson, "cupy", "cuda"),
    Contender("scikit-image poisson", "quantum",
              '`random_noise(mode="poisson")`: photons follow from the grey levels alone',
              lambda _: _skimage(mode="poisson"), "skimage", "cpu", same_law=False),
    Contender("albumentations ShotNoise", "quantum",
              "`ShotNoise(scale=sq² / N0)` film by film: Poisson in a gamma-2.2 space, saturated",
              lambda sq: _albumentations("ShotNoise", scale_range=(1 / _photons(sq),) * 2),
              **_SATURATED),
    Contender(NORMAL_CHAIN, "electronic", "`x + s torch.randn`", _torch_normal),
    Contender(f"{NORMAL_CHAIN}, compiled", "electronic",
              "the same under `torch.compile`, which fuses draw and arithmetic", _torch_normal,
              **_COMPILED),
    Contender("deepinv GaussianNoise", "electronic", "`GaussianNoise(sigma=s)`: `torch.randn`",
              lambda se: _deepinv("GaussianNoise", sigma=SIGMA0 * se), "deepinv"),
    Contender("kornia RandomGaussianNoise", "electronic",
              "`RandomGaussianNoise(std=s, p=1)`: `torch.randn`, kept for replay",
              _kornia_normal, "kornia"),
    Contender("torchvision GaussianNoise", "electronic",
              "`v2.GaussianNoise(sigma=s)`; on 8-bit films it truncates instead of rounding",
              _torchvision_normal, "torchvision", takes_films=True),
    Contender("numpy Generator.standard_normal", "electronic",
              "`x + s Generator.standard_normal`, ziggurat in float32",
              _numpy_normal, "numpy", "cpu"),
    Contender("MONAI RandGaussianNoise", "electronic",
              "`RandGaussianNoise(prob=1, std=s)` film by film: numpy's RandomState in float64",
              _monai_normal, "monai", "cpu"),
    Contender("scikit-image gaussian", "electronic",
              '`random_noise(mode="gaussian", var=s²)` in float64',
              lambda se: _skimage(mode="gaussian", var=(SIGMA0 * se) ** 2), "skimage", "cpu"),
    Contender("albumentations GaussNoise", "electronic", "`GaussNoise(std=s)`, saturated",
              lambda se: _albumentations("GaussNoise", std_range=(SIGMA0 * se,) * 2),
              **_SATURATED),
    Contender("torch.poisson and randn chain", "radiographic",
              "`torch.poisson(x k) / k + s torch.randn`", _torch_both),
    Contender(DEEPINV, "radiographic",
              "`PoissonGaussianNoise(gain=sq² / N0, sigma=s)`: both torch draws",
              lambda s: _deepinv(
                  "PoissonGaussianNoise", gain=1 / _photons(s), sigma=SIGMA0 * s), "deepinv"),
)
# fmt: on
