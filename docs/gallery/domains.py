"""
Display values and exposure
===========================

A stored film is log-like: white is where little came through. With ``domain=LogExposure()`` the
photons are counted in the exposure, so that the noise lies behind heart, spine and diaphragm, where
the photons were few.
"""

import matplotlib.pyplot as plt
import torch

from cxr_noise_transforms import LogExposure, QuantumNoise
from cxr_noise_transforms.study.films import chest_phantom

film = torch.from_numpy(chest_phantom(seed=12, size=256).image).float() / 255
ways = {
    "display values, sq = 4": QuantumNoise(sq=4),
    "exposure, sq = 0.8": QuantumNoise(sq=0.8, domain=LogExposure(decades=2)),
    "exposure, sq = 0.8, blur = 1": QuantumNoise(sq=0.8, domain=LogExposure(), blur=1),
}
figure, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained")
for (title, noise), above, below in zip(ways.items(), *axes, strict=True):
    noisy = noise(film, seed=0)
    above.imshow(noisy, cmap="gray", vmin=0, vmax=1)
    above.set_title(title)
    below.imshow(noisy - film, cmap="gray", vmin=-0.4, vmax=0.4)
    below.set_title("noise alone")
for axis in axes.flat:
    axis.set_axis_off()

# %%
# ``film=`` says what noise the film has already; only what is missing is added. A film of the
# normal dose becomes one of a quarter of it, and its variance is that of a quarter, not of a fifth.

grey = torch.full((1, 512, 512), 0.5)
normal = QuantumNoise(sq=1)(grey, seed=1)
quarter = QuantumNoise(sq=2, film=1)(normal, seed=2)
print(f"variance {float(quarter.var()):.5f}, by the law {0.5 * 2**2 / 1000:.5f}")
