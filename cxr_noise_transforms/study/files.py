"""Files that are either whole or absent, and folders that one process has at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it becomes ``path`` when the block ends without error.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "new" / "table.csv"
        >>> with whole_file(target) as beside:
        ...     _ = beside.write_text("dice")
        >>> target.read_text()
        'dice'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # same ending, because savers choose their format by it
    beside = path.with_name(f".{path.stem}.{uuid4().hex}{path.suffix}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def clear_unfinished(folder: Path) -> None:
    """Remove what killed processes left of :func:`whole_file`; nobody may be writing there."""
    for path in folder.rglob(".*"):
        if re.fullmatch(r"\..*\.[0-9a-f]{32}(\.[^.]*)?", path.name):
            path.unlink()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of ``folder`` until the block or this process ends.

    Raises:
        BlockingIOError: another process is in there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".lock").acquire(timeout=0)
    except Timeout:
        raise BlockingIOError(f"another process is at work in {folder}") from None
    with lock:
        yield
