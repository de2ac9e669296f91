"""How far long work is: a bar in a terminal, lines in a pipe or a log."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager

from tqdm import tqdm


class Progress(AbstractContextManager):
    """Says on standard error which step of how many is done, and how long the rest may take.

    In a terminal it is one bar. Elsewhere it is one line per step, or per ``every`` steps, each
    written out at once.

    Args:
        name: of the work.
        total: number of its steps.
        unit: what a step is.
        done: steps that were done before.
        every: steps to a line; the last step always has one.
        hidden: say nothing. Nor is anything said where no step is left.

    Example:
        >>> with Progress("films", 2, "film") as progress:
        ...     for _ in range(2):
        ...         progress.step()
    """

    def __init__(
        self,
        name: str,
        total: int,
        unit: str,
        *,
        done: int = 0,
        every: int = 1,
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.total = total
        self.unit = unit
        self.done = self.first = done
        self.every = every
        self.hidden = hidden or done >= total
        self.start = time.monotonic()
        self.bar: tqdm | None = None
        if not self.hidden and sys.stderr.isatty():
            self.bar = tqdm(total=total, initial=done, desc=name, unit=unit)

    def step(self, note: str = "") -> None:
        """One more step is done; ``note`` says what there is to say of it."""
        self.done += 1
        if self.bar is not None:
            if note:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update()
        elif not self.hidden and (self.done % self.every == 0 or self.done == self.total):
            print(self._line(note), file=sys.stderr, flush=True)  # noqa: T201 (that is its work)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self, note: str) -> str:
        seconds = time.monotonic() - self.start
        gone = tqdm.format_interval(seconds)
        left = seconds / (self.done - self.first) * (self.total - self.done)
        rest = f", about {tqdm.format_interval(left)} left" if self.done < self.total else ""
        count = f"{self.unit} {self.done} of {self.total}"
        return f"{self.name}: {', '.join(filter(None, [count, note]))}, {gone} gone{rest}"
