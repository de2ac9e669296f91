"""The page of the experiment with a known answer, and the domain that it defines."""

import json
import runpy
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
SCRIPT, PAGE = (
    runpy.run_path(str(ROOT / "docs" / f"make_dose_{name}.py")) for name in ("experiment", "page")
)


def test_the_page_says_what_was_measured() -> None:
    found = json.loads(PAGE["RESULTS"].read_text())
    assert PAGE["section"](found) in PAGE["PAGE"].read_text(encoding="utf-8")


def test_the_displays_own_curve_is_inverted() -> None:
    curve = SCRIPT["OwnCurve"]()
    grey = torch.linspace(1, 254, 254, dtype=torch.float64).expand(SCRIPT["FILMS"], 1, 1, -1) / 255
    exposure = curve.to_exposure(grey)
    assert bool((exposure.diff() < 0).all())
    assert torch.allclose(curve.to_display(exposure), grey, rtol=0, atol=1e-6)


def test_models_are_matched_in_the_photons_of_the_lungs() -> None:
    clean = torch.full((2, 1, 4, 4), 51)
    clean[1] = 102
    lungs = torch.ones_like(clean, dtype=torch.bool)
    sq, se = SCRIPT["Matched"](clean, lungs, None)(1 / 4)
    photons = 1000 / sq**2
    # display values of 0.2 and 0.4
    assert torch.allclose(photons * torch.tensor([0.2, 0.4]), torch.full((2,), 250.0).double())
    assert torch.allclose(se * 0.1 * photons, torch.full((2,), 2.0).double())
