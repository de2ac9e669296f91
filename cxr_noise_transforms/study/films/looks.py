"""What reading every film of a data folder shows: sizes, copies, and films that say nothing."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from cxr_noise_transforms.study.progress import Progress

from .landmark import ORGANS, organ_masks
from .reader import DARK, likely_levels, refuse_oblong, stored_grey
from .record import Film

# masks are drawn with this side to see that they can be
_SIZE = 64


class _Look(NamedTuple):
    """What reading a film showed, or what went wrong.

    Attributes:
        form: size and mode of the image.
        digest: of the file.
        lowest: value in the file.
        highest: value in the file.
        full: value of full scale.
        brightest: signal of the brightest pixel, from 0 to 1.
        error: why the film cannot be used.
    """

    form: str = ""
    digest: str = ""
    lowest: int = 0
    highest: int = 0
    full: int = 0
    brightest: float = 0.0
    error: str = ""


def look_at(
    root: Path, films: Sequence[tuple[Film, str]], workers: int, levels: int | None
) -> tuple[list[str], list[str]]:
    """Facts about the images of a data folder, and what must be mended.

    Args:
        root: the data folder.
        films: each with the organs of which it has every contour, as a key of ``ORGANS``.
        workers: threads that read.
        levels: see :func:`read_grey`.
    """
    progress = Progress("reading", len(films), "film", every=max(1, len(films) // 20))
    with ThreadPool(workers) as pool, progress:
        # decoding and hashing run beside each other, for they hold no lock of the interpreter's
        looks = pool.imap(partial(_look, root, levels), films, chunksize=16)
        every = []
        for (film, _), look in zip(films, looks, strict=True):
            every.append((film, look))
            progress.step()
    usable = [(film, look) for film, look in every if not look.error]
    forms = Counter(look.form for _, look in usable).most_common(8)
    facts = ["images: " + ", ".join(f"{form} {count}" for form, count in forms)]
    problems = []
    errors = [look.error for _, look in every if look.error]
    if errors:
        problems.append(f"films that cannot be used: {few(errors)}")
    within, across = _copies(usable)
    if within:
        facts.append(f"identical files of one patient: {few(within)}")
    if across:
        problems.append(f"identical files of different patients: {few(across)}")
    problems += _tones(usable, levels)
    return facts, problems


def few(names: Sequence[str]) -> str:
    """How many names there are, and the first ones."""
    more = f", and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} ({', '.join(names[:3])}{more})"


def _look(root: Path, levels: int | None, film_and_organs: tuple[Film, str]) -> _Look:
    film, organs = film_and_organs
    path = root / film["image"]
    try:
        stored = stored_grey(path, levels)
        if organs:
            refuse_oblong(path, stored.values)
            organ_masks(root, film["id"], ORGANS[organs], _SIZE)
        with Image.open(path) as image:
            form = f"{image.width} x {image.height} {image.mode}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        return _Look(error=str(error))
    brightest = int(stored.in_8_bits().max()) / 255
    lowest, highest = int(stored.values.min()), int(stored.values.max())
    return _Look(form, digest, lowest, highest, stored.full, brightest)


def _copies(looks: Sequence[tuple[Film, _Look]]) -> tuple[list[str], list[str]]:
    """Identical files, of one patient and of several."""
    same: dict[str, list[Film]] = defaultdict(list)
    for film, look in looks:
        same[look.digest].append(film)
    copies: dict[bool, list[str]] = {False: [], True: []}
    for group in same.values():
        if len(group) > 1:
            shared = len({film["patient"] for film in group}) > 1
            copies[shared].append(" = ".join(film["id"] for film in group))
    return copies[False], copies[True]


def _tones(looks: Sequence[tuple[Film, _Look]], levels: int | None) -> Iterator[str]:
    """Films of one tone, films on a smaller scale than their files', and films nearly black."""
    blank = [film["id"] for film, look in looks if look.lowest == look.highest]
    if blank:
        yield f"films of one value throughout: {few(blank)}"
    scales: dict[int, list[tuple[Film, _Look]]] = defaultdict(list)
    for film, look in looks:
        if look.lowest < look.highest:
            scales[look.full].append((film, look))
    for full, group in scales.items():
        highest = max(look.highest for _, look in group)
        likely = likely_levels(highest)
        dark = [film["id"] for film, look in group if look.brightest < DARK]
        if levels is None and likely < full:
            names = few([film["id"] for film, _ in group])
            yield (
                f"films with values up to {highest} in files for values up to {full}: {names}; "
                f"name their full scale with --levels {likely}, or --levels {full} if it is that"
            )
        elif dark:
            yield f"films nearly black, below {DARK:g} of full scale {full}: {few(dark)}"
