"""
The same noise again
====================

A noise says what it drew, as JSON, and a later call replays it bit for bit.
"""

import json

import matplotlib.pyplot as plt
import torch

from cxr_noise_transforms import QuantumNoise, noise_record, replay_record
from cxr_noise_transforms.study.films import chest_phantom

films = torch.stack([torch.from_numpy(chest_phantom(seed, 128).image)[None] for seed in range(3)])
noise = QuantumNoise(sq=(2, 10))
noisy = noise(films)
record = json.dumps(noise_record(noise), indent=1)
print(record)

# %%
again = replay_record(films, json.loads(record))
assert torch.equal(again, noisy)

figure, axes = plt.subplots(2, 3, figsize=(7, 5), layout="constrained")
for row, batch, name in zip(axes, (noisy, again), ("drawn", "replayed"), strict=True):
    for axis, film, sq in zip(row, batch, noise.drawn["sq"], strict=True):
        axis.imshow(film[0], cmap="gray", vmin=0, vmax=255)
        axis.set_title(f"{name}, sq = {sq:.2f}", fontsize=9)
        axis.set_axis_off()
