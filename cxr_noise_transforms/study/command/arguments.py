"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse
import math


def count(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def severity(text: str) -> float | tuple[float, float]:
    """A severity from 0 on, or the two ends of a range of them."""
    ends = [float(number) for number in text.split(",")]
    if len(ends) > 2 or not 0 <= ends[0] <= ends[-1] < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number from 0 on or LOW,HIGH, got {text}")
    return ends[0] if len(ends) == 1 else (ends[0], ends[1])
