"""
A stress test of a toy model
============================

A model that calls dark pixels lung, measured over the quantum ladder: one long table, and a curve.
"""

import matplotlib.pyplot as plt
import torch

from cxr_noise_transforms.study import stress_test
from cxr_noise_transforms.study.films import chest_phantom

phantoms = [chest_phantom(seed, 64) for seed in range(8)]
films = torch.stack([torch.from_numpy(one.image)[None] / 255 for one in phantoms])
lungs = torch.stack([torch.from_numpy(one.lungs)[None].float() for one in phantoms])


def dark_is_lung(films: torch.Tensor) -> torch.Tensor:
    """Logits of lung: darker than the body, brighter than the air around it."""
    return 40 * torch.minimum(0.55 - films, films - 0.1)


def smooth_is_lung(films: torch.Tensor) -> torch.Tensor:
    """The same, looking at 5 x 5 pixels."""
    return dark_is_lung(torch.nn.functional.avg_pool2d(films, 5, 1, padding=2))


cells = [(sq, 0) for sq in (0, 1, 2, 4, 6, 8, 10)]
figure, axis = plt.subplots(figsize=(5.5, 3.5), layout="constrained")
for model in (dark_is_lung, smooth_is_lung):
    table = stress_test(model, [(films, lungs)], labels=["lungs"], cells=cells, outputs="logits")
    dice = table[table.metric == "dice"].groupby("sq").value.mean()
    axis.plot(dice.index, dice, "o-", label=model.__name__)
axis.set_xlabel("quantum severity")
axis.set_ylabel("Dice, mean over films")
axis.legend()

# %%
# A row per film, metric and cell is what statistics and reports are made from.

print(table.head(4).to_string(index=False))
