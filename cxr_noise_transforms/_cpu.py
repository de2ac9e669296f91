"""The whole exposure on the CPU: one operator of torch around the compiled kernel.

A pixel is a function of its own value, strengths, seed and place, so the stretches of a film may be
drawn in any order and by any thread.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._signal import FULL_SCALE, Digitiser, largest_finite, signal_dtype
from ._vmap import per_image

_OPERATOR = "cxr_noise_transforms::expose_on_cpu"
# pixels per stretch, a multiple of 8, so that each begins with a whole Philox block; and the fewest
# that are worth a thread
_STRETCH, _FEWEST = 1 << 16, 1 << 14
# bytes of a huge page, and of a result that is worth some; numpy asks from the same size on
_HUGE, _LARGE = 1 << 21, 1 << 22


def expose(
    image: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    digitiser: Digitiser,
) -> Tensor:
    """Noisy images like ``image``; one with neither gain nor sigma comes back bit for bit.

    Args:
        image: ``(B, ...)`` on the CPU.
        gain: signal per photon ``(B,)``; 0 or ``None`` for no quantum noise.
        sigma: standard deviation of the read-out ``(B,)``; 0 or ``None`` for no electronic noise.
        seeds: int64 ``(B,)``.
        digitiser: the way back from signal to image.

    Raises:
        RuntimeError: Numba cannot be imported.
    """
    low, high = digitiser.value_range
    operator = torch.ops.cxr_noise_transforms.expose_on_cpu.default
    noisy: Tensor = operator(image, gain, sigma, seeds, low, high, digitiser.clip, digitiser.bits)
    return noisy


def _expose(
    image: Tensor,
    gain: Tensor | None,
    sigma: Tensor | None,
    seeds: Tensor,
    low: float,
    high: float,
    clip: bool,
    bits: int | None,
) -> Tensor:
    result = _empty_like(image)
    if not image.numel():
        return result
    source = image.contiguous()
    if source.data_ptr() % source.element_size():
        # memory from elsewhere, which Numba would refuse
        source = source.clone()
    if image.dtype not in FULL_SCALE:
        # half precision is float32 on the way
        source = source.to(signal_dtype(image))
    direct = result.dtype == source.dtype and result.is_contiguous()
    target = result if direct else _empty_like(source)
    numbers = _numbers(image, gain, sigma, Digitiser((low, high), clip, bits))
    exposed = numbers[:, :2].any(axis=1)
    if exposed.any():
        _draw(source, target, numbers, seeds, np.flatnonzero(exposed).tolist())
    if not direct:
        result.copy_(target)
    for film in np.flatnonzero(~exposed).tolist():
        result[film] = image[film]
    return result


# not torch.library.custom_op, which imports the compiler at the first call and takes 70 µs at each
torch.library.define(
    _OPERATOR,
    "(Tensor image, Tensor? gain, Tensor? sigma, Tensor seeds, "
    "float low, float high, bool clip, int? bits) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)
torch.library.impl(_OPERATOR, "cpu", _expose)
per_image("expose_on_cpu")


def _empty_like(image: Tensor) -> Tensor:
    """Memory for a result, in huge pages where Linux has them: small ones cost half the noise."""
    result = torch.empty_like(image)
    start, end = result.data_ptr(), result.data_ptr() + result.nbytes
    if result.nbytes >= _LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
        # whole pages alone, so that no result takes more memory than it needs
        first, last = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
        advise = ctypes.CDLL(None).madvise
        advise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_HUGEPAGE)
    return result


def _numbers(
    image: Tensor, gain: Tensor | None, sigma: Tensor | None, digitiser: Digitiser
) -> NDArray[Any]:
    """Gain, sigma, lowest value, range, steps and largest value of every film, for the kernel."""
    (low, high), clip, bits = digitiser
    full = FULL_SCALE.get(image.dtype)
    steps = 0 if clip else -1
    if bits is not None:
        # an integer image is rounded to its own levels, and only once
        steps = 2**bits - 1 if full is None or 2**bits - 1 < full else 0
    dtype = np.float64 if image.dtype == torch.float64 else np.float32
    numbers = np.zeros((len(image), 6), dtype)
    for column, strength in enumerate((gain, sigma)):
        if strength is not None:
            numbers[:, column] = strength.numpy()
    numbers[:, 2:4] = (low, high - low) if full is None else (0, full)
    numbers[:, 4:] = steps, largest_finite(image.dtype)
    return numbers


def _draw(
    source: Tensor, target: Tensor, numbers: NDArray[Any], seeds: Tensor, exposed: list[int]
) -> None:
    """Noise of the exposed films, by as many threads as torch uses itself."""
    films, noisy = (tensor.view(len(tensor), -1).numpy() for tensor in (source, target))
    expose_stretch, counts = _kernel(films.dtype.name)
    keys = seeds.numpy().view(np.uint64)
    pixels = films.shape[1]
    threads = min(torch.get_num_threads(), -(-pixels * len(exposed) // _FEWEST))
    step = min(-(-pixels * len(exposed) // (8 * threads)) * 8, _STRETCH)
    pending: SimpleQueue[tuple[int, slice]] = SimpleQueue()
    for film in exposed:
        for start in range(0, pixels, step):
            pending.put((film, slice(start, start + step)))

    def work() -> None:
        with suppress(Empty):
            while True:
                film, stretch = pending.get_nowait()
                clean, drawn = films[film, stretch], noisy[film, stretch]
                block = stretch.start // 8
                expose_stretch(clean, drawn, numbers[film], keys[film], block, counts)

    helpers = [_pool(threads).submit(work) for _ in range(threads - 1)]
    work()
    for helper in helpers:
        helper.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads - 1, thread_name_prefix="noise")


# a forked child has the pools and none of their threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


@cache
def _kernel(pixel: str) -> tuple[Callable[..., None], NDArray[np.uint8]]:
    """The kernel for pixels of this dtype, and its table of counts.

    Numba keeps what it compiles in a file that goes by the function's name. The name tells the
    dtype and the state of the sources, so that a change in any of them makes a new file, and two
    processes that write the same file write the same code.
    """
    try:
        # Numba is heavy: imported at the first draw
        from numba import njit  # noqa: PLC0415

        from . import _cpu_exact, _cpu_kernel  # noqa: PLC0415
    except Exception as error:
        raise RuntimeError(
            'noise on the CPU needs the package numba, which cannot be used; backend="torch" draws '
            f"without it: {error}"
        ) from error
    number = "float64" if pixel == "float64" else "float32"
    signature = f"void({pixel}[::1], {pixel}[::1], {number}[::1], uint64, uint64, uint8[::1])"
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True}
    function = _cpu_kernel.expose
    try:
        sources = [Path(str(module.__file__)).read_bytes() for module in (_cpu_exact, _cpu_kernel)]
        name = f"expose_{pixel}_{hashlib.sha256(b''.join(sources)).hexdigest()[:8]}"
        twin = FunctionType(function.__code__, vars(_cpu_kernel), name)
        twin.__qualname__ = name
        compiled = njit(signature, cache=True, **options)(twin)
    # no folder to write to, or a file that cannot be read, which may raise anything; what is wrong
    # with the kernel itself is raised again
    except Exception:  # noqa: BLE001
        compiled = njit(signature, **options)(function)
    return compiled, _cpu_exact.table()
