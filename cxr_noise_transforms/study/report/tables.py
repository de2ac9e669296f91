"""The tables of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.performance import LOWER_IS_BETTER, seed_spread

from .document import Block, Folded, Picture, Table, Text
from .findings import CLEAN, Findings
from .markdown import metric_name
from .pictures import Photographer
from .sentences import (
    ALPHA,
    CHECKPOINTS,
    NOISE,
    Cell,
    cell_name,
    interval,
    number,
    on_axis,
    p_value,
    photon_count,
    photons_at,
    sigma_at,
    truth,
)

_WORST = 8


def films_table(tasks: Sequence[Findings], splits: Sequence[Any] = ()) -> Table:
    """The films of every task and label; with their splits, those of the training too."""
    header = ["task", "label", *(["training films", "validation films"] if splits else [])]
    header += ["test films", "test patients", "test films by source"]
    scored = any(one.is_score for one in tasks)
    rows = []
    for place, one in enumerate(tasks):
        films = one.table.drop_duplicates("image")
        sources = films.source.value_counts(sort=False)
        named = ", ".join(f"{source} {many}" for source, many in sources.items() if source)
        parts = [str(len(splits[place][part])) for part in ("train", "val")] if splits else []
        for label, part in one.table.groupby("label", sort=False):
            test = [str(len(films)), str(films.patient.nunique()), named or "–"]
            positive = part.drop_duplicates("image").target.sum()
            rows.append([one.task, str(label), *parts, *test])
            rows[-1] += [f"{positive:.0f}"] if scored else []
    header += ["test films with the label"] if scored else []
    return Table("Tasks and films", header, rows)


def training_tables(runs: Sequence[Mapping[str, Any]]) -> list[Block]:
    """How the networks of finished sweeps were trained."""
    rows = [
        [
            run["task"],
            name,
            *(str(record[key]) for key in ("epochs", "best_epoch", "averaged_epochs")),
            f"{record['best_validation_loss']:.4f}",
        ]
        for run in runs
        for name, record in run["networks"].items()
    ]
    header = ["task", "network", "epochs", "best epoch", "averaged epochs", "best validation loss"]
    # a key that differs between tasks is the task
    common = {
        name: value
        for name, value in runs[0]["settings"].items()
        if all(run["settings"].get(name) == value for run in runs)
    }
    inner = [
        Table("Networks, each trained once on clean films", header, rows),
        facts_table("Settings of films and training", common),
    ]
    return [Folded("Training and settings", inner)]


def overview(tasks: Sequence[Findings]) -> list[Block]:
    """All tasks in one table, by the metric of the first."""
    metric, axes = tasks[0].metrics[0], tasks[0].axes
    if len(tasks) < 2 or any(one.axes != axes or metric not in one.metrics for one in tasks):
        return []
    ends = [on_axis(axis, steps[-1]) for axis, steps in axes.items()]
    rows = []
    for one in tasks:
        row = [one.task, interval(one.levels.loc[metric].loc[CLEAN])]
        for cell in ends:
            change = one.changes.loc[metric].loc[cell]
            row += [interval(change, "+.3f"), p_value(change.p_holm)]
        rows.append(row)
    header = ["task", f"clean {metric_name(metric)}"]
    for cell in ends:
        header += [f"change at {cell_name(cell)}", "p (Holm)"]
    return [Table(f"All tasks: {metric_name(metric)}, mean over networks", header, rows)]


def result_tables(one: Findings) -> list[Block]:
    """The tables of a task, the first metric's unfolded."""
    first, *others = one.metrics
    blocks: list[Block] = [_cells_table(one, first), _networks_table(one, first)]
    if one.axes:
        blocks.append(_curve_table(one, first))
    if (both := _checkpoint_table(one)) is not None:
        blocks.append(both)
    blocks += [
        Folded(
            metric_name(metric),
            [
                _cells_table(one, metric),
                _networks_table(one, metric),
                *([_curve_table(one, metric)] if one.axes else []),
            ],
        )
        for metric in others
    ]
    if len(one.table.label.unique()) > 1:
        blocks.append(Folded("Each label", [_labels_table(one, first)]))
    return blocks


def _cells_table(one: Findings, metric: str) -> Table:
    level, change = one.levels.loc[metric], one.changes.loc[metric]
    name = metric_name(metric)
    header = ["s_q", "s_e", "photons/pixel", "sigma", name, "difference from clean", "p (Holm)"]
    repeated = len(one.noise_seeds) > 1
    if repeated:
        perf = one.mean_perf[one.mean_perf.metric == metric]
        spread = seed_spread(perf).set_index(["sq", "se"]).noise_sd
        header.append("sd over noise seeds")
    rows = []
    for cell in one.cells:
        row = [*_cell_columns(cell), interval(level.loc[cell])]
        if cell == CLEAN:
            row += ["", ""]
        else:
            row += [interval(change.loc[cell], "+.3f"), p_value(change.loc[cell].p_holm)]
        rows.append([*row, f"{spread[cell]:.4f}"] if repeated else row)
    return Table(f"{one.task}: {name}, mean of {', '.join(one.networks)}", header, rows)


def _cell_columns(cell: Cell) -> list[str]:
    sq, se = cell
    return [f"{sq:g}", f"{se:g}", photons_at(sq), sigma_at(se)]


def _networks_table(one: Findings, metric: str) -> Table:
    draws = one.draws.select(metric=metric)
    level = draws.intervals().set_index(["network", "sq", "se"])
    tests = paired_tests(draws.against(sq=0, se=0)).set_index(["network", "sq", "se"])
    rows = []
    for cell in one.cells:
        row = [f"{cell[0]:g}", f"{cell[1]:g}"]
        for network in one.networks:
            key = (network, *cell)
            differs = cell != CLEAN and tests.loc[key].p_holm < ALPHA
            row.append(interval(level.loc[key]) + (" *" if differs else ""))
        rows.append(row)
    caption = (
        f"{one.task}: {metric_name(metric)} of each network; * differs from its clean value, "
        "p < 0.05 after Holm over all networks and cells"
    )
    return Table(caption, ["s_q", "s_e", *one.networks], rows)


def _labels_table(one: Findings, metric: str) -> Table:
    draws = one.every_draw.select(weights=one.weights, metric=metric).mean_over("network")
    level = draws.intervals().set_index(["label", "sq", "se"])
    labels = list(one.table.label.unique())
    rows = [
        [f"{cell[0]:g}", f"{cell[1]:g}", *(interval(level.loc[name].loc[cell]) for name in labels)]
        for cell in one.cells
    ]
    caption = f"{one.task}: {metric_name(metric)} of each label, mean over networks"
    return Table(caption, ["s_q", "s_e", *labels], rows)


def _curve_table(one: Findings, metric: str) -> Table:
    numbers = one.curve_numbers[one.curve_numbers.metric == metric]
    rows = []
    for network in [*one.networks, "mean"] if len(one.networks) > 1 else one.networks:
        for row in numbers[numbers.network == network].itertuples():
            quantum = row.axis == "sq" and row.photons > 0
            rows.append(
                [
                    network,
                    NOISE[row.axis].split()[0].lower(),
                    *(number(value) for value in (row.clean, row.area, row.relative_area)),
                    "not reached" if np.isinf(row.breakdown) else number(row.breakdown, ".2f"),
                    photon_count(row.photons) if quantum else "",
                    *(number(value) for value in (row.ce, row.mce)),
                ]
            )
    header = ["network", "noise", "clean", "area under the curve", "area / clean",
              "breakdown severity", "photons there", "CE", "mCE"]  # fmt: skip
    half = "" if metric in LOWER_IS_BETTER else (
        "; breakdown: half of what is above chance is lost, straight lines between cells"
    )  # fmt: skip
    caption = (
        f"{one.task}: {metric_name(metric)} curves in numbers{half}; CE and mCE: error over the "
        f"axis, and mean of both, as multiples of {one.networks[0]}'s"
    )
    return Table(caption, header, rows)


def _checkpoint_table(one: Findings) -> Table | None:
    """The best and the averaged weights of the networks that have both, at the ends of the axes."""
    trained = one.table.groupby("network").weights.unique()
    both = [name for name in one.networks if {"best", "swa"} <= set(trained[name])]
    if not both:
        return None
    draws = one.every_draw.select(network=both, weights=["best", "swa"])
    mean = draws.mean_over("label").mean_over("network")
    keys = ["metric", "weights", "sq", "se"]
    level = mean.intervals().set_index(keys).sort_index()
    # one family per metric, as in the other tables
    tests = paired_tests(mean.against(weights="best")).set_index(keys).sort_index()
    ends = [CLEAN, *(on_axis(axis, steps[-1]) for axis, steps in one.axes.items())]
    rows = [
        [
            metric_name(metric),
            cell_name(cell),
            interval(level.loc[metric, "best"].loc[cell]),
            interval(level.loc[metric, "swa"].loc[cell]),
            interval(tests.loc[metric, "swa"].loc[cell], "+.3f"),
            p_value(tests.loc[metric, "swa"].loc[cell].p_holm),
        ]
        for metric in one.metrics
        for cell in ends
    ]
    header = ["metric", "cell", *CHECKPOINTS.values(), "difference", "p (Holm)"]
    return Table(f"{one.task}: both checkpoints, mean of {', '.join(both)}", header, rows)


def worst_films(one: Findings, film: Photographer | None) -> list[Block]:
    """Where the films that the first network does worst on begin to fail."""
    network = one.networks[0]
    films = one.films(network)
    failed = one.failures(films)
    patients = one.table.drop_duplicates("image").set_index("image").patient
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
        row += [] if own_patients else [str(patients[image])]
        row.append(number(values[CLEAN]))
        row += [cell_name(first), number(values[first])] if first else ["never", ""]
        rows.append([*row, cell_name(lowest), number(values[lowest])])
    header = ["film", *(["picture"] if film else [])]
    header += [] if own_patients else ["patient"]
    header += [f"clean {metric}", "first fails at", f"{metric} there", "worst cell"]
    header += [f"worst {metric}"]
    rule = (
        "a film fails where the truth has a probability below 0.5"
        if one.is_score
        else "a film fails where half of its clean value is lost"
    )
    if one.lower_is_better:
        rule = "a film fails where its clean value has doubled"
    counts = ", ".join(
        f"{cell_name(cell)}: {failed[cell].sum()} of {len(films)}"
        for cell in [CLEAN, *(on_axis(axis, steps[-1]) for axis, steps in one.axes.items())]
    )
    caption = (
        f"{one.task}, {network}, noise seed {one.noise_seeds[0]}: films with the worst "
        f"{'P (probability of the truth)' if one.is_score else metric} on the average of all cells"
        f"{', pictured where they first fail, else in their worst cell' if film else ''}"
    )
    return [
        Text(f"Here {rule}. Films that fail: {counts}."),
        Table(caption, header, rows),
    ]


def facts_table(caption: str, facts: Mapping[str, Any]) -> Table:
    """Facts by name."""
    rows = [[name, "none" if value is None else str(value)] for name, value in facts.items()]
    return Table(caption, ["", ""], rows)
