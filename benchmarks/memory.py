"""How much memory a call needs beyond what was there before it."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

# PR_SET_THP_DISABLE of linux/prctl.h
_NO_HUGE_PAGES = 41
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def extra_bytes(call: Callable[[], Tensor], device: str) -> int | None:
    """Peak minus start, the output included; ``None`` where the system does not tell.

    CUDA: bytes that torch's allocator handed out. CPU: resident pages of the process, so only
    results of many megabytes say something.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return int(torch.cuda.max_memory_allocated() - before)
    if not _CLEAR.exists():
        return None
    libc = ctypes.CDLL(None)
    # free pages that malloc kept would be used again without being counted
    libc.malloc_trim(0)
    # not in huge pages, which an earlier call may leave behind: five make a result of 9 MB 10 MB
    libc.prctl(_NO_HUGE_PAGES, 1, 0, 0, 0)
    # resets the high-water mark of the resident pages
    _CLEAR.write_text("5")
    before = _status("VmRSS")
    call()
    libc.prctl(_NO_HUGE_PAGES, 0, 0, 0, 0)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB$", _STATUS.read_text(), flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
