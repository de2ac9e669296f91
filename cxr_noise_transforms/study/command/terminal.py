"""What every command says in the terminal: refusals, warnings, its last words."""

from __future__ import annotations

import io
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_sentences() -> Iterator[None]:
    """What is refused, warned of or interrupted in the block is one sentence on standard error.

    Raises:
        SystemExit: with 1 after a refusal, with 130 after an interruption.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a log has what is printed and how far the work is in their order
        sys.stdout.reconfigure(line_buffering=True)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            yield
        except KeyboardInterrupt:
            _say("\nInterrupted. What is finished is kept: the same command goes on from there.")
            sys.exit(128 + signal.SIGINT)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("cxr_noise_transforms"):
                raise
            extra = "dicom" if error.name == "pydicom" else "study"
            sys.exit(f"error: {error.name} is needed: pip install 'cxr_noise_transforms[{extra}]'")
        except (OSError, TypeError, ValueError) as error:
            sys.exit(f"error: {error}")


def say_written(written: Iterable[Path], start: float) -> None:
    """Say how long it took since ``start`` of the monotonic clock, and what was written."""
    print(f"Finished in {time.monotonic() - start:.0f} s. Wrote")
    for path in written:
        print(f"  {path}")


def say_failed(sentences: Iterable[str]) -> None:
    """Say what could not be done, one line each."""
    for sentence in sentences:
        _say(f"error: {sentence}")


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    _say(f"warning: {' '.join(str(message).split())}")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)
