"""The report on exactness as Markdown."""

from cxr_noise_transforms import N0

from .samplers import TORCH
from .tables import Row, distinct, markdown

# the laws that pytorch#136750 asks about; seeds and severities are no question to it
_ASKED = ("counts", "moments", "whiteness", "images", "calls", "consecutive")


def section(result: Row) -> str:
    """One device: the verdicts, and two consecutive calls."""
    rows, level, side = result["rows"], result["level"], result["side"]
    return (
        f"{_torchs_counts(rows, level)}\n\n{side}² pixels per rate, fields of {side // 2}² pixels. "
        "A sampler is refused where its least p-value, corrected for their number by Holm's "
        f"method, is below {level:g}. The columns of the laws show the least p-value as it is, "
        "and how many tests there are and how many of them refuse.\n\n"
        f"{_verdicts(rows, level)}\n\n"
        "Two consecutive unseeded calls on the same flat image; their difference must follow "
        f"Skellam's law (p-values as they are):\n\n{_consecutive(rows)}"
    )


def _torchs_counts(rows: list[Row], level: float) -> str:
    """What the tests answer to pytorch#136750, at the rates of severities from 1 on."""
    asked = [r for r in rows if r["sampler"] == TORCH and r["law"] in _ASKED and r["rate"] <= N0]
    refused = [f"{r['law']} at rate {r['rate']:g}" for r in asked if r["p_holm"] < level]
    verdict = f"refused: {', '.join(distinct(refused))}" if refused else "no test is refused"
    return f"pytorch#136750, torch.poisson at rates up to {N0:g}: {verdict}."


def _verdicts(rows: list[Row], level: float) -> str:
    laws = distinct(row["law"] for row in rows)
    body = []
    for sampler in distinct(row["sampler"] for row in rows):
        tests = [row for row in rows if row["sampler"] == sampler]
        least = min(row["p_holm"] for row in tests)
        cells = [_law([row for row in tests if row["law"] == law], level) for law in laws]
        body.append([sampler, "accepted" if least >= level else "refused", f"{least:.2g}", *cells])
    return markdown(["sampler", "", "least p after Holm", *laws], body, words=2)


def _law(tests: list[Row], level: float) -> str:
    if not tests:
        return "–"
    refuse = sum(row["p_holm"] < level for row in tests)
    return f"{min(row['p'] for row in tests):.2g} ({len(tests)}{f', {refuse}' if refuse else ''})"


def _consecutive(rows: list[Row]) -> str:
    tests = [row for row in rows if row["law"] == "consecutive"]
    head = ["sampler", "rate", "correlation", "standard error", "p", "p of the difference"]
    # at each rate the correlation and then the law of the difference
    body = [
        [r["sampler"], f"{r['rate']:g}", f"{r['correlation']:+.5f}", f"{r['pixels'] ** -0.5:.5f}",
         f"{r['p']:.2g}", f"{skellam['p']:.2g}"]
        for r, skellam in zip(tests[::2], tests[1::2], strict=True)
    ]  # fmt: skip
    return markdown(head, body)
