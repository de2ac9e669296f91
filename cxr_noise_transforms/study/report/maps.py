"""Where a network sees a finding: activation maps over clean and noisy films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import torch

from cxr_noise_transforms.study.evaluation.activation import activation_maps, last_features
from cxr_noise_transforms.study.evaluation.sweep import Sweep
from cxr_noise_transforms.study.statistics.long_table import CLEAN

from .document import Block, Gallery, Picture
from .gallery import draw, view
from .words import Cell, cell_name, cell_words, number


def finding_maps(sweep: Sweep, network: str, table: pd.DataFrame, cell: Cell) -> list[Block]:
    """The film that shows each finding most surely, with the finding's map, clean and noisy.

    Args:
        sweep: finished, of several findings.
        network: whose maps, as timm names it.
        table: its long table of films, with the clean cell.
        cell: of the noisy film.

    Returns:
        A gallery per finding that a test film has.
    """
    blocks: list[Block] = []
    workflow = replace(sweep, loading={**sweep.loading, "cache": "none"}).evaluation(network)
    films = workflow.parser.get_parsed_content("split")["test"]
    places = {film["id"]: place for place, film in enumerate(films)}
    model = workflow.parser.get_parsed_content("network")
    layer = f"network.{last_features(model.network)}"
    for index, finding in enumerate(sweep.labels):
        image = _surest(table, finding)
        if image is None:
            continue
        sample = workflow.dataset[places[image]]
        pictures = []
        for place, (where, mapped) in enumerate([(CLEAN, False), (CLEAN, True), (cell, True)]):
            seen = view(workflow, sample, *where, sweep.noise_seeds[0])
            grey = torch.from_numpy(seen.image)[None, None].expand(-1, 3, -1, -1)
            grey = grey.to(workflow.device)
            with torch.inference_mode():
                score = model.eval()(grey).sigmoid()[0, index].item()
            if mapped:
                heat = activation_maps(model, grey, layer, index)[0].cpu().numpy()
                seen = replace(seen, heat=heat)
            words = f"{cell_name(where)}{', map' if mapped else ''}: P {number(score, '.2f')}"
            alt = f"film {image} at {cell_words(where)}, {finding}{', with its map' * mapped}"
            file = f"map-{index}-{place}.jpg"
            pictures.append(Picture(file, alt, draw(seen, 256), caption=words))
        blocks.append(Gallery(f"{finding}, film {image}", pictures))
    return blocks


def _surest(table: pd.DataFrame, finding: str) -> str | None:
    """The film with a finding that has its highest clean score."""
    clean = (table.sq == 0) & (table.se == 0) & (table.weights == "best")
    rows = table[clean & (table.label == finding) & (table.target == 1)]
    return None if rows.empty else str(rows.image[rows.value.idxmax()])


def map_words(labels: Sequence[str]) -> str:
    """How the maps are read."""
    return (
        f"The brighter, the more a place speaks for the finding (Grad-CAM of the last features, "
        f"{len(labels)} findings); P is the network's probability. Each map has its own scale: "
        "a network that is sure of nothing has a bright spot too."
    )
