"""A part of the GPU command: a command line that is run, watched, and remembered."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from .engine import ROOT

# seconds that an interrupted command has for putting its things in order
_GRACE = 60.0
_CODE = {".py", ".toml", ".yaml", ".json", ".csv"}
# what is said of a part that Ctrl-C ended
INTERRUPTED = "interrupted"

Entry = dict[str, Any]


class Part(NamedTuple):
    """One command line and what it leaves behind.

    Attributes:
        name: as the command line takes it.
        command: after the interpreter, without anything that depends on where things lie.
        sources: folders and files below the root whose change makes a result old.
        places: further arguments, which say where things lie.
        files: what the command writes.
        fresh: arguments that make it begin anew.
        folder: what is deleted to begin anew.
        junit: pytest's report, which is counted.
        environment: variables set for it.
        absent: why it cannot run, if so.
    """

    name: str
    command: Sequence[str]
    sources: Sequence[str]
    places: Sequence[str] = ()
    files: Sequence[Path] = ()
    fresh: Sequence[str] = ()
    folder: Path | None = None
    junit: Path | None = None
    environment: Mapping[str, str] = {}
    absent: str = ""


class Ended(NamedTuple):
    """How a command ended: exit status, seconds, last line, and what interrupted it."""

    status: int
    seconds: float
    last: str
    interrupted: str = ""


def digest(sources: Iterable[str]) -> str:
    """Of all code and configuration in these files and folders, by name and content."""
    result = hashlib.sha256()
    for source in sources:
        base = ROOT / source
        for path in sorted([base] if base.is_file() else base.rglob("*")):
            # results are no source
            if path.suffix in _CODE and "results" not in path.relative_to(base).parts:
                result.update(f"{source}/{path.relative_to(base)}\0".encode() + path.read_bytes())
    return result.hexdigest()[:12]


def run(part: Part, log: Path, limit: float, *, fresh: bool = False) -> Ended:
    """Run a part's command, pass on and keep what it prints, interrupt it after ``limit`` seconds.

    An interruption is what Ctrl-C does, so that a command that can go on later keeps its work.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *part.command, *part.places, *(part.fresh if fresh else [])]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    # a GPU's tests must not run in the interpreter because of a variable that was left set
    environment.pop("TRITON_INTERPRET", None)
    begin, interrupted = time.monotonic(), ""
    with (
        log.open("wb") as kept,
        subprocess.Popen(  # noqa: S603 (the project's own commands)
            command,
            cwd=ROOT,
            env=environment | part.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        reached = threading.Event()

        def stop() -> None:
            reached.set()
            _interrupt(process)

        timer = threading.Timer(limit, stop)
        timer.start()
        try:
            _pass_on(process, kept)
        except KeyboardInterrupt:
            interrupted = INTERRUPTED
            _interrupt(process)
        finally:
            timer.cancel()
        status = process.wait()
    # one that ended well at the last moment has ended well
    if reached.is_set() and status:
        interrupted = f"stopped after {limit / 60:g} minutes, to be continued by the same command"
    return Ended(status, time.monotonic() - begin, _last_line(log), interrupted)


def count_tests(path: Path) -> Entry:
    """Passed, failed and skipped tests of pytest's JUnit report, and the names of the failed."""
    counts: Entry = {"passed": 0, "failed": 0, "skipped": 0, "failures": []}
    for case in ET.parse(path).iter("testcase"):  # noqa: S314 (pytest's own report)
        if case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
            counts["failures"].append(f"{case.get('classname')}::{case.get('name')}")
        else:
            counts["skipped" if case.find("skipped") is not None else "passed"] += 1
    return counts


def judge(part: Part, ended: Ended) -> Entry:
    """The outcome (passed, failed or stopped) and what there is to say about it."""
    counts: Entry = {}
    if part.junit is not None and part.junit.is_file():
        counts = count_tests(part.junit)
    said = ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped") if counts)
    missing = [path.name for path in part.files if not path.is_file()]
    if ended.interrupted:
        return {"outcome": "stopped", "detail": ended.interrupted, **counts}
    if ended.status:
        # the record is read elsewhere
        reason = f"exit status {ended.status}: {ended.last}".replace(f"{ROOT}{os.sep}", "")
        return {"outcome": "failed", "detail": said or reason, **counts}
    if counts and not counts["passed"]:
        return {"outcome": "failed", "detail": f"nothing was tested: {said}", **counts}
    if missing:
        return {"outcome": "failed", "detail": f"did not write {', '.join(missing)}", **counts}
    return {"outcome": "passed", "detail": said, **counts}


def _pass_on(process: subprocess.Popen[bytes], kept: Any) -> None:
    while chunk := process.stdout.read1():  # type: ignore[union-attr]
        kept.write(chunk)
        sys.stdout.write(chunk.decode(errors="replace"))
        sys.stdout.flush()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "no output")
