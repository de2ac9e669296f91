"""Films per second through a training, with noise nowhere, on the device, or in the workers."""

import os
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.losses import DiceLoss
from monai.transforms import Compose, EnsureTyped, RandFlipd, ScaleIntensityRanged
from torch.utils.data import RandomSampler

from cxr_noise_transforms import RadiographicNoise
from cxr_noise_transforms.monai import NoisyBatch, RandNoised
from cxr_noise_transforms.study.films.phantom import chest_phantom
from cxr_noise_transforms.study.training.networks import segmentation_network

from .machine import DEVICES

# severities drawn per film and step
NOISE = RadiographicNoise((0.0, 4.0), (0.0, 1.0))
WORKERS = min(8, os.cpu_count() or 1)
# what gets the noise on the device, and what in the loader's workers
WAYS = {
    "no noise": (None, []),
    "NoisyBatch, on the device": (NOISE, []),
    "RandNoised, in the loader's workers": (None, [RandNoised("image", NOISE, prob=1.0)]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("device", DEVICES)
def test_training(benchmark: Any, quick: bool, device: str, way: str) -> None:
    if device == "cpu" and not quick:
        pytest.skip("trains on a CPU with --quick alone")
    side, films, batch, steps, rounds = (64, 4, 2, 1, 1) if quick else (512, 64, 16, 64, 9)
    on_device, in_workers = WAYS[way]
    torch.manual_seed(0)
    batches = iter(load(phantoms(films, side), in_workers, batch, device))
    step = trainer(NoisyBatch(on_device, channels=3), device)

    def train() -> None:
        for _ in range(steps):
            step(next(batches))

    # what the workers hold ready at the start is used up in the first round
    benchmark.pedantic(train, rounds=rounds, warmup_rounds=1)
    settings = (
        f"{device}, a U-Net with ResNet34, films of {side}², batches of {batch}, {WORKERS} loader "
        "processes, severities up to sq = 4 and se = 1"
    )
    benchmark.extra_info |= {"what": way, "films": steps * batch, "settings": settings}


@cache
def phantoms(films: int, side: int) -> list[dict[str, Any]]:
    """Films with the masks of their lungs."""
    drawn = [chest_phantom(seed, side) for seed in range(films)]
    return [{"image": one.image[None], "label": one.lungs[None]} for one in drawn]


def load(films: list[dict[str, Any]], noise: list[Any], batch: int, device: str) -> DataLoader:
    """Batches without an end: flipped, scaled, and noisy if asked."""
    transforms = [
        RandFlipd(["image", "label"], prob=0.5, spatial_axis=1),
        ScaleIntensityRanged("image", a_min=0, a_max=255, b_min=0.0, b_max=1.0),
        EnsureTyped(["image", "label"], dtype=torch.float32, track_meta=False),
    ]
    data = Dataset(films, Compose([*transforms, *noise]))
    endless = RandomSampler(data, replacement=True, num_samples=10**9)
    options = {"num_workers": WORKERS, "pin_memory": device == "cuda"}
    return DataLoader(data, batch_size=batch, sampler=endless, **options)


def trainer(prepare: NoisyBatch, device: str) -> Callable[[Any], None]:
    """One step: copy, add noise, forward, backward, AdamW; half precision on CUDA."""
    network = segmentation_network("Unet", "resnet34").to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    loss_function, mixed = DiceLoss(sigmoid=True), device == "cuda"
    scaler = torch.amp.GradScaler(device, enabled=mixed)

    def step(batch: Any) -> None:
        image, label = prepare(batch, device, non_blocking=True)
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.float16, enabled=mixed):
            loss = loss_function(network(image), label)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step
