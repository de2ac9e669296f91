"""What reading every film of a data folder shows: sizes, copies, and films that say nothing."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import NamedTuple

from cxr_noise_transforms.study.progress import Progress

from .landmark import ORGANS, organ_masks
from .reader import DARK, form, likely_levels, refuse_oblong, said_in_header, stored_grey
from .record import Film

# masks are drawn with this side to see that they can be
_SIZE = 64
# values of an attribute that are printed
_MANY = 8


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
        header: what the header says, by attribute, of a DICOM film.
        doubts: what the file leaves open.
    """

    form: str = ""
    digest: str = ""
    lowest: int = 0
    highest: int = 0
    full: int = 0
    brightest: float = 0.0
    error: str = ""
    header: Mapping[str, str] = {}
    doubts: tuple[str, ...] = ()


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
    facts += _headers(usable)
    problems = []
    errors = [look.error for _, look in every if look.error]
    if errors:
        problems.append(f"films that cannot be used: {few(errors)}")
    within, across = _copies(usable)
    if within:
        known = all(film["patient"] is not None for film, _ in usable)
        facts.append(f"identical files{' of one patient' * known}: {few(within)}")
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
        kind, header = form(path), said_in_header(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        return _Look(error=str(error))
    brightest = int(stored.in_8_bits().max()) / 255
    lowest, highest = int(stored.values.min()), int(stored.values.max())
    seen = (lowest, highest, stored.full, brightest)
    return _Look(kind, digest, *seen, header=header, doubts=stored.doubts)


def _headers(looks: Sequence[tuple[Film, _Look]]) -> Iterator[str]:
    """What the headers of DICOM films say, and where they leave something open."""
    headers = [look.header for _, look in looks if look.header]
    for attribute in headers[0] if headers else ():
        values = Counter(header[attribute] for header in headers)
        said = ", ".join(f"{value} ({count})" for value, count in values.most_common(_MANY))
        others = f", and {len(values) - _MANY} other values" * (len(values) > _MANY)
        yield f"DICOM {attribute}: {said}{others}"
    open_in: dict[str, list[str]] = defaultdict(list)
    for film, look in looks:
        for doubt in look.doubts:
            open_in[doubt].append(film["id"])
    for doubt, films in open_in.items():
        yield f"DICOM in doubt: {doubt}: {few(films)}"


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
