"""Make the figures of README.md and docs/physics.md: ``python docs/make_figures.py``."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.figure import Figure

from cxr_noise_transforms import (
    N0,
    SIGMA0,
    ElectronicNoise,
    QuantumNoise,
    RadiographicNoise,
    electronic_noise,
    quantum_noise,
)
from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films.phantom import chest_phantom

FIGURES = Path(__file__).parent / "figures"
COLOURS = ("#0072B2", "#D55E00", "#009E73")


def save(figure: Figure, name: str) -> None:
    """Write one PNG and say so."""
    with whole_file(FIGURES / name) as beside:
        figure.savefig(beside, dpi=100)
    print(f"wrote {FIGURES / name}")


def films() -> None:
    """One phantom: clean, strongest quantum noise, strongest electronic noise."""
    clean = torch.from_numpy(chest_phantom(seed=12, size=300).image)
    panels = (
        ("clean", clean),
        ("quantum noise, $s_q$ = 10", quantum_noise(clean, 10, seed=0)),
        ("electronic noise, $s_e$ = 10", electronic_noise(clean, 10, seed=0)),
    )
    figure = Figure(figsize=(9.6, 3.5), layout="constrained")
    for axis, (title, film) in zip(figure.subplots(1, 3), panels, strict=True):
        axis.imshow(film.numpy(), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title)
        axis.set_axis_off()
    save(figure, "films.png")


def variance() -> None:
    """Variance against grey level: the law as a line, a million pixels per point."""
    greys = torch.linspace(0, 1, 21, dtype=torch.float64)
    wedge = greys[:, None, None].expand(-1, 1000, 1000)
    laws = (
        (QuantumNoise(4), greys * 4**2 / N0),
        (ElectronicNoise(1), torch.full_like(greys, SIGMA0**2)),
        (RadiographicNoise(4, 1), greys * 4**2 / N0 + SIGMA0**2),
    )
    labels = ("quantum, $s_q$ = 4", "electronic, $s_e$ = 1", "radiographic, $s_q$ = 4, $s_e$ = 1")
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axis = figure.subplots()
    for (noise, law), label, colour in zip(laws, labels, COLOURS, strict=True):
        measured = noise(wedge, seed=0).var(dim=(1, 2))
        axis.plot(greys, law, color=colour, label=label)
        axis.plot(greys, measured, "o", color=colour, ms=4)
    axis.set(xlabel="grey level I (full scale 1)", ylabel="variance")
    axis.set_title("Theory as a line, a million measured pixels per point")
    axis.legend(frameon=False)
    axis.grid(alpha=0.3)
    save(figure, "variance.png")


if __name__ == "__main__":
    films()
    variance()
