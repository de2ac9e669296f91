"""What every network's output must be."""

from __future__ import annotations

import torch


def refuse_nan(prediction: torch.Tensor, ids: list[str]) -> None:
    """Raise ``ValueError`` where a film of the batch has no prediction or one that holds NaN."""
    if len(prediction) != len(ids):
        raise ValueError(f"{len(ids)} films gave {len(prediction)} predictions")
    broken = prediction.reshape(len(ids), -1).isnan().any(dim=1)
    if broken.any():
        raise ValueError(
            f"the network predicts NaN for film {ids[int(broken.nonzero()[0])]} "
            f"({int(broken.sum())} of {len(broken)} in its batch)"
        )
