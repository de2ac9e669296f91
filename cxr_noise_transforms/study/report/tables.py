"""The tables of a task's results, with what a constant answer gets beside every AUPRC and F1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.long_table import CLEAN
from cxr_noise_transforms.study.statistics.metrics import BY_SHARE, LOWER_IS_BETTER

from .document import Block, Folded, Table
from .findings import ALPHA, Findings, on_axis
from .measured import CHECKPOINTS
from .words import (
    NOISE,
    Cell,
    cell_name,
    interval,
    metric_name,
    number,
    p_value,
    photon_count,
    photons_at,
    sigma_at,
)

CONSTANT = "constant answer"


def overview(tasks: Sequence[Findings]) -> list[Block]:
    """All tasks in one table, by the metric of the first."""
    metric, axes = tasks[0].metrics[0], tasks[0].axes
    if len(tasks) < 2 or any(one.axes != axes or metric not in one.metrics for one in tasks):
        return []
    ends = [on_axis(axis, steps[-1]) for axis, steps in axes.items()]
    rows = []
    for one in tasks:
        row = [one.task, interval(one.levels.loc[metric].loc[CLEAN]), *_constant(one, metric)]
        for cell in ends:
            change = one.changes.loc[metric].loc[cell]
            row += [interval(change, "+.3f"), p_value(change.p_holm)]
        rows.append(row)
    header = ["task", f"clean {metric_name(metric)}", *_constant_header(metric)]
    for cell in ends:
        header += [f"change at {cell_name(cell)}", "p (Holm)"]
    return [Table(f"All tasks: {metric_name(metric)}, mean over networks", header, rows)]


def result_tables(one: Findings) -> list[Block]:
    """The tables of a task, the first metric's unfolded."""
    first, *others = one.metrics
    blocks = _metric_tables(one, first)
    if (both := _checkpoint_table(one)) is not None:
        blocks.append(both)
    blocks += [Folded(metric_name(metric), _metric_tables(one, metric)) for metric in others]
    if len(one.labels) > 1:
        blocks.append(Folded("Each label", _label_tables(one)))
    return [*blocks, *_controls_table(one)]


def _controls_table(one: Findings) -> list[Block]:
    """What other degradations change, in the same cell."""
    rows = [
        [row.degradation, *_cell_columns((row.sq, row.se))[:2], metric_name(metric),
         interval(row, "+.3f"), p_value(row.p_holm)]
        for metric in one.metrics
        for row in one.controls.itertuples()
        if row.metric == metric
    ]  # fmt: skip
    header = ["degradation", "s_q", "s_e", "metric", "change", "p (Holm)"]
    caption = f"{one.task}: other degradations, paired with the same films without them"
    return [Table(caption, header, rows)] if rows else []


def _metric_tables(one: Findings, metric: str) -> list[Block]:
    tables: list[Block] = [_cells_table(one, metric), _networks_table(one, metric)]
    return [*tables, _curve_table(one, metric)] if one.axes else tables


def _cells_table(one: Findings, metric: str) -> Table:
    level, change = one.levels.loc[metric], one.changes.loc[metric]
    name = metric_name(metric)
    header = ["s_q", "s_e", "photons/pixel", "sigma", name, *_constant_header(metric)]
    header += ["difference from clean", "p (Holm)"]
    repeated = len(one.noise_seeds) > 1
    header += ["sd over noise seeds"] if repeated else []
    rows = []
    for cell in one.cells:
        row = [*_cell_columns(cell), interval(level.loc[cell]), *_constant(one, metric)]
        if cell == CLEAN:
            row += ["", ""]
        else:
            row += [interval(change.loc[cell], "+.3f"), p_value(change.loc[cell].p_holm)]
        if repeated:
            row.append(number(one.noise_spread.get((metric, *cell), np.nan), ".4f"))
        rows.append(row)
    return Table(f"{one.task}: {name}, mean of {', '.join(one.networks)}", header, rows)


def _cell_columns(cell: Cell) -> list[str]:
    sq, se = cell
    return [f"{sq:g}", f"{se:g}", photons_at(sq), sigma_at(se)]


def _networks_table(one: Findings, metric: str) -> Table:
    draws = one.draws.select(metric=metric, network=list(one.networks))
    tests = paired_tests(draws.against(sq=0, se=0)).set_index(["network", "sq", "se"])
    caption = (
        f"{one.task}: {metric_name(metric)} of each network; * differs from its clean value, "
        "p < 0.05 after Holm over all networks and cells"
    )
    certain = tests.p_holm < ALPHA
    return _columns_table(caption, one, "network", one.networks, draws.intervals(), certain)


def _label_tables(one: Findings) -> list[Block]:
    draws = one.every_draw.select(weights=one.weights).mean_over("network")
    shown = [metric for metric in one.metrics if metric == one.metrics[0] or metric in BY_SHARE]
    return [
        _columns_table(
            f"{one.task}: {metric_name(metric)} of each label, mean over networks",
            one,
            "label",
            one.labels,
            draws.select(metric=metric).intervals(),
        )
        for metric in shown
    ]


def _columns_table(
    caption: str,
    one: Findings,
    column: str,
    names: Sequence[str],
    levels: pd.DataFrame,
    marked: pd.Series | None = None,
) -> Table:
    """A column per network or label, a row per cell; what a constant answer gets above them."""
    by_name = levels.set_index([column, "sq", "se"])
    rows = []
    for cell in one.cells:
        row = [f"{severity:g}" for severity in cell]
        for name in names:
            key = (name, *cell)
            mark = " *" if marked is not None and marked.get(key, False) else ""
            row.append(interval(by_name.loc[key]) + mark)
        rows.append(row)
    if levels.metric.iloc[0] in BY_SHARE:
        constants = levels.groupby(column).chance.first()
        rows.insert(0, [CONSTANT, "", *(number(constants[name]) for name in names)])
    return Table(caption, ["s_q", "s_e", *names], rows)


def _curve_table(one: Findings, metric: str) -> Table:
    rows = []
    for network in [*one.networks, "mean"] if len(one.networks) > 1 else one.networks:
        for row in one.numbers(metric, network).reset_index().itertuples():
            quantum = row.axis == "sq" and row.photons > 0
            rows.append(
                [
                    network,
                    NOISE[row.axis].split()[0].lower(),
                    number(row.clean),
                    *_constant(one, metric),
                    *(number(value) for value in (row.area, row.relative_area)),
                    "not reached" if np.isinf(row.breakdown) else number(row.breakdown, ".2f"),
                    photon_count(row.photons) if quantum else "",
                    *(number(value) for value in (row.ce, row.mce)),
                ]
            )
    header = ["network", "noise", "clean", *_constant_header(metric), "area under the curve",
              "area / clean", "breakdown severity", "photons there", "CE", "mCE"]  # fmt: skip
    half = "" if metric in LOWER_IS_BETTER else (
        "; breakdown: half of the gain over a constant answer is lost, straight lines between cells"
    )  # fmt: skip
    caption = (
        f"{one.task}: {metric_name(metric)} curves in numbers{half}; CE and mCE: error over the "
        f"axis, and mean of both, as multiples of {one.networks[0]}'s"
    )
    return Table(caption, header, rows)


def _checkpoint_table(one: Findings) -> Table | None:
    """The best and the averaged weights of the networks that have both, at the ends of the axes."""
    trained = one.table.cells.groupby("network").weights.unique()
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
    scored = not BY_SHARE.isdisjoint(one.metrics)
    rows = [
        [
            metric_name(metric),
            cell_name(cell),
            interval(level.loc[metric, "best"].loc[cell]),
            interval(level.loc[metric, "swa"].loc[cell]),
            *((_constant(one, metric) or ["–"]) if scored else []),
            interval(tests.loc[metric, "swa"].loc[cell], "+.3f"),
            p_value(tests.loc[metric, "swa"].loc[cell].p_holm),
        ]
        for metric in one.metrics
        for cell in ends
    ]
    header = ["metric", "cell", *CHECKPOINTS.values(), *([CONSTANT] if scored else [])]
    header += ["difference", "p (Holm)"]
    return Table(f"{one.task}: both checkpoints, mean of {', '.join(both)}", header, rows)


def _constant_header(metric: str) -> list[str]:
    return [CONSTANT] if metric in BY_SHARE else []


def _constant(one: Findings, metric: str) -> list[str]:
    return [number(one.constant(metric))] if metric in BY_SHARE else []
