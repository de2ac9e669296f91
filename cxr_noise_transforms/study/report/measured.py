"""What was measured on what: films, networks, noise, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .document import Block, Code, Folded, Section, Table, Text
from .findings import Findings
from .words import NOISE, SYMBOL

CHECKPOINTS = {"best": "lowest validation loss", "swa": "averaged weights"}


def films_table(tasks: Sequence[Findings], splits: Sequence[Any] = ()) -> Table:
    """The films of every task and label; with their splits, those of the training too."""
    scored = any(one.counts[["positive", "negative"]].any(axis=None) for one in tasks)
    lacking = any(one.counts.left_out.any() for one in tasks)
    header = ["task", "label", *(["training films", "validation films"] if splits else [])]
    header += ["test films", "test patients", "test films by source"]
    header += ["test films with the label"] if scored else []
    header += ["left out"] if lacking else []
    rows = []
    for place, one in enumerate(tasks):
        films = one.images
        parts = [str(len(splits[place][part])) for part in ("train", "val")] if splits else []
        test = [str(len(films)), str(films.patient.nunique()), _by_source(one)]
        for row in one.counts.itertuples():
            rows.append([one.task, row.Index, *parts, *test])
            known = row.positive + row.negative
            rows[-1] += [str(row.positive) if known else "–"] if scored else []
            rows[-1] += [str(row.left_out)] if lacking else []
    left_out = "; left out: the label is missing or uncertain, or nothing of it is on the film"
    return Table(f"Tasks and films{left_out if lacking else ''}", header, rows)


def _by_source(one: Findings) -> str:
    if "source" not in one.images:
        return "–"
    films = one.images.source.fillna("").value_counts(sort=False)
    return ", ".join(f"{source} {many}" for source, many in films.items() if source) or "–"


def design(tasks: Sequence[Findings]) -> list[Block]:
    """Networks and noise, and how to read severities and intervals."""
    one = tasks[0]
    given = [name for name in CHECKPOINTS if (one.table.cells.weights == name).any()]
    weights = [CHECKPOINTS[name] for name in sorted(given, key=lambda name: name != one.weights)]
    facts = {
        "networks": ", ".join(one.networks),
        "checkpoints": " (reported), ".join(weights),
        **{
            f"{NOISE[axis]}, {SYMBOL[axis]}": ", ".join(f"{step:g}" for step in steps)
            for axis, steps in one.axes.items()
        },
        "cells": f"{len(one.cells)} combinations of both noises",
        "noise seeds": str(len(one.noise_seeds)),
    }
    return [
        facts_table("Networks and noise", {name: words for name, words in facts.items() if words}),
        Text(
            "Severity s_q leaves 1000 / s_q² photons per pixel at full scale. Severity s_e adds "
            "Gaussian noise of standard deviation sigma = 0.1 s_e, as a fraction of full scale. "
            "A film has the same noise pattern in every cell and for every network, at another "
            "strength."
        ),
        Text(
            "Brackets are 95 % intervals over patients (1,000 resamples): what other test "
            "patients would change about these trained networks, not what another training would. "
            "All networks and cells are of the same patients, so curves may differ for certain "
            "although their bands overlap. A constant answer is the same for every film: the value "
            "of a network that knows nothing."
        ),
    ]


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
    return [
        Table(f"Networks, each trained once {_trained_with(common)}", header, rows),
        facts_table("Settings of films and training", common),
    ]


def _trained_with(settings: Mapping[str, Any]) -> str:
    noise = settings.get("noise")
    if not noise:
        return "on clean films"
    arguments = {name: value for name, value in noise.items() if name != "_target_"}
    words = ", ".join(f"{name} {_argument(value)}" for name, value in arguments.items())
    kind = noise["_target_"].rpartition(".")[2]
    return f"with {kind} ({words}) on {settings.get('noise_prob', 1.0):.0%} of the films"


def _argument(value: Any) -> str:
    if isinstance(value, Mapping):
        ends = ", ".join(f"{end:g}" for name, end in value.items() if name != "_target_")
        return f"{value['_target_'].rpartition('.')[2]}({ends})"
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, list) else f"{value:g}"


def facts_table(caption: str, facts: Mapping[str, Any]) -> Table:
    """Facts by name."""
    rows = [[name, "none" if value is None else str(value)] for name, value in facts.items()]
    return Table(caption, ["", ""], rows)


def made_with(about: Mapping[str, Any], repeat: str) -> Section:
    """The section of a run's facts, by name, and of the command that repeats it."""
    command = Folded("The command", [Text("To repeat; what is finished stays:"), Code(repeat)])
    facts = facts_table("Versions, machine and settings", about)
    return Section("Settings and provenance", [facts, command])
