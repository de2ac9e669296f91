"""Markdown tables of one result of timings."""

from __future__ import annotations

from typing import Any, NamedTuple

from .grid import COPY, DTYPES, MIDDLE, NOISES, show_size
from .ours import DEFAULT, NAMES
from .records import Result

Row = dict[str, Any]


class Loss(NamedTuple):
    """A task at which a peer is faster than this package's default."""

    task: str
    peer: str
    ours: float
    theirs: float
    same_law: bool


def times(result: Result) -> str:
    """Medians and quartiles, a table per noise and dtype; a dash where nothing was measured."""
    sections = []
    for noise in (*NOISES, COPY):
        for dtype in DTYPES:
            rows = [r for r in result["rows"] if (r["noise"], r["dtype"]) == (noise, dtype)]
            if rows:
                sections.append(f"#### {noise}, {dtype}\n\n{_times(rows, result['settings'])}")
    return "\n\n".join(sections)


def memory(result: Result) -> str:
    """Extra memory of one call on the largest batch, in units of its output."""
    many = max(result["settings"]["sizes"], key=lambda size: int(size.split("x")[0]))
    rows = [
        row
        for row in result["rows"]
        if row["size"] == many and row["severity"] == MIDDLE and row.get("extra_bytes") is not None
    ]
    shares = {
        (row["noise"], row["contender"], row["dtype"]): row["extra_bytes"] / row["output_bytes"]
        for row in rows
    }
    names = dict.fromkeys((row["noise"], row["contender"]) for row in rows)
    return markdown(
        [f"{show_size(many)}, outputs", *DTYPES],
        [
            [
                f"{noise}: {name}",
                *(
                    f"{shares[key]:.2f}" if (key := (noise, name, dtype)) in shares else "–"
                    for dtype in DTYPES
                ),
            ]
            for noise, name in names
        ],
    )


def find_losses(result: Result) -> list[Loss]:
    """Every task at which a peer is faster, the worst first."""
    timed = [row for row in result["rows"] if "ns_per_pixel" in row]
    ours = {_task(row): row["ns_per_pixel"] for row in timed if row["contender"] == DEFAULT}
    lost = [
        Loss(
            _task(row),
            row["contender"],
            ours[_task(row)],
            row["ns_per_pixel"],
            result["contenders"][f"{row['noise']}/{row['contender']}"]["same_law"],
        )
        for row in timed
        if row["contender"] not in NAMES and row["ns_per_pixel"] < ours.get(_task(row), 0.0)
    ]
    return sorted(lost, key=lambda loss: loss.theirs / loss.ours)


def losses(result: Result) -> str:
    """The losses as a table, or that there are none."""
    lost = find_losses(result)
    if not lost:
        return "At none of the tasks measured."
    return markdown(
        ["task", "peer", "peer, ns per pixel", "this package", "peer's share of the time"],
        [
            [
                loss.task,
                loss.peer + ("" if loss.same_law else " (another law)"),
                f"{loss.theirs:.3g}",
                f"{loss.ours:.3g}",
                f"{loss.theirs / loss.ours:.2f}",
            ]
            for loss in lost
        ],
        words=2,
    )


def failures(result: Result) -> str:
    """What peers could not do."""
    failed = [row for row in result["rows"] if "error" in row]
    return "\n".join(f"- {_task(row)}, {row['contender']}: {row['error']}" for row in failed)


def contenders(result: Result) -> str:
    """What each contender draws."""
    traits = {name.split("/", 1)[1]: traits for name, traits in result["contenders"].items()}
    return markdown(
        ["contender", "draws", "the task's law"],
        [[name, t["draws"], "yes" if t["same_law"] else "no"] for name, t in traits.items()],
        words=3,
    )


def markdown(head: list[str], body: list[list[str]], words: int = 1) -> str:
    """A Markdown table whose first ``words`` columns are words and whose others are numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def _times(rows: list[Row], settings: dict[str, Any]) -> str:
    columns = sorted(
        {(row["size"], row["severity"]) for row in rows},
        key=lambda column: (settings["sizes"].index(column[0]), column[1]),
    )
    cells = {(row["contender"], row["size"], row["severity"]): row for row in rows}
    names = list(dict.fromkeys(row["contender"] for row in rows))
    copied = rows[0]["noise"] == COPY
    return markdown(
        [
            "ns per pixel",
            *(show_size(size) + ("" if copied else f", s = {s:g}") for size, s in columns),
        ],
        [[name, *(_cell(cells.get((name, *column))) for column in columns)] for name in names],
    )


def _cell(row: Row | None) -> str:
    if row is None:
        return "–"
    if "error" in row:
        return "failed"
    return f"{row['ns_per_pixel']:.3g} ({row['q1']:.3g}–{row['q3']:.3g})"


def _task(row: Row) -> str:
    return f"{row['noise']} {row['dtype']}, {show_size(row['size'])}, s = {row['severity']:g}"
