"""Say what noise the films of a folder carry already, and draw it.

cxr-noise estimate FILMS
cxr-noise estimate FILMS --out runs/estimate

Variance against signal of every film, in its own size. Where the curve is a line and the noise is
white, its slope and offset are the severities; elsewhere the reason is told, for such films (JPEG,
sharpened, resampled, logarithmic) cannot be calibrated.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import count
from .terminal import say_written

if TYPE_CHECKING:
    from cxr_noise_transforms.study.films import Carried


def main(arguments: Sequence[str]) -> int:
    """Read the films, say what they carry, and what was written where."""
    chosen = _arguments(arguments)
    start = time.monotonic()
    import pandas as pd

    from cxr_noise_transforms.study.files import whole_file
    from cxr_noise_transforms.study.films import carried_noise
    from cxr_noise_transforms.study.report import plot_carried

    films = list(carried_noise(chosen.films, chosen.levels))
    print(*told(films), sep="\n")
    chosen.out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame([film._asdict() for film in films]).drop(columns="points")
    with whole_file(chosen.out / "estimate.csv") as beside:
        table.to_csv(beside, index=False)
    picture = plot_carried(films, chosen.out / "estimate.png")
    say_written([chosen.out / "estimate.csv", picture], start)
    return 0


def told(films: Sequence[Carried]) -> list[str]:
    """What a folder's films carry, in lines; refusals that differ in numbers alone count as one."""
    import numpy as np

    good = [film for film in films if not film.why]
    lines = [f"{len(good)} of {len(films)} films can be calibrated"]
    if good:
        for name in ("sq", "se", "goodness"):
            low, median, high = np.quantile([getattr(one, name) for one in good], (0, 0.5, 1))
            lines.append(f"  {name:<8} median {median:.3g}, from {low:.3g} to {high:.3g}")
    reasons = Counter(re.sub(r" \([^)]*\)", "", film.why) for film in films if film.why)
    first = {re.sub(r" \([^)]*\)", "", film.why): film for film in reversed(films) if film.why}
    for reason, number in reasons.most_common():
        lines.append(f"  {number} cannot, as {first[reason].image}: {first[reason].why}")
    return lines


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="cxr-noise estimate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("films", type=Path, metavar="FILMS", help="folder of films, also in folders below")
    add("--levels", type=count, metavar="N",
        help="full scale of films that do not fill their files: 4095 for 12 bits")  # fmt: skip
    add("--out", type=Path, default=Path("runs") / "estimate", help="folder of table and figure")
    return parser.parse_args(arguments)
