"""
The severities
==============

The ladder of the paper, as photons per pixel and as signal-to-noise ratio at half of full scale.
"""

import matplotlib.pyplot as plt
import torch

from cxr_noise_transforms import (
    electronic_noise,
    electronic_snr,
    photons_per_pixel,
    quantum_noise,
    quantum_snr,
)
from cxr_noise_transforms.study.films import chest_phantom

film = torch.from_numpy(chest_phantom(seed=3, size=192).image)
ladder = (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)

figure, axes = plt.subplots(2, 6, figsize=(11, 4.6), layout="constrained")
for severity, above, below in zip(ladder, *axes, strict=True):
    above.imshow(quantum_noise(film, severity, seed=0), cmap="gray", vmin=0, vmax=255)
    above.set_title(
        f"sq = {severity:g}, {photons_per_pixel(severity):.4g} photons\n"
        f"SNR {quantum_snr(0.5, severity):.1f}",
        fontsize=8,
    )
    below.imshow(electronic_noise(film, severity, seed=0), cmap="gray", vmin=0, vmax=255)
    below.set_title(f"se = {severity:g}\nSNR {electronic_snr(0.5, severity):.2f}", fontsize=8)
for axis in axes.flat:
    axis.set_axis_off()

# %%
# At one seed the photon counts rise with the dose: two severities show the same noise at another
# strength, pixel by pixel.

grey = torch.full((1, 64, 64), 0.5)
mild, hard = quantum_noise(grey, 2.0, seed=5), quantum_noise(grey, 8.0, seed=5)
figure, axis = plt.subplots(figsize=(4, 4), layout="constrained")
axis.plot(mild.flatten(), hard.flatten(), ".", markersize=2)
axis.set_xlabel("sq = 2")
axis.set_ylabel("sq = 8")
