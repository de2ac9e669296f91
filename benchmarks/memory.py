"""How much memory one call needs beyond what was there before it."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def extra_bytes(call: Callable[[], object], device: str) -> int | None:
    """Peak minus start, the output included; ``None`` where the system does not tell.

    CUDA: bytes that torch's allocator handed out; what other libraries allocate is not seen.
    CPU: resident pages of the process, so only results of many megabytes say something.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        torch.cuda.synchronize()
        peak = torch.cuda.max_memory_allocated()
        del result
        return int(peak - before)
    try:
        _give_back()
        # resets the high-water mark of the resident pages
        _CLEAR.write_text("5")
        at_start = _status("VmRSS")
    except (OSError, AttributeError):
        return None
    result = call()
    at_peak = _status("VmHWM")
    del result
    return at_peak - at_start


def _give_back() -> None:
    # free pages that malloc kept would be used again without being counted
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), flags=re.MULTILINE)
    if not found:
        raise OSError(f"{_STATUS} has no {field}")
    return int(found[1]) * 1024
