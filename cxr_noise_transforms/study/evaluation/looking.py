"""Where a trained network looks under noise, and what its batch normalisation sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cxr_noise_transforms import RadiographicNoise
from cxr_noise_transforms.monai import NoisyBatch
from cxr_noise_transforms.study.columns import COLUMNS, UNDEGRADED
from cxr_noise_transforms.study.training.batch_norm import statistics_shift

from .attention import confidence, inside_share, network_maps, rank_correlation
from .grid import EQUAL_VARIANCE
from .kinds import kind_of

# where both kinds of noise are compared: from hardly to be seen to where little is left
LOOKED_AT = (1.0, 3.0, 6.0)
_CELLS = ((UNDEGRADED, 0.0), *((kind, se) for kind in EQUAL_VARIANCE for se in LOOKED_AT))
METRICS = ("inside", "agreement", "confidence")


def noisy(batch: Mapping[str, Any], kind: str, se: float, device: torch.device) -> Tensor:
    """Films of a batch as a network sees them under a kind of noise.

    Args:
        batch: with ``image`` and ``id``.
        kind: ``"none"`` for electronic noise, or a name of :func:`.kinds.kind_of`.
        se: severity.
        device: of the films.
    """
    other = kind_of(kind)
    make = RadiographicNoise if other is None else other.noise
    noise = make(0.0, se, value_range=(0.0, 1.0), bits=8)
    films: Tensor = NoisyBatch(noise, seed=0, channels=3)(dict(batch), device)[0]
    return films


def attention(
    network: nn.Module,
    loader: Iterable[Mapping[str, Any]],
    label: str,
    about: Mapping[str, Any],
    device: torch.device,
    masks: Mapping[str, NDArray[np.uint8]] | None = None,
) -> pd.DataFrame:
    """Activation maps of the first label under electronic noise and quantum noise of its RMS.

    Args:
        network: in evaluation mode, grey films in three channels to logits.
        loader: batches with ``id``, ``patient``, ``source``, ``image`` and ``label``.
        label: name of the first output.
        about: constant columns: ``task``, ``network``, ``weights``, ``training_seed``.
        device: of the network.
        masks: ``(H, W)`` by id, such as lungs, where labels are no masks.

    Returns:
        A long table with three metrics: ``inside``, the share of the map's energy inside the
        mask (NaN without one, and where nothing is predicted); ``agreement``, the rank
        correlation with the clean film's map; ``confidence``, see
        :func:`.attention.confidence`.
    """
    parts = []
    for batch in loader:
        clean = network_maps(network, noisy(batch, UNDEGRADED, 0.0, device))
        inner = _masks(batch, masks or {}, clean)
        for kind, se in _CELLS:
            films = noisy(batch, kind, se, device)
            maps = network_maps(network, films)
            with torch.inference_mode():
                sure = confidence(network(films))
            values = (inside_share(maps, inner), rank_correlation(maps, clean), sure)
            for metric, value in zip(METRICS, values, strict=True):
                columns = {
                    **about, "sq": 0.0, "se": se, "noise_seed": 0, "degradation": kind,
                    "image": batch["id"], "patient": batch["patient"], "source": batch["source"],
                    "label": label, "metric": metric, "value": value.cpu().numpy().round(5),
                    "target": float("nan"),
                }  # fmt: skip
                parts.append(pd.DataFrame(columns)[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True)


def _masks(
    batch: Mapping[str, Any], masks: Mapping[str, NDArray[np.uint8]], like: Tensor
) -> Tensor:
    """The first organ of every film, or its own mask; NaN for a film that has none."""
    if batch["label"].ndim == 4:
        organ: Tensor = batch["label"][:, 0].to(like)
        return organ
    found = torch.full_like(like, torch.nan)
    for place, image in enumerate(batch["id"]):
        if image in masks:
            found[place] = torch.as_tensor(masks[image])
    return found


class Maps(NamedTuple):
    """One film's activation maps, without noise and under electronic noise.

    Attributes:
        image: its id.
        se: severity.
        agreement: rank correlation of the two maps.
        film: ``(H, W)`` in [0, 1], and so are the others.
        map: on the clean film.
        noisy: the noisy film.
        noisy_map: on it.
    """

    image: str
    se: float
    agreement: float
    film: NDArray[np.float32]
    map: NDArray[np.float32]
    noisy: NDArray[np.float32]
    noisy_map: NDArray[np.float32]


def example_maps(
    network: nn.Module,
    loader: Iterable[Mapping[str, Any]],
    images: Sequence[str],
    se: float,
    device: torch.device,
) -> list[Maps]:
    """The maps of some films, in the order of their names here; as :func:`attention` has them.

    Args:
        network: as of :func:`attention`.
        loader: likewise.
        images: ids.
        se: severity.
        device: of the network.
    """
    found = {}
    for batch in loader:
        chosen = [place for place, image in enumerate(batch["id"]) if image in images]
        if not chosen:
            continue
        some = {"id": [batch["id"][place] for place in chosen], "image": batch["image"][chosen]}
        films = [noisy(some, UNDEGRADED, severity, device) for severity in (0.0, se)]
        maps = [network_maps(network, each) for each in films]
        for place, image in enumerate(some["id"]):
            clean, worse = (each[place].cpu().numpy() for each in maps)
            agreement = rank_correlation(maps[0][place, None], maps[1][place, None]).item()
            grey = [each[place, 0].cpu().numpy() for each in films]
            found[image] = Maps(image, se, agreement, grey[0], clean, grey[1], worse)
    return [found[image] for image in images]


def shifts(
    network: nn.Module,
    loader: Iterable[Mapping[str, Any]],
    about: Mapping[str, Any],
    device: torch.device,
) -> pd.DataFrame:
    """The shift of every batch normalisation's statistics under both kinds of noise.

    Args:
        network: as of :func:`attention`.
        loader: likewise; all its films count at once.
        about: constant columns.
        device: of the network.

    Returns:
        One row per kind, severity and layer: ``place`` from 0 (first) to 1 (last layer), ``mean``
        and ``log_variance`` of :class:`~cxr_noise_transforms.study.training.batch_norm.Shift`.
    """
    batches = list(loader)
    rows = []
    for kind, se in _CELLS:
        films = torch.cat([noisy(batch, kind, se, device) for batch in batches])
        found = statistics_shift(network, films)
        for place, one in enumerate(found):
            where = {"place": round(place / max(1, len(found) - 1), 4), **one._asdict()}
            rows.append({**about, "degradation": kind, "se": se, **where})
    return pd.DataFrame(rows)
