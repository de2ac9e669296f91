"""Films measured per second in a stress test, noise and checks included, films in memory."""

from typing import Any

import pytest
import torch

from cxr_noise_transforms.study import stress_test
from cxr_noise_transforms.study.training.networks import classification_network

from .machine import DEVICES

CELLS = ((0.0, 0.0), (4.0, 0.0), (0.0, 4.0))
# films and batch
EXTENT = {"cpu": (8, 8), "cuda": (2048, 64)}


@pytest.mark.parametrize("network", ["resnet34", "densenet121", "efficientnet_b0"])
@pytest.mark.parametrize("device", DEVICES)
def test_stress(benchmark: Any, quick: bool, device: str, network: str) -> None:
    side, (films, batch) = (64, (4, 2)) if quick else (512, EXTENT[device])
    images = torch.rand(films, 1, side, side, generator=torch.Generator().manual_seed(0))
    targets, names = torch.arange(films) % 2, torch.arange(films)
    parts = (part.split(batch) for part in (images, targets, names))
    loader = [(image, target, name.tolist()) for image, target, name in zip(*parts, strict=True)]
    model = classification_network(network, size=side)
    arguments = {"cells": CELLS, "channels": 3, "device": device, "outputs": "logits"}
    stress_test(model, loader[:1], "binary", **arguments)
    rounds = 1 if quick else 3
    benchmark.pedantic(stress_test, (model, loader, "binary"), arguments, rounds=rounds)
    settings = f"{device}, films of {side}² in memory, batches of {batch}"
    benchmark.extra_info |= {"what": network, "films": films * len(CELLS), "settings": settings}
