"""The timed calls of one result, and Markdown tables of them."""

from collections.abc import Iterable
from typing import Any

from .cases import BASE
from .contenders import CONTENDERS, OURS, OWN

Row = dict[str, Any]

_CONTENDERS = {(one.noise, one.name): one for one in CONTENDERS}


def read_calls(result: Row) -> list[Row]:
    """The timed calls, those in a loader's workers too, with quartiles in ns per pixel."""
    calls = []
    for row in result["rows"]:
        if "contender" in row:
            films, side = map(int, row["size"].split("x"))
            scaled = {name: row[name] * 1e9 / (films * side**2) for name in ("median", "q1", "q3")}
            calls.append({**row, **scaled, "task": f"{row['noise']} {row['dtype']}"})
    return calls


def at_base(calls: list[Row]) -> list[Row]:
    """Those at the size that the targets are about, in this process."""
    return [r for r in calls if r["size"] == BASE[r["device"]] and "workers" not in r]


def show_place(row: Row) -> str:
    """Where a noise was drawn: size, severity, and threads or a loader's workers.

    Example:
        >>> show_place({"device": "cpu", "size": "8x512", "severity": 4.0, "threads": 1})
        '8 × 512², s = 4, 1 thread'
    """
    place = f"{row['size'].replace('x', ' × ')}², s = {row['severity']:g}"
    if row["device"] == "cuda":
        return place
    kind = "workers" if "workers" in row else "threads"
    return f"{place}, {row[kind]} {kind[: None if row[kind] > 1 else -1]}"


def times(calls: list[Row]) -> str:
    """Medians and quartiles, a table per noise and dtype; a dash where nothing was measured."""
    sections = []
    for task in dict.fromkeys(row["task"] for row in calls):
        rows = [row for row in calls if row["task"] == task]
        places, names = distinct(map(show_place, rows)), distinct(r["contender"] for r in rows)
        cells = {(row["contender"], show_place(row)): row for row in rows}
        body = [[name, *(_spread(cells.get((name, place))) for place in places)] for name in names]
        sections.append(f"#### {task}\n\n{markdown(['ns per pixel', *places], body)}")
    return "\n\n".join(sections)


def memory_rows(calls: list[Row]) -> list[Row]:
    """Those whose memory was measured."""
    return [row for row in calls if row.get("beyond_output") is not None]


def memory(calls: list[Row]) -> str:
    """Memory of one call beyond its output, in outputs."""
    seen = memory_rows(calls)
    shares = {(r["noise"], r["contender"], r["dtype"]): f"{r['beyond_output']:.2f}" for r in seen}
    dtypes = distinct(row["dtype"] for row in seen)
    body = [
        [f"{noise}: {name}", *(shares.get((noise, name, dtype), "–") for dtype in dtypes)]
        for noise, name in distinct((row["noise"], row["contender"]) for row in seen)
    ]
    return markdown(["outputs", *dtypes], body)


def find_losses(calls: list[Row]) -> list[Row]:
    """Every row in which a peer is faster than the default call, the worst first.

    Each with ``ours`` and with ``same_law``, whether the peer's law is the task's.
    """
    ours = {
        (row["task"], show_place(row)): row["median"] for row in calls if row["contender"] == OURS
    }
    lost = [
        {**row, "ours": least, "same_law": _CONTENDERS[row["noise"], row["contender"]].same_law}
        for row in calls
        if row["contender"] not in OWN
        and row["median"] < (least := ours.get((row["task"], show_place(row)), 0.0))
    ]
    return sorted(lost, key=lambda row: row["median"] / row["ours"])


def losses(calls: list[Row]) -> str:
    """The losses as a table, or that there are none."""
    body = [
        [
            f"{row['task']}, {show_place(row)}",
            row["contender"] + ("" if row["same_law"] else " (another law)"),
            f"{row['median']:.3g}",
            f"{row['ours']:.3g}",
            f"{row['median'] / row['ours']:.2f}",
        ]
        for row in find_losses(calls)
    ]
    head = ["task", "peer", "peer, ns per pixel", "this package", "peer's share of the time"]
    return markdown(head, body, words=2) if body else "At none of the tasks measured."


def contenders(calls: list[Row]) -> str:
    """What each contender draws, and which of the device's contenders were not measured."""
    measured, device = {row["contender"] for row in calls}, calls[0]["device"]
    due = {one.name: one for one in CONTENDERS if one.device in (None, device)}
    body = [
        [name, one.draws, "yes" if one.same_law else "no"]
        for name, one in due.items()
        if name in measured
    ]
    listed = markdown(["contender", "draws", "the task's law"], body, words=3)
    absent = ", ".join(name for name in due if name not in measured)
    return f"{listed}\n\nNot installed or failed, so not measured: {absent or 'none'}."


def markdown(head: list[str], body: list[list[str]], words: int = 1) -> str:
    """A Markdown table whose first ``words`` columns are words and whose others are numbers."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body))


def distinct(values: Iterable[Any]) -> list[Any]:
    """Each value once, in the order of the first."""
    return list(dict.fromkeys(values))


def _spread(row: Row | None) -> str:
    return f"{row['median']:.3g} ({row['q1']:.3g}–{row['q3']:.3g})" if row else "–"
