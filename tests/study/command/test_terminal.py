"""What a command says when it refuses, warns or is interrupted."""

import subprocess
import sys
import warnings

import pytest

from cxr_noise_transforms.study.command.terminal import in_sentences


@pytest.mark.parametrize("error", [FileNotFoundError, TypeError, ValueError])
def test_a_refusal_is_a_sentence(error: type[Exception]) -> None:
    with pytest.raises(SystemExit) as end, in_sentences():
        raise error("sq must be at least 0, got -1")
    assert end.value.code == "error: sq must be at least 0, got -1"


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(SystemExit) as end, in_sentences():
        import a_package_that_nobody_has  # noqa: F401
    assert end.value.code == (
        "error: a_package_that_nobody_has is needed: pip install 'cxr_noise_transforms[study]'"
    )


def test_a_mistake_of_the_package_is_no_refusal() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"cxr_noise_transforms.nothing"), in_sentences():
        import cxr_noise_transforms.nothing  # noqa: F401
    with pytest.raises(KeyError), in_sentences():
        raise KeyError


def test_an_interruption_has_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, in_sentences():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capsys.readouterr().err == (
        "\nInterrupted. What is finished is kept: the same command goes on from there.\n"
    )


def test_a_warning_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    before = warnings.showwarning
    with in_sentences():
        warnings.simplefilter("always")
        warnings.warn("averaging\n  never began", stacklevel=1)
    assert capsys.readouterr().err == "warning: averaging never began\n"
    assert warnings.showwarning is before


def test_a_log_has_both_streams_in_order() -> None:
    script = """
import sys
from cxr_noise_transforms.study.command.terminal import in_sentences
with in_sentences():
    for number in range(3):
        print("out", number)
        print("err", number, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    lines = [f"{stream} {number}" for number in range(3) for stream in ("out", "err")]
    assert done.stdout.splitlines() == lines
