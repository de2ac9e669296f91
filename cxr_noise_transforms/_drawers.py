"""Who draws the noise of one call: a kernel of the counter-based sampler, or the reference."""

from __future__ import annotations

import torch
from torch import Tensor

from . import _cpu
from ._exposure import Drawer, Exposure, one_per_image
from ._proof import Expose, proven
from ._random import Randomness
from ._reference import Reference
from ._signal import Digitiser


def choose_drawer(backend: str | None, randomness: Randomness, dtype: torch.dtype) -> Drawer:
    """The drawer that ``backend`` names, or the best one for images on this device, of this dtype.

    Raises:
        ValueError: the backend named does not serve the image's device.
        RuntimeError: the backend named is not installed.
    """
    device, given = randomness.device, randomness.given
    if backend is None:
        backend = _best_backend(device, dtype, seeded=given is not None)
    elif backend == "numba" and device.type != "cpu":
        raise ValueError(f"backend 'numba' needs an image on the CPU, got {device}")
    if backend == "torch":
        return Reference(randomness.generator if given is None else given.reshape(-1))
    seeds = randomness.seeds().reshape(-1)
    if backend == "triton":
        return Kernel(_triton_expose(), seeds.to(device))
    return Kernel(_expose_on_cpu, seeds)


def _best_backend(device: torch.device, dtype: torch.dtype, *, seeded: bool) -> str:
    # the GPU's kernel has no float64
    if device.type == "cuda" and dtype != torch.float64 and proven(device):
        return "triton"
    return "numba" if seeded or device.type == "cpu" else "torch"


class Kernel:
    """The counter-based sampler, compiled: one step from images to images, or from draw to draw."""

    def __init__(self, expose: Expose, seeds: Tensor) -> None:
        self.expose = expose
        self.seeds = seeds

    def whole(self, images: Tensor, exposure: Exposure, digitiser: Digitiser) -> Tensor | None:
        """One step, where gain and sigma are one per image and all there is."""
        parts = exposure.parts()
        if any(name not in ("gain", "sigma") for name in parts):
            return None
        if not all(map(one_per_image, parts.values())):
            return None
        return self._draw(images, exposure.gain, exposure.sigma, digitiser)

    def photons(self, signal: Tensor, gain: Tensor) -> Tensor:
        """One uniform per pixel: the counts rise with the rate."""
        return self._draw(signal, gain, None, Digitiser())

    def read_out(self, signal: Tensor, sigma: Tensor) -> Tensor:
        """One uniform per pixel: the noise scales with sigma."""
        return self._draw(signal, None, sigma, Digitiser())

    def _draw(
        self, images: Tensor, gain: Tensor | None, sigma: Tensor | None, digitiser: Digitiser
    ) -> Tensor:
        gain, sigma = (
            None if strength is None else strength.reshape(-1).expand(images.shape[0])
            for strength in (gain, sigma)
        )
        return self.expose(images, gain, sigma, self.seeds, digitiser)


def _expose_on_cpu(
    images: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    digitiser: Digitiser,
) -> Tensor:
    # nothing can be copied from the meta device, and nothing need be
    home = images.device if images.is_meta else torch.device("cpu")
    gain, sigma = (None if strength is None else strength.to(home) for strength in (gain, sigma))
    noisy = _cpu.expose(images.to(home), gain, sigma, seeds.to(home), digitiser)
    return noisy.to(images.device)


def _triton_expose() -> Expose:
    try:
        # Triton is heavy, and absent on some systems: imported only when it is asked for
        from . import _triton  # noqa: PLC0415
    except ImportError as error:
        raise RuntimeError(
            f"backend 'triton' needs the package triton, which cannot be imported: {error}"
        ) from error
    return _triton.expose
