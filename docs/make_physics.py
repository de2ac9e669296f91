"""Write the tables of docs/physics.md: ``python docs/make_physics.py [--cost] [FILMS=CSV ...]``.

``FILMS=CSV`` takes a table of ``cxr-noise estimate`` into ``docs/results/physics.json`` under the
name FILMS; ``--cost`` measures there how long a film takes on one core.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from cxr_noise_transforms import (
    LogExposure,
    QuantumNoise,
    electronic_noise,
    electronic_sigma,
    photons_of_dose,
    photons_per_pixel,
    quantum_noise,
    quantum_severity_of_dose,
)
from cxr_noise_transforms.study.files import whole_file

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "physics.md", ROOT / "docs" / "results" / "physics.json"
# the field of a chest film in mm, and the exposure index of a normal dose
FIELD, INDEX = 430, 250
SIDE = 1024
WAYS = {
    "no domain": {},
    "`domain=LogExposure()`": {"domain": LogExposure()},
    "`film=1`": {"film": 1.0},
    "`blur=0.6`": {"blur": 0.6},
}


def dose() -> list[str]:
    """What a severity is at the sizes to which films are resampled."""
    lines = [
        "| image side | pixel, mm | photons per pixel | normal dose as sq | what sq = 1 is |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    for side in (2880, 1024, 512, 224):
        pitch = FIELD / side
        photons, sq = photons_of_dose(INDEX, pitch), quantum_severity_of_dose(INDEX, pitch)
        fold = round(photons / photons_per_pixel(1.0))
        lines.append(
            f"| {side} | {pitch:.3f} | {photons:,.0f} | {sq:.3g} "
            f"| {'the normal dose' if fold == 1 else f'1/{fold} of the normal dose'} |"
        )
    return lines


def domains() -> list[str]:
    """Variance in both domains along a wedge: measured, and by the formulas."""
    domain, sq, se = LogExposure(2.0), 0.2, 0.01
    gain, sigma, latitude = sq**2 / 1000, electronic_sigma(se), domain.latitude
    lines = [
        (
            "| display value v | quantum: display domain | exposure: formula | measured "
            "| electronic: display domain | exposure: formula | measured |"
        ),
        "|" + " ---: |" * 7,
    ]
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        grey = torch.full((1, SIDE, SIDE), value, dtype=torch.float64)
        rise = torch.tensor(latitude * value).exp().item()
        quantum = quantum_noise(grey, sq, domain=domain, seed=0).var()
        electronic = electronic_noise(grey, se, domain=domain, seed=0).var()
        numbers = (
            *(value * gain, rise * gain / latitude**2, quantum),
            *(sigma**2, rise**2 * sigma**2 / latitude**2, electronic),
        )
        lines.append(f"| {value:g} |" + "".join(f" {one:.3g} |" for one in numbers))
    return lines


def film() -> list[str]:
    """A grey film at sq = 2 taken to 4, against a clean film at 4."""
    grey = torch.full((4, 1, SIDE, SIDE), 0.5, dtype=torch.float64)
    noisy = quantum_noise(grey, 2.0, seed=1)
    ways = {
        "clean film, sq = 4": quantum_noise(grey, 4.0, seed=2),
        "film at sq = 2, `film=2`": quantum_noise(noisy, 4.0, film=2.0, seed=2),
        "film at sq = 2, noise of sq = 4 added": quantum_noise(noisy, 4.0, seed=2),
    }
    law = 0.5 * 4**2 / 1000, 0.5 * (4**2 / 1000) ** 2
    lines = ["| | variance / law | third cumulant / law |", "| --- | ---: | ---: |"]
    for name, image in ways.items():
        centred = image - image.mean()
        found = centred.square().mean(), centred.pow(3).mean()
        ratios = (float(one) / due for one, due in zip(found, law, strict=True))
        lines.append(f"| {name} |" + "".join(f" {ratio:.2f} |" for ratio in ratios))
    return lines


def blur() -> list[str]:
    """Correlation of neighbours at native resolution and after averaging 4 x 4 pixels."""
    lines = [
        "| blur, pixels | at native resolution | after averaging 4 x 4 |",
        "| ---: | ---: | ---: |",
    ]
    grey = torch.full((4, 1, SIDE, SIDE), 0.5)
    for width in (0.4, 0.6, 0.8):
        noise = quantum_noise(grey, 1.0, blur=width, seed=0) - 0.5
        native, averaged = _neighbours(noise), _neighbours(avg_pool2d(noise, 4))
        lines.append(f"| {width} | {native:.2f} | {averaged:.2f} |")
    return lines


def _neighbours(noise: Tensor) -> float:
    return float((noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean())


def cost(results: dict[str, Any]) -> list[str]:
    """How long a film took."""
    lines = ["| `QuantumNoise(2, ...)` | ms per film |", "| --- | ---: |"]
    lines += [f"| {name} | {value:.1f} |" for name, value in results["cost"]["ms"].items()]
    return [
        *lines,
        "",
        f"One core, films of 512 x 512 in batches of 8: {results['cost']['machine']}.",
    ]


def measured_cost() -> dict[str, Any]:
    """Milliseconds per film of 512 x 512, the best of five batches of 8, on one core."""
    torch.set_num_threads(1)
    films = torch.rand(8, 1, 512, 512)

    def seconds(noise: QuantumNoise) -> float:
        start = time.perf_counter()
        noise(films, seed=0)
        return time.perf_counter() - start

    best = {}
    for name, way in WAYS.items():
        noise = QuantumNoise(2.0, **way)
        seconds(noise)
        best[name] = round(min(seconds(noise) for _ in range(5)) / 8 * 1000, 2)
    return {"ms": best, "machine": f"{platform.machine()}, torch {torch.__version__}"}


def estimates(results: dict[str, Any]) -> list[str]:
    """What ``cxr-noise estimate`` said of real films."""
    lines = [
        "| films | films read | calibrated | why not | single pixels / means of four, median |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    for name, one in results["estimates"].items():
        ratio = "–" if one["whiteness"] is None else f"{one['whiteness']:.2f}"
        lines.append(f"| {name} | {one['films']} | {one['told']} | {one['why']} | {ratio} |")
    return lines


def taken(file: Path) -> dict[str, Any]:
    """A table of ``cxr-noise estimate`` in numbers."""
    table = pd.read_csv(file, keep_default_na=False)
    refused = table.why[table.why != ""]
    words = refused.str.replace(r" \([^)]*\)", "", regex=True).str.split(",").str[0]
    ratios = refused.str.extract(r"have (\d+\.\d+) times")[0].dropna().astype(float)
    return {
        "films": len(table),
        "told": int((table.why == "").sum()),
        "why": "; ".join(f"{word}: {count}" for word, count in words.value_counts().items()),
        "whiteness": round(float(ratios.median()), 2) if len(ratios) else None,
    }


def main() -> None:
    """Take what is given, and write every table anew."""
    results = (
        json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"estimates": {}, "cost": {}}
    )
    for argument in sys.argv[1:]:
        name, _, file = argument.partition("=")
        if name == "--cost":
            results["cost"] = measured_cost()
        else:
            results["estimates"][name] = taken(Path(file))
    with whole_file(RESULTS) as beside:
        beside.write_text(json.dumps(results, indent=2) + "\n")
    tables: dict[str, Callable[[], list[str]]] = {
        "dose": dose,
        "domains": domains,
        "film": film,
        "blur": blur,
        "cost": lambda: cost(results),
        "estimates": lambda: estimates(results),
    }
    text = PAGE.read_text()
    for name, table in tables.items():
        begin, end = f"<!-- {name}: written by docs/make_physics.py -->", f"<!-- end of {name} -->"
        block = "\n".join([begin, "", *table(), "", end])
        text = re.sub(f"{begin}.*?{end}", lambda _, block=block: block, text, flags=re.DOTALL)
    with whole_file(PAGE) as beside:
        beside.write_text(text)
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
