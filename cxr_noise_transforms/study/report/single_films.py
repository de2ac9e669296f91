"""The films that a network does worst on."""

from __future__ import annotations

from cxr_noise_transforms.study.statistics.long_table import CLEAN

from .document import Block, Picture, Table, Text
from .findings import Findings, on_axis
from .pictures import Photographer
from .sentences import truth
from .words import cell_name, metric_name, number

_WORST = 8


def worst_films(one: Findings, film: Photographer | None) -> list[Block]:
    """Where the films that the first network does worst on begin to fail."""
    network = one.networks[0]
    films = one.films(network)
    if films.empty:
        return []
    failed = one.failures(films)
    patients = one.images.set_index("image").patient.astype(str)
    own_patients = (patients == patients.index).all()
    metric = "P" if one.is_score else metric_name(one.film_metric)
    mildness = sorted(one.cells, key=lambda cell: (max(cell), cell))
    rows: list[list[str | Picture]] = []
    for image in films.index[:_WORST]:
        values = films.loc[image]
        lowest = values.idxmax() if one.lower_is_better else values.idxmin()
        first = next((cell for cell in mildness if failed.loc[image, cell]), None)
        row: list[str | Picture] = [f"{image}{truth(one, image)}"]
        if film is not None:
            row.append(film(one, image, first or lowest))
        row += [] if own_patients else [patients[image]]
        row.append(number(values[CLEAN]))
        row += [cell_name(first), number(values[first])] if first else ["never", ""]
        rows.append([*row, cell_name(lowest), number(values[lowest])])
    header = ["film", *(["picture"] if film else [])]
    header += [] if own_patients else ["patient"]
    header += [f"clean {metric}", "first fails at", f"{metric} there", "worst cell"]
    header += [f"worst {metric}"]
    ends = [CLEAN, *(on_axis(axis, steps[-1]) for axis, steps in one.axes.items())]
    counts = ", ".join(f"{cell_name(cell)}: {failed[cell].sum()} of {len(films)}" for cell in ends)
    caption = (
        f"{one.task}, {network}, noise seed {one.noise_seeds[0]}: films with the worst "
        f"{'P (probability of the truth)' if one.is_score else metric} on the average of all cells"
        f"{', pictured where they first fail, else in their worst cell' if film else ''}"
    )
    return [
        Text(f"Here a film fails where {_rule(one)}. Films that fail: {counts}."),
        Table(caption, header, rows),
    ]


def _rule(one: Findings) -> str:
    if one.is_score:
        return "the truth has a probability below 0.5"
    return (
        "its clean value has doubled" if one.lower_is_better else "half of its clean value is lost"
    )
