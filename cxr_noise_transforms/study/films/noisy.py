"""A folder of films with noise, and beside them the record that makes them again."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cxr_noise_transforms import RadiographicNoise, image_seeds
from cxr_noise_transforms.study.files import alone_in, clear_unfinished, whole_file
from cxr_noise_transforms.study.progress import Progress

from .applied import FOLDER, RECORD, VERSION, Record, digest, read_record, way
from .folders import folder_films
from .reader import Stored, bright_grey, stored_grey


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
    workers: int = 1,
) -> Applied:
    """Write the films of a folder with noise, as PNG of their own size, and the record of it.

    Films of more than 8 bits become 16-bit PNG on their own scale, all others 8-bit grey; black is
    zero in either. A film's seed belongs to its name, the
    path below ``films`` without ending. A second call goes on where the first one stopped.

    Args:
        films: folder of films, also in folders below.
        out: folder to write to: new, or of a call with the same settings and films.
        sq: quantum severity, or a range from which the film's seed draws.
        se: electronic severity, likewise.
        bits: digitise to 2^bits levels; ``None`` keeps the film's own.
        levels: see :func:`read_grey`.
        seed: from which the films' seeds are made.
        workers: threads.

    Raises:
        FileNotFoundError: no such folder, or no film in it.
        ValueError: a severity or ``bits`` is out of range; ``out`` lies in ``films``, or holds
            something else, or films of other settings or of other files.
    """
    # refuses what no film can be given, before anything is written
    RadiographicNoise(sq, se, bits=bits)
    found = _found(films)
    seeds = image_seeds(seed, found).tolist()
    wanted = {film: {"sq": sq, "se": se, "seed": s} for film, s in zip(found, seeds, strict=True)}
    settings = {"sq": sq, "se": se, "bits": bits, "levels": levels, "seed": seed}
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
        jobs = {
            film: _Job(
                found[film], out / f"{film}.png", settings["bits"], settings["levels"], asked
            )
            for film, asked in wanted.items()
            if again or not (film in record.films and (out / f"{film}.png").is_file())
        }
        failed = _carry_out(jobs, len(wanted), record, workers)
    return Applied(len(wanted) - len(failed), len(wanted) - len(jobs), failed)


class _Job(NamedTuple):
    """One film: from where to where, with what noise, and by what digests it is to be known."""

    source: Path
    target: Path
    bits: int | None
    levels: int | None
    asked: Mapping[str, Any]


def _carry_out(jobs: Mapping[str, _Job], total: int, record: Record, workers: int) -> list[str]:
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


def _attempt(job: _Job) -> dict[str, Any] | str:
    try:
        return _expose(job)
    except ValueError as error:
        return str(error)


def _expose(job: _Job) -> dict[str, Any]:
    """Write one film with noise, and say what was applied."""
    film, seed = bright_grey(job.source, job.levels), job.asked["seed"]
    # one per film: a module remembers what it has drawn
    noise = RadiographicNoise(
        job.asked["sq"], job.asked["se"], value_range=(0, film.full), clip=True, bits=job.bits
    )
    noisy = _exposed(film, noise, seed)
    made = {
        **{name: float(severity) for name, severity in noise.drawn.items()},
        "seed": seed,
        "film_sha256": digest(job.source.read_bytes()),
        "noisy_sha256": digest(noisy.tobytes()),
    }
    if job.asked.get("film_sha256", made["film_sha256"]) != made["film_sha256"]:
        raise ValueError(f"film {job.source} is another one than in the record")
    if job.asked.get("noisy_sha256", made["noisy_sha256"]) != made["noisy_sha256"]:
        raise ValueError(f"film {job.source} has other noise here than in the record")
    if job.target.exists():
        # of a process that was killed before it noted the film, or somebody else's
        if not np.array_equal(stored_grey(job.target).values, noisy):
            raise ValueError(f"film {job.target} is there already, with other content")
        return made
    with whole_file(job.target) as beside:
        Image.fromarray(noisy).save(beside)
    return made


def _exposed(film: Stored, noise: RadiographicNoise, seed: int) -> NDArray[Any]:
    """The film's levels with noise, uint8 where full scale is 255 and uint16 elsewhere."""
    grey = film.full - film.values if film.white_is_zero else film.values
    dtype = np.uint8 if film.full == 255 else np.uint16
    if film.full in (255, 65535):
        return noise(torch.from_numpy(grey.astype(dtype))[None], seed=seed)[0].numpy()
    # a scale that no integer type fills
    noisy = noise(torch.from_numpy(grey.astype(np.float32))[None], seed=seed)[0]
    levels: NDArray[Any] = noisy.round().numpy().astype(dtype)
    return levels


def _found(films: str | Path) -> dict[str, Path]:
    return {film["id"]: Path(film["image"]) for film in folder_films(films)}
