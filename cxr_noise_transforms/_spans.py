"""Runs pixel work over spans of images on a few threads, with the result free of the partition.

Every pixel is a function of its own (value, scale, seed, index), so spans may run in any order. The
number of threads is torch's own setting, 1 inside a DataLoader worker, where no pool is started.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

# pixels per span: a multiple of 8, so that every span begins with a whole Philox block
SPAN = 1 << 18

_pools: dict[int, ThreadPoolExecutor] = {}


def rows(images: Tensor) -> tuple[NDArray[Any], Tensor, NDArray[Any]]:
    """Images as one row of pixels each, in C order; a result like them, and its rows."""
    result = torch.empty_like(images, memory_format=torch.contiguous_format)
    shape = (images.shape[0], images[0].numel() if len(images) else 0)
    return images.contiguous().view(shape).numpy(), result, result.view(shape).numpy()


def run(images: int, pixels: int, work: Callable[[int, int, int], None]) -> None:
    """Call work(image, start, stop) for spans that cover every pixel of every image."""
    if not images * pixels:
        return
    threads = torch.get_num_threads()
    # equal spans: enough for every thread, none longer than SPAN
    pieces = max(-(-pixels // SPAN), 1 if images >= threads else min(threads, pixels // 4096 or 1))
    step = -(-pixels // (8 * pieces)) * 8
    spans = [(b, i, min(i + step, pixels)) for b in range(images) for i in range(0, pixels, step)]
    if threads == 1 or len(spans) == 1:
        for span in spans:
            work(*span)
        return
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="noise")
    # list: wait for all, and raise what any of them raised
    list(_pools[threads].map(lambda span: work(*span), spans))


# a forked child has the pool but none of its threads
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pools.clear)
