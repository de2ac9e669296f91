"""Which model predicts a film at a lower dose? ``python docs/make_dose_experiment.py``.

A phantom's true beam is known. One network learns on films without grain and is measured on films
truly taken at falling doses, and on films to which each model adds its noise. What is measured goes
to docs/results; ``python docs/make_dose_page.py`` makes the figure and the page of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cxr_noise_transforms import (
    LogExposure,
    RadiographicNoise,
    electronic_severity,
    image_seeds,
    quantum_severity,
)
from cxr_noise_transforms.study.evaluation.stress import stress_test
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films.anatomy import Person
from cxr_noise_transforms.study.films.phantom import chest_phantom
from cxr_noise_transforms.study.films.record import phantom_films
from cxr_noise_transforms.study.provenance import provenance
from cxr_noise_transforms.study.statistics.resampling import bootstrap

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "dose_experiment.json"

SIZE, FILMS, RESAMPLES = 96, 60, 2000
# per pixel at the median of the lungs: an ordinary exposure of a native pixel of 0.15 mm
PHOTONS, READ_NOISE = 1000.0, 2.0
DOSES = tuple(2.0**-halvings for halvings in range(7))
START = 1 / 4
ORGANS = ("lungs", "heart")
ACQUIRED = "acquired"
WAYS = {
    ACQUIRED: "truly acquired",
    "display": "display noise",
    "log-1": "LogExposure(1)",
    "log-2": "LogExposure(2)",
    "curve": "the display's own curve",
    "missing": "own curve, film= from dose 1/4",
    "again": "own curve, all noise on top of dose 1/4",
}


def trained() -> torch.nn.Module:
    """A network for lungs and heart that has seen phantoms without grain only."""
    sweep = Sweep(
        bundle=ROOT / "examples" / "bundles" / "segmentation",
        out=ROOT / "runs" / "dose-experiment",
        task="lungs-heart",
        measure="segmentation",
        labels=ORGANS,
        options={
            "dataset_dir": None,
            "size": SIZE,
            "levels": None,
            "phantoms": 150,
            "seed": 0,
            "organs": "lungs-heart",
            "source": None,
            "leave_out": None,
            "encoder": "resnet18",
        },
        training={
            "encoder_weights": "none",
            "epochs": 20,
            "swa_start": 30,
            "learning_rate": 1e-3,
            "batch_size": 8,
        },
    )
    sweep.train(["Unet"])
    network: torch.nn.Module = sweep.evaluation("Unet").parser.get_parsed_content("network")
    return network


def filmed(dose: float | None) -> Tensor:
    """All test persons' films ``(B, 1, H, W)``, 8 bit, at a dose or without grain."""
    taken = {} if dose is None else {"photons": PHOTONS * dose, "read_noise": READ_NOISE}
    films = [chest_phantom(film["seed"], SIZE, **taken).image for film in persons()]
    return torch.from_numpy(np.stack(films))[:, None]


def persons() -> list[dict[str, Any]]:
    """Test persons, none of whom was trained on."""
    return phantom_films(FILMS, seed=1)


class OwnCurve:
    """The display of the test persons' films as a domain, exposures relative to the lungs'."""

    def __init__(self) -> None:
        people = [Person(np.random.default_rng(film["seed"])) for film in persons()]
        for name in ("contrast", "gamma", "exposure"):
            values = torch.tensor([getattr(person, name) for person in people])
            setattr(self, name, values[:, None, None, None])

    def to_exposure(self, signal: Tensor) -> Tensor:
        """The exposure that is shown as ``signal``."""
        # half a grey level from black and white, where the curve has no inverse
        step = signal.clamp(0.5 / 255, 1 - 0.5 / 255) ** (1 / self.gamma)
        return (0.45 - self.exposure + step.logit() / self.contrast).neg().exp()

    def to_display(self, exposure: Tensor) -> Tensor:
        """The signal that shows this exposure."""
        attenuated = -exposure.log()
        return (self.contrast * (attenuated - 0.45 + self.exposure)).sigmoid() ** self.gamma


class Matched:
    """Severities at which a model counts as many photons at the median of the lungs as a film.

    Args:
        clean: films without grain.
        lungs: their masks.
        domain: of the model.
    """

    def __init__(self, clean: Tensor, lungs: Tensor, domain: LogExposure | OwnCurve | None) -> None:
        signal = clean.double() / 255
        exposed = signal if domain is None else domain.to_exposure(signal)
        medians = [film[mask].median() for film, mask in zip(exposed, lungs, strict=True)]
        self.share = torch.stack(medians)

    def __call__(self, dose: float) -> tuple[Tensor, Tensor]:
        """``(sq, se)`` of every film at a dose."""
        photons = PHOTONS * dose / self.share
        return quantum_severity(photons), electronic_severity(READ_NOISE / photons)


def noisy_films(clean: Tensor, lungs: Tensor) -> Iterator[tuple[str, float, Tensor]]:
    """Every way, dose and its films."""
    seeds = image_seeds(0, [film["id"] for film in persons()])
    start = filmed(START)
    domains: dict[str, LogExposure | OwnCurve | None] = {
        "display": None,
        "log-1": LogExposure(1.0),
        "log-2": LogExposure(2.0),
        "curve": OwnCurve(),
    }
    for dose in DOSES:
        yield ACQUIRED, dose, filmed(dose)
        for way, domain in domains.items():
            sq, se = Matched(clean, lungs, domain)(dose)
            yield way, dose, RadiographicNoise(sq, se, domain=domain)(clean, seed=seeds)
        if dose < START:
            domain = domains["curve"]
            match = Matched(clean, lungs, domain)
            sq, se = match(dose)
            lacking = RadiographicNoise(sq, se, domain=domain, film=match(START))
            yield "missing", dose, lacking(start, seed=seeds)
            yield "again", dose, RadiographicNoise(sq, se, domain=domain)(start, seed=seeds)


def measure() -> dict[str, Any]:
    """Dice of every way at every dose, with intervals over persons, and the grain of the films."""
    network, clean = trained(), filmed(None)
    truth = [chest_phantom(film["seed"], SIZE) for film in persons()]
    masks = torch.from_numpy(np.stack([[film.lungs, film.heart] for film in truth]))
    tables = [dice(network, clean, masks, way, 0.0) for way in WAYS]
    grain = []
    for way, dose, films in noisy_films(clean, masks[:, :1]):
        tables.append(dice(network, films, masks, way, dose))
        change = films.double() - clean.double()
        grain += [
            {"way": way, "dose": dose, "organ": organ, "sd": float(change[:, 0][mask].std())}
            for organ, mask in zip(ORGANS, masks.unbind(1), strict=True)
        ]
        print(f"{way}, dose {dose:g}")
    draws = bootstrap(pd.concat(tables, ignore_index=True), None, RESAMPLES).select(metric="dice")
    return {
        "grain": grain,
        "dice": rows(draws.intervals()),
        "difference": rows(draws.against(network=ACQUIRED).intervals()),
        "ways": WAYS,
        "doses": DOSES,
        "start": START,
        "films": FILMS,
        **provenance(torch.device("cpu")),
    }


def dice(
    network: torch.nn.Module, films: Tensor, masks: Tensor, way: str, dose: float
) -> pd.DataFrame:
    """The long table of one way and dose; a cell's ``sq`` is the severity relative to dose 1."""
    ids = [film["id"] for film in persons()]
    batches = [
        {"image": films[i : i + 20].float() / 255, "label": masks[i : i + 20].float(),
         "id": ids[i : i + 20], "patient": ids[i : i + 20]}
        for i in range(0, FILMS, 20)
    ]  # fmt: skip
    about = {"task": "dose", "network": way}
    table = stress_test(
        network,
        batches,
        "segmentation",
        labels=ORGANS,
        cells=[(0.0, 0.0)],
        outputs="logits",
        channels=3,
        device="cpu",
        about=about,
    )
    return table.assign(sq=dose**-0.5 if dose else 0.0)


def rows(intervals: pd.DataFrame) -> list[dict[str, Any]]:
    """Intervals as records of way, organ and dose; without grain the dose is 0."""
    found = intervals.rename(columns={"network": "way", "label": "organ"})
    found["dose"] = [1 / sq**2 if sq else 0.0 for sq in found.sq]
    kept: list[dict[str, Any]] = found[["way", "organ", "dose", "value", "lower", "upper"]].to_dict(
        "records"
    )
    return kept


def main() -> None:
    """Measure everything, and write it."""
    with whole_file(RESULTS) as beside:
        beside.write_text(json.dumps(measure(), indent=1) + "\n")
    print(f"wrote {RESULTS}")


if __name__ == "__main__":
    main()
