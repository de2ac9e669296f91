"""A folder of films with noise, and beside them the record that makes them again."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from cxr_noise_transforms import LogExposure, RadiographicNoise, image_seeds
from cxr_noise_transforms.study.files import alone_in, clear_unfinished
from cxr_noise_transforms.study.progress import Progress

from .applied import FOLDER, RECORD, VERSION, Record, read_record, way
from .exposed import DOMAINS, SETTINGS, Job, expose
from .folders import folder_films
from .names import DICOM, is_dicom


class Applied(NamedTuple):
    """What became of a folder of films.

    Attributes:
        films: how many have noise.
        before: how many of them had it before.
        failed: why the others have none, a sentence each.
    """

    films: int
    before: int
    failed: list[str]


def apply_noise(
    films: str | Path,
    out: str | Path,
    *,
    sq: float | tuple[float, float] = 0.0,
    se: float | tuple[float, float] = 0.0,
    bits: int | None = None,
    levels: int | None = None,
    seed: int = 0,
    domain: str | None = None,
    decades: float = 2.0,
    workers: int = 1,
) -> Applied:
    """Write the films of a folder with noise, of their own size, and the record of it.

    Films of more than 8 bits become 16-bit PNG on their own scale, all others 8-bit grey; black is
    zero in either. DICOM films become DICOM with the same attributes: the noise is put on the
    pixels as they are stored, before any window. A film's seed belongs to its name, the
    path below ``films`` without ending. A second call goes on where the first one stopped.

    Args:
        films: folder of films, also in folders below.
        out: folder to write to: new, or of a call with the same settings and films.
        sq: quantum severity, or a range from which the film's seed draws.
        se: electronic severity, likewise.
        bits: digitise to 2^bits levels; ``None`` keeps the film's own.
        levels: see :func:`read_grey`.
        seed: from which the films' seeds are made.
        domain: where photons were counted: ``"display"``, in the grey values; ``"linear"``, in
            values that follow the beam's intensity; ``"log"``, in an exposure of which they are
            the logarithm. ``None`` is what a DICOM film's Pixel Intensity Relationship and its
            sign say, and the display where there are none.
        decades: of the logarithm, see :class:`LogExposure`.
        workers: threads.

    Raises:
        FileNotFoundError: no such folder, or no film in it.
        ValueError: a severity, ``bits``, ``domain`` or ``decades`` is out of range; ``out`` lies in
            ``films``, or holds something else, or films of other settings or of other files.
    """
    # refuses what no film can be given, before anything is written
    RadiographicNoise(sq, se, bits=bits)
    LogExposure(decades)
    if domain not in (None, *DOMAINS):
        raise ValueError(f"domain must be None or one of {', '.join(DOMAINS)}, got {domain!r}")
    found = _found(films)
    seeds = image_seeds(seed, found).tolist()
    wanted = {film: {"sq": sq, "se": se, "seed": s} for film, s in zip(found, seeds, strict=True)}
    settings = dict(zip(SETTINGS, (sq, se, bits, levels, seed, domain, decades), strict=True))
    return _write(found, wanted, settings, Path(films), Path(out), workers)


def replay_noise(
    record: str | Path,
    films: str | Path | None = None,
    out: str | Path | None = None,
    *,
    workers: int = 1,
) -> Applied:
    """Make the films of a record again, bit for bit; one that comes out otherwise has failed.

    Args:
        record: file beside films with noise.
        films: folder of the films that the record was made of; ``None`` for where they were.
        out: folder to write to, as in :func:`apply_noise`; ``None`` for the record's own, where
            films that are there are compared, and those that are not are written.
        workers: threads.

    Raises:
        FileNotFoundError: no such folder or record, or a film of the record is not in the folder.
        ValueError: the file is no record; ``out`` is refused as by :func:`apply_noise`.
    """
    record = Path(record)
    settings, wanted = read_record(record)
    del settings[VERSION]
    films = Path(films or record.parent / settings.pop(FOLDER))
    found = _found(films)
    missing = [film for film in wanted if film not in found]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of the {len(wanted)} films of {record} are not in {films}, the first "
            f"is {missing[0]}"
        )
    return _write(found, wanted, settings, films, Path(out or record.parent), workers, again=True)


def _write(
    found: Mapping[str, Path],
    wanted: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
    films: Path,
    out: Path,
    workers: int,
    *,
    again: bool = False,
) -> Applied:
    if out.resolve().is_relative_to(films.resolve()):
        raise ValueError(f"{out} must not lie in the folder of films {films}")
    there = [path.name for path in out.glob("[!.]*")]
    if there and RECORD not in there:
        raise ValueError(f"{out} must be empty or hold {RECORD}, but holds {min(there)}")
    with alone_in(out):
        record = Record(out, {**settings, FOLDER: way(out, films)})
        record.check_films(found, wanted)
        clear_unfinished(out)
        targets = {
            film: out / f"{film}{DICOM if is_dicom(found[film]) else '.png'}" for film in wanted
        }
        jobs = {
            film: Job(found[film], targets[film], settings, asked)
            for film, asked in wanted.items()
            if again or not (film in record.films and targets[film].is_file())
        }
        failed = _carry_out(jobs, len(wanted), record, workers)
    return Applied(len(wanted) - len(failed), len(wanted) - len(jobs), failed)


def _carry_out(jobs: Mapping[str, Job], total: int, record: Record, workers: int) -> list[str]:
    """Do all jobs and note what is finished; the sentences of those that failed."""
    failed = []
    pool = ThreadPoolExecutor(workers)
    progress = Progress("noise", total, "film", done=total - len(jobs), every=max(1, total // 20))
    try:
        with progress:
            for film, made in zip(jobs, pool.map(_attempt, jobs.values()), strict=True):
                if isinstance(made, str):
                    failed.append(made)
                else:
                    record.add(film, made)
                progress.step()
    finally:
        # after an interruption too, which waits for the films in work and for no other
        pool.shutdown(cancel_futures=True)
        record.write()
    return failed


def _attempt(job: Job) -> dict[str, Any] | str:
    try:
        return expose(job)
    except ValueError as error:
        return str(error)


def _found(films: str | Path) -> dict[str, Path]:
    return {film["id"]: Path(film["image"]) for film in folder_films(films)}
