"""The grey values of a film as integers with a full scale."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np


class Stored(NamedTuple):
    """The grey values of a film, on the scale of its file.

    Attributes:
        values: integers from 0 to ``full``.
        full: the value of full scale.
        white_is_zero: whether full scale is black.
        doubts: what the file leaves open or says in two ways, a sentence each.
        relationship: of values to the beam's intensity, LIN or LOG, and 1 where higher values are
            of more intensity, else -1; ``None`` where the file does not say it.
    """

    values: np.ndarray
    full: int
    white_is_zero: bool
    doubts: tuple[str, ...] = ()
    relationship: tuple[str, int] | None = None

    def in_8_bits(self) -> np.ndarray:
        """The values on the scale from 0, black, to 255, white."""
        # Pillow's own conversion to 8 bits saturates at 255
        levels = np.round(self.values * (255.0 / self.full)).astype(np.uint8)
        return 255 - levels if self.white_is_zero else levels


def on_scale(
    path: Path, values: np.ndarray, full: int, levels: int | None, *, white_is_zero: bool
) -> Stored:
    """The values of the film at ``path`` on their file's scale, or on ``levels`` where it is less.

    Raises:
        ValueError: values below 0 or beyond full scale.
    """
    full = min(full, levels or full)
    if values.min() < 0 or values.max() > full:
        raise ValueError(
            f"film {path} must hold values from 0 to {full}, got {values.min()} to {values.max()}"
        )
    return Stored(values, full, white_is_zero)
