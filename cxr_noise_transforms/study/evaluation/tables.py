"""What was measured on a batch as rows of the long table, and the rows of all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch.distributed as dist

from cxr_noise_transforms.study.processes import world

from .batches import Content
from .measures import Measured


def rows_of(
    measured: Mapping[str, Measured], batch: Mapping[str, Any], labels: Sequence[str] | None
) -> pd.DataFrame:
    """One row per film of the batch, label and metric.

    Raises:
        ValueError: values of another shape, or other names of labels than values.
    """
    tables = []
    for metric, (values, targets) in measured.items():
        if values.ndim != 2 or len(values) != len(batch["id"]):
            raise ValueError(
                f"{metric} must be (B, labels) for {len(batch['id'])} images, "
                f"got {tuple(values.shape)}"
            )
        count = values.shape[1]
        names = list(labels) if labels is not None else [str(number) for number in range(count)]
        if len(names) != count:
            raise ValueError(f"{len(names)} labels ({', '.join(names)}) for {count} outputs")
        flat = values.double().cpu().numpy().ravel()
        target = np.nan if targets is None else targets.double().cpu().numpy().ravel()
        about = {"patient": batch["patient"], "source": batch["source"], **batch["groups"]}
        films = {name: np.repeat(each, count) for name, each in about.items()}
        tables.append(
            pd.DataFrame(
                {"image": np.repeat(batch["id"], count), **films, "metric": metric, "value": flat}
            ).assign(label=names * len(batch["id"]), target=target)
        )
    return pd.concat(tables, ignore_index=True)


def gathered(
    tables: list[pd.DataFrame], films: dict[str, Content]
) -> tuple[list[pd.DataFrame], dict[str, Content]]:
    """All processes' tables and films; a film that a sampler gave to two of them counts once.

    Raises:
        ValueError: no process has a film, or two have different films of one id.
    """
    if world() == 1:
        return tables, films
    shares: list[Any] = [None] * world()
    dist.all_gather_object(shares, (tables, films))
    seen: dict[str, Content] = {}
    fresh = []
    for parts, some in shares:
        other = [film for film in some.keys() & seen.keys() if some[film] != seen[film]]
        if other:
            raise ValueError(
                f"two processes have different images {min(other)}: in a distributed run the "
                "loader must give ids"
            )
        fresh.append(
            [part[~part["image"].isin(seen.keys())] if len(part) else part for part in parts]
        )
        seen |= some
    whole = [pd.concat(cell, ignore_index=True) for cell in zip(*fresh, strict=True)]
    return whole, seen
