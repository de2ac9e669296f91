"""Long tables over both severities, for the tests of reports."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from tables import rows

from cxr_noise_transforms import LADDER

CELLS = [(0.0, 0.0), *((s, 0.0) for s in (4.0, 10.0)), *((0.0, s) for s in (4.0, 10.0)), (1.0, 1.0)]


def dice_table(
    networks: Sequence[str] = ("A", "B"),
    *,
    labels: Sequence[str] = ("lungs",),
    noise_seeds: int = 1,
    weights: Sequence[str] = ("best",),
    films: int = 6,
) -> pd.DataFrame:
    """Dice and IoU that fall with both severities, a little differently for every film."""
    generator = np.random.default_rng(0)

    def dice(sq: float, se: float, place: int) -> np.ndarray:
        fallen = 0.9 - 0.02 * sq - 0.06 * se - 0.1 * place
        return (fallen + generator.normal(0, 0.02, films)).clip(0, 1)

    parts = [
        rows(
            dice(sq, se, place) ** power,
            cell=(sq, se), network=network, metric=metric, label=label, noise_seed=seed,
        ).assign(weights=checkpoint)
        for place, network in enumerate(networks)
        for checkpoint in weights
        for sq, se in CELLS
        for seed in range(noise_seeds)
        for label in labels
        for power, metric in ((1, "dice"), (2, "iou"))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(task="lungs")


def score_table(networks: Sequence[str] = ("A", "B"), films: int = 12) -> pd.DataFrame:
    """Scores of one finding, which lose what they know with both severities."""
    generator = np.random.default_rng(0)
    targets = np.arange(films) % 2

    def score(sq: float, se: float) -> np.ndarray:
        known = (2 * targets - 1) * (3 - 0.25 * (sq + se))
        return 1 / (1 + np.exp(-known - generator.normal(size=films)))

    parts = [
        rows(
            score(sq, se),
            targets, cell=(sq, se), network=network, label="Edema",
        )
        for network in networks
        for sq, se in CELLS
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(task="Effusion / Edema")


def straight_table() -> pd.DataFrame:
    """Two networks and three films on straight lines; the second one has twice as many rows."""
    found = [
        {
            "task": "lungs",
            "network": network,
            "weights": "best",
            "training_seed": 0,
            "sq": float(sq),
            "se": float(se),
            "noise_seed": seed,
            "image": f"film{film}",
            "patient": f"patient{film}",
            "source": "",
            "label": "lungs",
            "metric": metric,
            "value": base - 0.02 * sq - 0.04 * se - 0.01 * film,
            "target": np.nan,
        }
        for network, base, seeds in (("A", 0.9, 1), ("B", 0.7, 2))
        for seed in range(seeds)
        for sq, se in LADDER
        for film in range(3)
        for metric in ("dice", "iou")
    ]
    return pd.DataFrame(found).sample(frac=1, random_state=0)
