"""How wide an interval on CheXpert's 200 studies is: ``python docs/interval_width.py``.

Scores are normal, with mean ``m`` apart between positive and negative studies and variance 1, so
the AUROC is ``Phi(m / sqrt(2))``; accuracy is that of the best threshold. A second network has the
same AUROC, and errors that correlate with the first one's. Writes its table into
docs/study-chexpert.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cxr_noise_transforms.study.files import whole_file

PAGE = Path(__file__).parent / "study-chexpert.md"
BEGIN, END = "<!-- widths: written by docs/interval_width.py -->", "<!-- end of widths -->"
STUDIES, REPEATS, RISE = 200, 2_000, 0.03
# between the errors of two networks that were trained on the same films
CORRELATION = 0.7


def main() -> None:
    """Write the table and the sentence below it."""
    generator = np.random.default_rng(0)
    lines = [
        (
            "| positive of 200 | AUROC | 95 % of AUROCs | difference of two equal networks, 95 % "
            "| accuracy, 95 % | power to see +0.03 AUROC, paired |"
        ),
        "|---:|---:|---:|---:|---:|---:|",
    ]
    widths, powers = [], []
    for positives in (30, 50, 80):
        for auroc in (0.85, 0.90, 0.94):
            first, second = two_networks(generator, positives, (auroc, auroc))
            low, high = np.quantile(first, (0.025, 0.975))
            apart = np.quantile(np.abs(first - second), 0.95)
            power = power_of(generator, positives, auroc, float(np.std(first - second)))
            share = accuracy(positives, auroc)
            half = 1.96 * (share * (1 - share) / STUDIES) ** 0.5
            widths.append((high - low) / 2)
            powers.append(power)
            lines.append(
                f"| {positives} | {auroc:.2f} | {low:.3f} to {high:.3f} | ±{apart:.3f} "
                f"| {share:.3f} ± {half:.3f} | {100 * power:.0f} % |"
            )
    lines += [
        "",
        (
            f"**On 200 studies an AUROC is known to ±{min(widths):.2f} to ±{max(widths):.2f}, and "
            "an accuracy to about ±0.05.** Two networks measured on the same studies, with errors "
            f"that correlate by {CORRELATION}, one better by 0.03, are told apart in "
            f"{100 * min(powers):.0f} to {100 * max(powers):.0f} % of such test sets. Two networks "
            "that were measured apart, as the paper's and CheXpert's, have no pairs: their "
            "difference has the width of both intervals together."
        ),
    ]
    before, rest = PAGE.read_text().split(BEGIN)
    with whole_file(PAGE) as beside:
        beside.write_text(before + "\n".join([BEGIN, "", *lines, ""]) + END + rest.split(END)[1])
    print(f"wrote {PAGE}")


def two_networks(
    generator: np.random.Generator, positives: int, aurocs: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The AUROCs of two networks on the same studies, once per repeat."""
    common, own = CORRELATION**0.5, (1 - CORRELATION) ** 0.5
    shared = common * generator.standard_normal((REPEATS, STUDIES))
    found = []
    for auroc in aurocs:
        scores = shared + own * generator.standard_normal((REPEATS, STUDIES))
        scores[:, :positives] += distance(auroc)
        ranks = stats.rankdata(scores, axis=1)[:, :positives].sum(axis=1)
        pairs = positives * (STUDIES - positives)
        found.append((ranks - positives * (positives + 1) / 2) / pairs)
    return found[0], found[1]


def power_of(generator: np.random.Generator, positives: int, auroc: float, error: float) -> float:
    """How often a network that is better by 0.03 is found so, two-sided at 0.05."""
    first, second = two_networks(generator, positives, (auroc, min(auroc + RISE, 0.999)))
    return float(np.mean((second - first) / error > stats.norm.isf(0.025)))


def distance(auroc: float) -> float:
    """Between the means of positive and negative scores."""
    return float(np.sqrt(2) * stats.norm.ppf(auroc))


def accuracy(positives: int, auroc: float) -> float:
    """At the best threshold."""
    apart, share = distance(auroc), positives / STUDIES
    cut = apart / 2 + np.log((1 - share) / share) / apart
    return float(share * stats.norm.sf(cut - apart) + (1 - share) * stats.norm.cdf(cut))


if __name__ == "__main__":
    main()
