"""Which model predicts a film at a lower dose? ``python docs/make_dose_experiment.py``.

A phantom's true beam is known. One network learns on films without grain and is measured on films
truly taken at falling doses, and on films to which each model adds its noise. What is measured goes
to docs/results, its figure and its tables to docs. With ``--page`` these are made of the results
that are there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
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
from cxr_noise_transforms.study.report.words import interval
from cxr_noise_transforms.study.statistics.resampling import bootstrap

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results" / "dose_experiment.json"
FIGURE = ROOT / "docs" / "figures" / "dose_experiment.png"
PAGE = ROOT / "docs" / "dose-experiment.md"
BEGIN, END = "<!-- written by docs/make_dose_experiment.py -->", "<!-- end -->"

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
COLOURS = ("black", "#D55E00", "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#CC79A7")


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


def draw(found: Mapping[str, Any]) -> None:
    """Dice against dose, one panel per organ, one curve per way."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    table = pd.DataFrame(found["dice"]).query("dose > 0")
    for axis, organ in zip(figure.subplots(1, 2), ORGANS, strict=True):
        for (way, words), colour in zip(WAYS.items(), COLOURS, strict=True):
            curve = table[(table.way == way) & (table.organ == organ)].sort_values("dose")
            axis.plot(curve.dose, curve.value, "o-", color=colour, ms=4, label=words)
            axis.fill_between(curve.dose, curve.lower, curve.upper, color=colour, alpha=0.12, lw=0)
        axis.set_xscale("log", base=2)
        axis.invert_xaxis()
        axis.set(title=organ, xlabel="dose (1 = 1,000 photons in the lungs)", ylabel="Dice")
        axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)
    with whole_file(FIGURE) as beside:
        figure.savefig(beside, dpi=100)


def section(found: Mapping[str, Any]) -> str:
    """The figure, a table per organ, and how far each way is off."""
    levels, off = pd.DataFrame(found["dice"]), pd.DataFrame(found["difference"])
    grain = pd.DataFrame(found["grain"])
    others = [way for way in WAYS if way != ACQUIRED]
    lines = [*(told(levels, organ) for organ in ORGANS), ""]
    lines += ["![Dice against dose](figures/dose_experiment.png)", ""]
    for organ in ORGANS:
        lines += [
            f"{organ.capitalize()}: Dice [95 %], and each model's difference from it [95 %]",
            "",
            f"| dose | {' | '.join(WAYS.values())} |",
            "|" + " ---: |" * (1 + len(WAYS)),
        ]
        for dose in DOSES:
            cells = [interval(_one(levels, ACQUIRED, organ, dose))]
            for way in others:
                row = _one(off, way, organ, dose)
                cells.append("" if row is None else interval(row, "+.3f"))
            lines.append(f"| 1/{1 / dose:g} | {' | '.join(cells)} |")
        lines.append("")
    lines += [
        (
            "Grain: standard deviation of the change in grey levels at 1/8 of the dose, and the "
            "mean absolute difference in Dice over the doses below 1/4"
        ),
        "",
        "| model | grain in the lungs | behind the heart | off in the lungs | off in the heart |",
        "|---|---:|---:|---:|---:|",
    ]
    for way, words in WAYS.items():
        of_way = grain[(grain.way == way) & (grain.dose == 1 / 8)].set_index("organ").sd
        spread = [of_way[organ] for organ in ORGANS]
        missed = [_off(off, way, organ) for organ in ORGANS]
        lines.append(f"| {words} | {spread[0]:.1f} | {spread[1]:.1f} | {missed[0]} | {missed[1]} |")
    no_grain = [_one(levels, ACQUIRED, organ, 0.0)["value"] for organ in ORGANS]
    lines += [
        "",
        (
            f"{found['films']} persons; Dice without grain: lungs {no_grain[0]:.3f}, heart "
            f"{no_grain[1]:.3f}. Machine: {found['machine']}; torch {found['torch']}, "
            f"cxr_noise_transforms {found['cxr_noise_transforms']}, revision {found['revision']}."
        ),
    ]
    return "\n".join(lines)


def told(levels: pd.DataFrame, organ: str) -> str:
    """What the lowest dose truly costs, and what each model of the clean film says, as an item."""
    lost = {
        way: _one(levels, way, organ, 0.0).value - _one(levels, way, organ, DOSES[-1]).value
        for way in ("acquired", "display", "log-1", "log-2", "curve")
    }
    said = ", ".join(f"{WAYS[way]} {lost[way]:.3f}" for way in list(lost)[1:])
    return (
        f"- {organ.capitalize()}: at 1/{1 / DOSES[-1]:g} of the dose the network truly loses "
        f"{lost[ACQUIRED]:.3f} of its Dice; predicted are: {said}."
    )


def _one(table: pd.DataFrame, way: str, organ: str, dose: float) -> Any:
    found = table[(table.way == way) & (table.organ == organ) & np.isclose(table.dose, dose)]
    return None if found.empty else found.iloc[0]


def _off(off: pd.DataFrame, way: str, organ: str) -> str:
    of_way = off[(off.way == way) & (off.organ == organ) & (off.dose > 0)]
    below = of_way[of_way.dose < START * 0.99]
    return "" if below.empty else f"{below.value.abs().mean():.3f}"


def main() -> None:
    """Measure, unless the page alone is asked for, and write the page."""
    if "--page" not in sys.argv:
        with whole_file(RESULTS) as beside:
            beside.write_text(json.dumps(measure(), indent=1) + "\n")
    found = json.loads(RESULTS.read_text())
    draw(found)
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    with whole_file(PAGE) as beside:
        beside.write_text(f"{before}{BEGIN}\n{section(found)}\n{END}{after}")
    print(f"wrote {RESULTS}, {FIGURE}, {PAGE}")


if __name__ == "__main__":
    main()
