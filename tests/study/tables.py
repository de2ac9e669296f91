"""Long tables for the tests of what is derived from them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def rows(
    values: np.ndarray,
    targets: np.ndarray | None = None,
    *,
    patients: Sequence[object] | None = None,
    cell: tuple[float, float] = (0.0, 0.0),
    network: str = "A",
    metric: str = "score",
    label: str = "finding",
    training_seed: int = 0,
    noise_seed: int = 0,
) -> pd.DataFrame:
    """The long table of one cell: a row per image, by default a patient per image."""
    images = np.arange(len(values))
    return pd.DataFrame(
        {
            "task": "task",
            "network": network,
            "weights": "best",
            "training_seed": training_seed,
            "sq": float(cell[0]),
            "se": float(cell[1]),
            "noise_seed": noise_seed,
            "image": [f"image{n:04d}" for n in images],
            "patient": [f"patient{p:>04}" for p in (images if patients is None else patients)],
            "source": "source",
            "label": label,
            "metric": metric,
            "value": np.asarray(values, float),
            "target": np.nan if targets is None else np.asarray(targets, float),
        }
    )


def curve(values: dict[tuple[float, float], float], **about: object) -> pd.DataFrame:
    """The long table of cells in each of which two images have the same value."""
    return pd.concat(
        [rows(np.full(2, v), cell=cell, **about) for cell, v in values.items()],  # type: ignore[arg-type]
        ignore_index=True,
    )


def scores(seed: int, n: int = 60, decimals: int = 15) -> tuple[np.ndarray, np.ndarray]:
    """Scores, with many ties where few decimals are kept, and both classes."""
    generator = np.random.default_rng(seed)
    targets = (generator.random(n) < 0.4).astype(float)
    targets[:2] = 0, 1
    logits = generator.normal(targets, 1.0)
    return np.round(1 / (1 + np.exp(-logits)), decimals), targets
