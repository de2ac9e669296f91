"""Which severities a command measures: the paper's, those of clinical doses, or both."""

from __future__ import annotations

import argparse
import math

# the field of a chest film in mm, the long side of a detector
_FIELD = 430.0
_DIGITS = 4


def add_ladder(parser: argparse.ArgumentParser, default: str | None = "paper") -> None:
    """The options of a ladder and of the dose that is the normal one."""
    add = parser.add_argument
    add("--ladder", choices=("paper", "clinical", "both"), default=default,
        help="severities: the paper's, doses down to a sixteenth, or both")  # fmt: skip
    add_dose(parser, f"default: {_FIELD:g} mm by the size")


def add_dose(parser: argparse.ArgumentParser, without: str) -> None:
    """The options of the normal dose; ``without`` says what holds without a pixel's size."""
    add = parser.add_argument
    add("--exposure-index", type=positive, default=250.0, metavar="EI",
        help="of the normal dose, 100 per µGy at the detector; default: 250")  # fmt: skip
    add("--pixel-pitch", type=positive, metavar="MM",
        help=f"side of a pixel of the films as they are measured; {without}")  # fmt: skip


def positive(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return number


def normal_dose(chosen: argparse.Namespace) -> float:
    """The quantum severity of the normal dose at the pixels that are measured."""
    from cxr_noise_transforms import quantum_severity_of_dose

    return round(quantum_severity_of_dose(chosen.exposure_index, _pitch(chosen)), _DIGITS)


def cells_of(chosen: argparse.Namespace) -> list[tuple[float, float]]:
    """The cells of the ladder."""
    from cxr_noise_transforms import LADDER, clinical_ladder

    doses = clinical_ladder(chosen.exposure_index, _pitch(chosen))
    clinical = [(round(sq, _DIGITS), se) for sq, se in doses]
    ladders = {"paper": [*LADDER], "clinical": clinical, "both": [*LADDER, *clinical[1:]]}
    return ladders[chosen.ladder]


def dose_words(chosen: argparse.Namespace) -> str:
    """What the normal dose is taken to be."""
    return (
        f"normal dose: s_q = {normal_dose(chosen):g}, for an exposure index of "
        f"{chosen.exposure_index:g} and pixels of {_pitch(chosen):.3g} mm (RQA9, DQE 0.6)"
    )


def _pitch(chosen: argparse.Namespace) -> float:
    return float(chosen.pixel_pitch or _FIELD / chosen.size)
