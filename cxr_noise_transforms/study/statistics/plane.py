"""Resolution and dose as one plane: the same air kerma at any size of pixel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cxr_noise_transforms import photons_per_pixel
from cxr_noise_transforms.study.columns import UNDEGRADED

from .resampling import bootstrap

# side of a chest film in mm, 17 inches
FIELD = 430.0


def resolution_plane(
    table: pd.DataFrame,
    sizes: Mapping[str, int],
    metric: str = "auroc",
    resamples: int | None = None,
) -> pd.DataFrame:
    """What networks of several film sizes achieve, by size and by dose.

    A pixel of side ``a`` counts photons in proportion to ``a^2``, so at one dose the severity sq
    rises with the size: reducing a film m times divides its noise variance by m². The dose is
    told as counted photons per mm² of a field of 430 mm, to which air kerma is proportional.

    Args:
        table: the long table of one task and checkpoint, with quantum noise alone.
        sizes: side of the films in pixels, by network.
        metric: which; the mean over labels.
        resamples: see :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap`.

    Returns:
        One row per network and dose: ``network``, ``size``, ``photons`` per mm² (infinite without
        noise), ``value``, ``lower``, ``upper``, ``chance``; the highest dose first.

    Raises:
        ValueError: there is electronic noise, or a network without a size.
    """
    if (table.se > 0).any():
        raise ValueError("table must hold quantum noise alone, has electronic noise too")
    unknown = sorted(set(table.network) - set(sizes))
    if unknown:
        raise ValueError(f"sizes must have every network, lack {', '.join(unknown)}")
    means = bootstrap(table, resamples=resamples).select(metric=metric, degradation=UNDEGRADED)
    found = means.mean_over("label").intervals()
    found["size"] = found.network.map(sizes)
    doses = [
        photons_per_pixel(sq) * (size / FIELD) ** 2 if sq else np.inf
        for sq, size in zip(found.sq, found["size"], strict=True)
    ]
    # three digits: the same dose of two sizes is one
    found["photons"] = [float(f"{dose:.3g}") for dose in doses]
    columns = ["network", "size", "photons", "value", "lower", "upper", "chance"]
    return found.sort_values(["size", "photons"], ascending=False)[columns].reset_index(drop=True)
