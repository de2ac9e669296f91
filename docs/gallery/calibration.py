"""
Calibration: the noise that a film has
======================================

``estimate_severity`` reads quantum and electronic severity from variance against signal, where the
noise is white and its variance a line.
"""

import matplotlib.pyplot as plt
import torch

from cxr_noise_transforms import RadiographicNoise, estimate_severity

severities = torch.tensor([0.5, 1.0, 2.0, 3.0, 4.0])
grey = torch.linspace(0.1, 0.9, 256).expand(len(severities), 1, 256, 256)
films = RadiographicNoise(sq=severities, se=0.2)(grey, seed=0)
found = estimate_severity(films)

figure, axis = plt.subplots(figsize=(4.5, 4), layout="constrained")
axis.plot(severities, severities, "k:", label="true")
axis.plot(severities, found.sq, "o", label="estimated sq")
axis.plot(severities, found.se, "s", label="estimated se (true: 0.2)")
axis.set_xlabel("sq of the films")
axis.legend()

# %%
# What it finds is what ``film=`` takes: noise is then added up to a severity, not on top of it.

film = (float(found.sq[1]), float(found.se[1]))
target = RadiographicNoise(sq=3.0, se=0.5, film=film)(films[1], seed=1)
reached = estimate_severity(target)
print(f"asked for sq 3.0, se 0.5; found sq {reached.sq:.2f}, se {reached.se:.2f}")

# %%
# A film without white noise is refused, and told why.

smooth = torch.nn.functional.avg_pool2d(films[:1], 3, 1)
try:
    estimate_severity(smooth)
except ValueError as error:
    print(error)
