"""The reports on exactness as Markdown."""

from __future__ import annotations

from typing import Any

from .records import Result
from .tables import markdown

Row = dict[str, Any]
Report = dict[str, Any]


def section(result: Result) -> str:
    """One device: the verdicts, what was refused, and two consecutive calls."""
    reports, settings = result["reports"], result["settings"]
    return "\n\n".join(
        [
            (
                f"{settings['counts']}² pixels per rate, fields of {settings['field']}² pixels. "
                "A sampler is refused where its least p-value, corrected for their number by "
                f"Holm's method, is below {settings['level']:g}. The columns of the laws show the "
                "least p-value as it is, and the number of tests."
            ),
            _verdicts(reports),
            _refused(reports, settings["level"]),
            (
                "Two consecutive unseeded calls on the same flat image; their difference must "
                "follow Skellam's law (p-values as they are):"
            ),
            _consecutive(reports),
        ]
    )


def _verdicts(reports: list[Report]) -> str:
    laws = list(dict.fromkeys(row["law"] for report in reports for row in report["rows"]))
    body = []
    for report in reports:
        grouped = _by_law(report)
        least = {law: min(row["p"] for row in rows) for law, rows in grouped.items()}
        verdict = "accepted" if report["accepted"] else "refused"
        shown = [f"{least[law]:.2g} ({len(grouped[law])})" if law in least else "–" for law in laws]
        body.append([report["sampler"], verdict, f"{report['least_p_holm']:.2g}", *shown])
    return markdown(["sampler", "", "least p after Holm", *laws], body, words=2)


def _by_law(report: Report) -> dict[str, list[Row]]:
    laws = dict.fromkeys(row["law"] for row in report["rows"])
    return {law: [row for row in report["rows"] if row["law"] == law] for law in laws}


def _refused(reports: list[Report], level: float) -> str:
    lines = []
    for report in reports:
        for law, rows in _by_law(report).items():
            broken = [row for row in rows if row["p_holm"] < level]
            if broken:
                what = "; ".join(dict.fromkeys(row["what"] for row in broken))
                lines.append(f"- {report['sampler']}, {law}: {len(broken)} of {len(rows)} ({what})")
    return "\n".join(["Tests refused:", "", *lines]) if lines else "No test is refused."


def _consecutive(reports: list[Report]) -> str:
    body = []
    for report in reports:
        rows = [row for row in report["rows"] if row["law"] == "consecutive"]
        skellam = {row["rate"]: row["p"] for row in rows if row["what"] == "Skellam"}
        body += [
            [
                report["sampler"],
                f"{row['rate']:g}",
                f"{row['correlation']:+.5f}",
                f"{row['pixels'] ** -0.5:.5f}",
                f"{row['p']:.2g}",
                f"{skellam[row['rate']]:.2g}",
            ]
            for row in rows
            if row["what"] == "correlation"
        ]
    return markdown(
        ["sampler", "rate", "correlation", "standard error", "p", "p of the difference"], body
    )
