"""What the paper's pairs of findings are, by the number of films in ChestX-ray14's own table.

python docs/count_pairs.py Data_Entry_2017_v2020.csv

Writes examples/results/pairs.csv and what docs/study.md says about it. The table is the one that
comes with the films of ChestX-ray14, packed (.csv.gz) or not; without it, the page is written from
the result that is there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from cxr_noise_transforms.study.files import whole_file
from cxr_noise_transforms.study.films import PAIRS
from cxr_noise_transforms.study.films.chestxray14 import pair_films, read_findings
from cxr_noise_transforms.study.report.paper import classification_results

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "examples" / "results" / "pairs.csv"
PAGE = ROOT / "docs" / "study.md"
BEGIN, END = "<!-- pairs: written by docs/count_pairs.py -->", "<!-- end of pairs -->"


def count(table: pd.DataFrame) -> pd.DataFrame:
    """Every pair under every reading: which films belong to it, and which finding is positive.

    Args:
        table: from :func:`read_findings`.

    Returns:
        ``pair``, ``films`` ("alone" or "with others"), ``positive`` ("first" or "second"); the
        films of the ``first`` and of the ``second`` finding; the ``share`` of the positive one,
        which is the AUPRC of a constant answer; ``constant_f1``, of always answering it;
        ``likely_auprc`` and ``likely_f1`` at the paper's AUROC (:func:`likely`);
        ``highest_auprc``, above which none is possible there; ``auprc``, ``auroc``, ``f1``, the
        paper's.
    """
    paper = classification_results().set_index("pair")
    rows = []
    for pair in PAIRS:
        published = paper.loc[pair, ["auprc", "auroc", "f1"]]
        for films, with_others in (("alone", False), ("with others", True)):
            labels = [film["label"] for film in pair_films(table, pair, with_others=with_others)]
            first, second = labels.count(0), labels.count(1)
            for positive, number in (("first", first), ("second", second)):
                share = number / len(labels)
                auprc, f1 = likely(published.auroc, share)
                rows.append(
                    {
                        "pair": pair,
                        "films": films,
                        "positive": positive,
                        "first": first,
                        "second": second,
                        "share": share,
                        "constant_f1": 2 * share / (1 + share),
                        "likely_auprc": auprc,
                        "likely_f1": f1,
                        "highest_auprc": highest_auprc(published.auroc, share),
                        **published,
                    }
                )
    return pd.DataFrame(rows)


def likely(auroc: float, share: float) -> tuple[float, float]:
    """AUPRC and highest F1 of normal scores of equal spread, sqrt(2) Phi^-1(AUROC) apart.

    Args:
        auroc: area under the ROC curve, in (0, 1).
        share: of the positive films, in (0, 1).
    """
    threshold = np.linspace(10, -10, 20001)
    recall = norm.sf(threshold - np.sqrt(2) * norm.ppf(auroc))
    answered = share * recall + (1 - share) * norm.sf(threshold)
    precision = share * recall / answered
    return np.trapezoid(precision, recall).item(), (2 * share * recall / (share + answered)).max()


def highest_auprc(auroc: float, share: float) -> float:
    """The highest AUPRC that any classifier can have at an AUROC.

    At recall r the precision is share r / (share r + (1 - share) f), convex in the false positive
    rate f(r); f rises, and its mean is 1 - AUROC. A convex function of f is highest at an extreme
    point of that set: f is 0 up to a recall a, c up to b, and 1 from there on.

    Args:
        auroc: area under the ROC curve, in (0, 1).
        share: of the positive films, in (0, 1).
    """
    # a begins where b would end, and ends where the precision at 0 has no value
    a = np.linspace(auroc, 0, 1000, endpoint=False)[:, None]
    b = np.linspace(1, auroc, 1000, endpoint=False)
    odds = (1 - share) / share
    middle = odds * (b - auroc) / (b - a)
    lost = middle * np.log((b + middle) / (a + middle)) + odds * np.log((1 + odds) / (b + odds))
    return float(1 - lost.min())


def page(pairs: pd.DataFrame) -> str:
    """What the numbers say, in words and as a table."""
    read = {key: rows.set_index("pair") for key, rows in pairs.groupby(["positive", "films"])}
    alone, others = read["second", "alone"], read["second", "with others"]
    turned = read["first", "alone"]
    odd = (alone.likely_auprc - alone.auprc).abs().idxmax()
    impossible = [
        f"{pair} has an AUPRC of {row.auprc:.3f} at an AUROC of {row.auroc:.3f}, where none is "
        f"above {row.highest_auprc:.3f}"
        for pair, row in turned[turned.auprc > turned.highest_auprc].iterrows()
    ]
    constant = alone.index[alone.f1 <= alone.constant_f1.round(3)]
    return f"""\
The paper does not say which films a pair holds, nor which of its findings is the positive one; \
its Table 2 does, beside the labels in ChestX-ray14's own table. p is the share of the positive \
finding, which is the AUPRC of a constant answer, and 2 p / (1 + p) is the F1 of always answering \
it. *Likely* are the AUPRC and, at its best threshold, the F1 of a classifier with normal scores \
of equal spread and the paper's AUROC; *highest* is the AUPRC that no classifier exceeds there.

{_table(alone, others, turned)}

- The second finding is the positive one. With the first one positive, what is printed is \
impossible for shares as in the table: {"; ".join(impossible)}.
- The films show one finding alone. In five of the six pairs the paper's AUPRC is on average \
{_off(alone, "auprc", odd)} from the likely one and its F1 {_off(alone, "f1", odd)}; with films \
that show other findings too, {_off(others, "auprc", odd)} and {_off(others, "f1", odd)}. {odd} \
fits neither: its AUPRC is {alone.auprc[odd]:.3f} where {alone.likely_auprc[odd]:.3f} or \
{others.likely_auprc[odd]:.3f} is likely.
- The F1 of {len(constant)} of the 6 classifiers is no better than a constant answer's: \
{", ".join(constant)}.
"""


def _table(alone: pd.DataFrame, others: pd.DataFrame, turned: pd.DataFrame) -> str:
    head = [
        "pair", "films alone", "p", "constant F1", "likely AUPRC", "likely F1",
        "films with others", "p", "constant F1", "likely AUPRC", "likely F1",
        "highest AUPRC, first positive", "paper AUPRC", "AUROC", "F1",
    ]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    for pair, row in alone.iterrows():
        numbers = [turned.highest_auprc[pair], row.auprc, row.auroc, row.f1]
        cells = [*_cells(row), *_cells(others.loc[pair]), *(f"{number:.3f}" for number in numbers)]
        lines.append(f"| {pair} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(row: pd.Series) -> list[str]:
    numbers = (row.share, row.constant_f1, row.likely_auprc, row.likely_f1)
    films = f"{int(row['first']):,} / {int(row['second']):,}"
    return [films, *(f"{number:.3f}" for number in numbers)]


def _off(rows: pd.DataFrame, metric: str, odd: str) -> str:
    """How far the paper's metric is from the likely one, on average over the other pairs."""
    return f"{(rows[f'likely_{metric}'] - rows[metric]).abs().drop(odd).mean():.3f}"


def main() -> None:
    """Count, where there is a table, and replace this script's part of docs/study.md."""
    for table in sys.argv[1:]:
        with whole_file(RESULT) as beside:
            count(read_findings(Path(table))).to_csv(beside, index=False, float_format="%.6g")
    before, rest = PAGE.read_text().split(BEGIN)
    block = f"{BEGIN}\n\n{page(pd.read_csv(RESULT))}{END}"
    with whole_file(PAGE) as beside:
        beside.write_text(before + block + rest.split(END)[1])
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
