"""What was measured beside the numbers of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from cxr_noise_transforms.study.statistics.long_table import CLEAN
from cxr_noise_transforms.study.statistics.metrics import BY_SHARE
from cxr_noise_transforms.study.statistics.summaries import mean_loss

from . import paper
from .document import Block, Table, Text
from .findings import Findings
from .words import cell_name, interval, metric_name, number


def compare(tasks: Sequence[Findings]) -> list[Block]:
    """What was measured beside what the paper printed, for the tasks they share."""
    blocks = [*_table1(tasks), *_table2(tasks), *_quoted(tasks)]
    if not blocks:
        return []
    words = (
        "Jiu et al. 2025, arXiv:2509.25265: other films, other sizes, other networks. Its numbers "
        "stand here for orientation, not for agreement."
    )
    return [Text(words), *blocks]


def _table1(tasks: Sequence[Findings]) -> list[Block]:
    published, wrong = paper.segmentation_results(), paper.contradictions()
    blocks: list[Block] = []
    for one in tasks:
        mine = published[published.task == one.task.lower()]
        if mine.empty or not {"dice", "iou"} <= set(one.metrics):
            continue
        bad = wrong[wrong.task == one.task.lower()]
        marked = set(zip(bad.sq, bad.se, strict=True))
        rows = []
        for cell in one.cells:
            printed = mine[(mine.sq == cell[0]) & (mine.se == cell[1])]
            if printed.empty:
                continue
            row = [f"{cell[0]:g}", f"{cell[1]:g}"]
            for metric in ("dice", "iou"):
                change = "" if cell == CLEAN else number(one.changes.value[metric][cell], "+.3f")
                theirs = [printed[metric].item(), printed[f"{metric}_diff"].item()]
                mark = " †" if cell in marked else ""
                row += [number(one.levels.value[metric][cell]), change]
                row += [f"{theirs[0]:.2f}{mark}", f"{theirs[1]:+.2f}{mark}"]
            rows.append(row)
        header = ["s_q", "s_e"]
        for name in ("Dice", "IoU"):
            header += [name, "difference", f"paper {name}", "paper difference"]
        dagger = "; † contradicts itself, see below" if marked else ""
        blocks.append(Table(f"{one.task}, and the paper's Table 1{dagger}", header, rows))
        if marked:
            lines = [
                [cell_name((row.sq, row.se)), row.printed, row.follows] for row in bad.itertuples()
            ]
            caption = f"Rows of Table 1 ({one.task}) that contradict themselves"
            blocks.append(Table(caption, ["cell", "printed", "what follows"], lines))
    return blocks


def _table2(tasks: Sequence[Findings]) -> list[Block]:
    published = paper.classification_results().set_index("pair")
    rows = []
    for one in tasks:
        if one.is_score and one.task in published.index:
            row = [one.task, published.group[one.task]]
            for metric in ("auprc", "auroc", "f1"):
                row += [interval(one.levels.loc[metric].loc[CLEAN])]
                row += [number(one.constant(metric))] if metric in BY_SHARE else []
                row += [f"{published.loc[one.task, metric]:.3f}"]
            rows.append(row)
    header = ["pair", "pairs of this group look"]
    for metric in ("auprc", "auroc", "f1"):
        name = metric_name(metric)
        header += [name, *(["constant answer"] if metric in BY_SHARE else []), f"paper {name}"]
    return [Table("Clean films, and the paper's Table 2", header, rows)] if rows else []


def _quoted(tasks: Sequence[Findings]) -> list[Block]:
    """The drops that the paper's text states."""
    named = {one.task.lower(): [one] for one in tasks}
    published = paper.classification_results()
    distinct = published[published.group == "distinct"].pair.str.lower()
    if distinct.isin(list(named)).all():
        named["distinct"] = [named[pair][0] for pair in distinct]
    rows = []
    for row in paper.quoted_drops().itertuples():
        cell = (row.metric, float(row.sq), float(row.se))
        ours = named.get(row.task.lower(), [])
        if ours and all(cell in one.changes.index for one in ours):
            lost = mean_loss(one.changes.value[cell] for one in ours)
            rows.append(
                [
                    row.task,
                    metric_name(row.metric),
                    cell_name(cell[1:]),
                    number(lost),
                    f"{row.drop:.3f}",
                ]
            )
    header = ["task", "metric", "cell", "lost here", "lost in the paper"]
    return [Table("Losses that the paper's text states", header, rows)] if rows else []
