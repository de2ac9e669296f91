"""The device that is asked for, before anything is done on it."""

from __future__ import annotations

import torch


def usable_device(name: str | torch.device | None = None) -> torch.device:
    """The device of this name; without a name CUDA where there is one, otherwise the CPU.

    Raises:
        ValueError: there is no such device, or it cannot be used here.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise ValueError(f"device {name} cannot be used here: {first_line(error)}") from error
    return device


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device, or the machine, has no memory left."""
    # besides torch.OutOfMemoryError: the CPU's allocator and cuBLAS say it in a RuntimeError
    said = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in said)
    )


def first_line(error: BaseException) -> str:
    """The first line of what an error says, its type's name where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
