"""One process or several: what a distributed run needs to know of itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")

# what this package raises where it refuses something
REFUSALS = {kind.__name__: kind for kind in (ConnectionError, FileNotFoundError, ValueError)}


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


def said_in_worker(error: BaseException) -> tuple[str, str] | None:
    r"""Type and sentence of an error in a loader's worker process; ``None`` of any other error.

    torch raises it here as one error whose text is the worker's whole traceback.

    Example:
        >>> text = "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback ..."
        >>> said_in_worker(ValueError(f"{text}\n  File ...\nValueError: cannot read film a.png"))
        ('ValueError', 'cannot read film a.png')
    """
    text = str(error)
    if "DataLoader worker" not in text:
        return None
    said = re.findall(r"^(?:\w+\.)*(\w+): (.+)$", text, flags=re.MULTILINE)
    # around a refusal of this package's may lie layers of MONAI's
    own = [(kind, words) for kind, words in said if kind in REFUSALS]
    return (own or said or [(type(error).__name__, text.splitlines()[0])])[-1]


def _distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
