"""
The noises
==========

Photons that were counted, a signal that was read out, and both in one exposure.
"""

import matplotlib.pyplot as plt
import torch

from cxr_noise_transforms import ElectronicNoise, QuantumNoise, RadiographicNoise
from cxr_noise_transforms.study.films import chest_phantom

film = torch.from_numpy(chest_phantom(seed=12, size=256).image)  # uint8
noises = [QuantumNoise(sq=6), ElectronicNoise(se=1), RadiographicNoise(sq=6, se=1)]

figure, axes = plt.subplots(1, 4, figsize=(10, 3), layout="constrained")
axes[0].imshow(film, cmap="gray", vmin=0, vmax=255)
axes[0].set_title("clean")
for axis, noise in zip(axes[1:], noises, strict=True):
    axis.imshow(noise(film, seed=0), cmap="gray", vmin=0, vmax=255)
    axis.set_title(str(noise), fontsize=8)
for axis in axes:
    axis.set_axis_off()

# %%
# Quantum noise grows with the signal, electronic noise is the same everywhere. A grey wedge shows
# the laws, Var[Q] = I sq² / N0 and Var[E] = (sigma0 se)²:

grey = torch.linspace(0.05, 1, 20)
wedge = grey[:, None, None].expand(-1, 200, 200)
figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
for noise in noises:
    axis.plot(grey, noise(wedge, seed=1).var(dim=(1, 2)), "o", label=str(noise))
axis.set_xlabel("signal I")
axis.set_ylabel("variance")
axis.legend()
