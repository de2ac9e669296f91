"""How far long work is, as a terminal and as a log have it."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress

import pytest

from cxr_noise_transforms.study.progress import Progress

SCRIPT = """
from cxr_noise_transforms.study.progress import Progress
with Progress("Unet", 7, "epoch", done=4) as progress:
    for epoch in (5, 6, 7):
        progress.step(f"loss={1 / epoch:.3f}")
        print(epoch, flush=True)
"""


def in_a_terminal(script: str) -> str:
    """What a script writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    # Linux ends a terminal that nobody writes to any more with an error
    with suppress(OSError):
        while part := os.read(ours, 4096):
            shown += part
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_has_one_bar() -> None:
    shown = in_a_terminal(SCRIPT)
    assert "\rUnet:  57%" in shown
    assert "| 4/7 [" in shown
    assert "| 7/7 [" in shown
    assert "loss=0.143]" in shown
    assert "of 7" not in shown


def test_a_pipe_has_a_line_per_step_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        text=True,
    )
    assert "\r" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[1::2] == ["5", "6", "7"]
    assert [line.rsplit(", ", 2)[0] for line in lines[0:3:2]] == [
        "Unet: epoch 5 of 7, loss=0.200",
        "Unet: epoch 6 of 7, loss=0.167",
    ]
    assert lines[2].endswith(" left")
    assert lines[4].startswith("Unet: epoch 7 of 7, loss=0.143, ")
    assert lines[4].endswith(" gone")


@pytest.mark.parametrize(
    ("total", "done", "every", "steps"),
    [
        (10, 0, 4, [4, 8, 10]),
        (10, 5, 4, [8, 10]),
        (3, 0, 1, [1, 2, 3]),
        (2, 2, 1, []),
        (0, 0, 1, []),
    ],
)
def test_lines_are_of_steps_that_were_done(
    total: int, done: int, every: int, steps: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress("films", total, "film", done=done, every=every) as progress:
        for _ in range(done, total):
            progress.step()
    shown = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in shown] == [f"films: film {n} of {total}" for n in steps]


def test_the_rest_is_reckoned_from_the_steps_of_this_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress("films", 100, "film", done=90)
    # one film a minute, whatever the former run took
    monkeypatch.setattr(progress, "start", progress.start - 120)
    progress.step()
    progress.step()
    assert capsys.readouterr().err.splitlines()[1].endswith("02:00 gone, about 08:00 left")


def test_hidden_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("films", 2, "film", hidden=True) as progress:
        progress.step("a note")
    assert capsys.readouterr().err == ""
