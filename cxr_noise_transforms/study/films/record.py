"""What both datasets share: the record of a film, its image, and the cache of loaded films."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

#: one film: id, patient, source, either its image (path below the data folder) or the phantom's
#: seed, and for classification finding and label
Film = dict[str, Any]


def phantom_films(count: int, seed: int = 0) -> list[Film]:
    """``count`` phantom persons, one film each."""
    return [
        {
            "id": f"phantom-{person:06d}",
            "patient": f"phantom-{person:06d}",
            "source": "phantom",
            "seed": person,
        }
        for person in range(seed * 1_000_000, seed * 1_000_000 + count)
    ]


def loaded(film: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
    """What every loader returns: id, patient, source, and the image as ``(1, H, W)``."""
    return {
        **{key: film[key] for key in ("id", "patient", "source")},
        "image": torch.from_numpy(image)[None],
    }
