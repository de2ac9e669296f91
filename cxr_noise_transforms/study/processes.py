"""One process or several: what a distributed run needs to know of itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


def rank() -> int:
    """This process's number in a distributed run, 0 in any other."""
    return dist.get_rank() if _distributed() else 0


def world() -> int:
    """Number of processes."""
    return dist.get_world_size() if _distributed() else 1


def agreed(choice: T) -> T:
    """The first process's choice, in every process."""
    choices = [choice]
    if _distributed():
        dist.broadcast_object_list(choices)
    return choices[0]


def wait() -> None:
    """Until every process is here."""
    if _distributed():
        dist.barrier()


@contextmanager
def joined() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, if it did, and part from them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or _distributed():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
