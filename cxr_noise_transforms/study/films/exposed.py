"""One film with noise, from its file to a file of the same kind: PNG, or DICOM for DICOM."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cxr_noise_transforms import LogExposure, RadiographicNoise
from cxr_noise_transforms.study.files import whole_file

from .names import is_dicom
from .reader import stored_pixels, unobjectionable
from .stored import Stored

# what a film's noise follows from, beside the film
SETTINGS = ("sq", "se", "bits", "levels", "seed", "domain", "decades")
DOMAINS = ("display", "linear", "log")
_OF_RELATIONSHIP = {"LIN": "linear", "LOG": "log"}


class Job(NamedTuple):
    """One film: from where to where, under which settings, and what its noise is to be.

    Attributes:
        source: the film.
        target: the file to write.
        settings: of the folder, by the names in :data:`SETTINGS`.
        asked: the film's severities and seed, and the digests by which it is to be known.
    """

    source: Path
    target: Path
    settings: Mapping[str, Any]
    asked: Mapping[str, Any]


def expose(job: Job) -> dict[str, Any]:
    """Write one film with noise, and say what was applied.

    Raises:
        ValueError: the film cannot be read; it is another film than ``job.asked`` says, or comes
            out otherwise; another file is there already.
    """
    levels = job.settings["levels"]
    film = unobjectionable(job.source, stored_pixels(job.source, levels), levels)
    domain = job.settings["domain"] or domain_of(film)
    # one per film: a module remembers what it has drawn
    noise = RadiographicNoise(
        job.asked["sq"],
        job.asked["se"],
        value_range=(0, film.full),
        clip=True,
        bits=job.settings["bits"],
        domain=LogExposure(job.settings["decades"]) if domain == "log" else None,
    )
    noisy = _exposed(film, noise, job.asked["seed"], falls=falls_in(film, domain))
    if film.white_is_zero and not is_dicom(job.source):
        noisy = noisy.dtype.type(film.full) - noisy
    made = {
        **{name: float(severity) for name, severity in noise.drawn.items()},
        "seed": job.asked["seed"],
        "domain": domain,
        "film_sha256": digest(job.source.read_bytes()),
        "noisy_sha256": digest(noisy.tobytes()),
    }
    if job.asked.get("film_sha256", made["film_sha256"]) != made["film_sha256"]:
        raise ValueError(f"film {job.source} is another one than in the record")
    if job.asked.get("noisy_sha256", made["noisy_sha256"]) != made["noisy_sha256"]:
        raise ValueError(f"film {job.source} has other noise here than in the record")
    if job.target.exists():
        # of a process that was killed before it noted the film, or somebody else's
        if not np.array_equal(stored_pixels(job.target).values, noisy):
            raise ValueError(f"film {job.target} is there already, with other content")
        return made
    with whole_file(job.target) as beside:
        _save(noisy, beside, job, made)
    return made


def digest(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def domain_of(film: Stored) -> str:
    """The domain that the file itself names; without one, the display."""
    return _OF_RELATIONSHIP[film.relationship[0]] if film.relationship else "display"


def falls_in(film: Stored, domain: str) -> bool:
    """Whether the domain's signal falls where the film's values rise.

    Displayed values are the signal itself, from black on; so is the beam's intensity; of its
    logarithm the signal is white, where little came through. White is where little came through
    in films that do not say it.
    """
    if domain == "display":
        return film.white_is_zero
    sign = film.relationship[1] if film.relationship else 1 if film.white_is_zero else -1
    return sign == (-1 if domain == "linear" else 1)


def _exposed(
    film: Stored, noise: RadiographicNoise, seed: int, *, falls: bool
) -> NDArray[np.unsignedinteger]:
    """The film's values with noise, uint8 where full scale is 255 and uint16 elsewhere."""
    signal = film.full - film.values if falls else film.values
    dtype = np.uint8 if film.full == 255 else np.uint16
    # a scale that no integer type fills is exposed in float32
    whole = film.full in (255, 65535)
    image = torch.from_numpy(signal.astype(dtype if whole else np.float32))[None]
    noisy = noise(image, seed=seed)[0]
    levels = (noisy if whole else noisy.round()).numpy().astype(dtype)
    return dtype(film.full) - levels if falls else levels


def _save(noisy: np.ndarray, path: Path, job: Job, made: Mapping[str, Any]) -> None:
    if is_dicom(job.source):
        from .derived import write_derived  # noqa: PLC0415 (pydicom is an extra)

        write_derived(path, job.source, noisy, made, job.settings)
    else:
        Image.fromarray(noisy).save(path)
