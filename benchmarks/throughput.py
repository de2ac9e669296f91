"""Training films per second with noise in different places: ``python -m benchmarks.throughput``."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import torch
from monai.data import DataLoader, Dataset
from monai.losses import DiceLoss
from monai.transforms import Compose, EnsureTyped, RandFlipd, ScaleIntensityRanged
from torch import nn
from torch.utils.data import RandomSampler
from tqdm import tqdm

from cxr_noise_transforms import RadiographicNoise
from cxr_noise_transforms.monai import NoisyBatch, RandNoised
from cxr_noise_transforms.study.films.phantom import chest_phantom
from cxr_noise_transforms.study.training.networks import segmentation_network

from .engine import QUICK_RESULTS, RESULTS
from .machine import describe_machine, describe_versions, is_installed, machine_slug
from .records import write_json

# severities drawn per film and step
SQ, SE = (0.0, 4.0), (0.0, 1.0)
NETWORK = ("Unet", "resnet34")


class Extent(NamedTuple):
    """How much is trained: films of side² pixels, batch size, and rounds of so many seconds."""

    side: int
    films: int
    batch: int
    rounds: int
    seconds: float


FULL, QUICK = Extent(512, 64, 16, 9, 4.0), Extent(64, 4, 2, 2, 0.0)


class Way(NamedTuple):
    """Where a training film gets its noise: nowhere, on the device, or in the loader's workers."""

    name: str
    on_device: nn.Module | None = None
    in_workers: nn.Module | None = None


def ways(device: str) -> list[Way]:
    """Those that a device has."""
    noise = RadiographicNoise(SQ, SE)
    found = [
        Way("no noise"),
        Way("NoisyBatch, on the device", on_device=noise),
        Way("RandNoised, in the loader's workers", in_workers=noise),
    ]
    if device == "cuda" and is_installed("triton"):
        fused = RadiographicNoise(SQ, SE, backend="triton")
        found.insert(2, Way('NoisyBatch, on the device, backend="triton"', on_device=fused))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Train in every way, and write one result file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Training films per second; see benchmarks/README.md.",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the result file")
    parser.add_argument("--quick", action="store_true", help="small films: does it run at all?")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device")
    extent = QUICK if options.quick else FULL
    workers = 1 if options.quick else min(8, os.cpu_count() or 1)
    machine = describe_machine(options.device)
    folder = QUICK_RESULTS if options.quick else RESULTS
    path = options.out or folder / f"throughput-{options.device}-{machine_slug(machine)}.json"
    load = round(os.getloadavg()[0], 2)
    films = _films(extent)
    rows = []
    for way in (progress := tqdm(ways(options.device), unit="way")):
        progress.set_description(way.name)
        rates = list(_rates(way, films, extent, options.device, workers))
        q1, median, q3 = statistics.quantiles(rates, n=4, method="inclusive")
        values = dict(zip(("films_per_second", "q1", "q3"), (median, q1, q3), strict=True))
        rows.append({"way": way.name, **{name: float(f"{v:.4g}") for name, v in values.items()}})
        progress.write(f"{way.name}: {median:.4g} films/s ({q1:.4g} to {q3:.4g})")
    write_json(
        path,
        {
            "kind": "throughput",
            "device": options.device,
            "machine": machine,
            "versions": describe_versions(
                ["monai", "numpy", "segmentation_models_pytorch", "torch", "triton"]
            ),
            "settings": {
                "quick": options.quick,
                "network": " with ".join(NETWORK),
                "workers": workers,
                "sq": SQ,
                "se": SE,
                **extent._asdict(),
            },
            "load": load,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "rows": rows,
        },
    )
    print(f"wrote {path}")


def _films(extent: Extent) -> list[dict[str, Any]]:
    phantoms = [
        chest_phantom(seed, extent.side)
        for seed in tqdm(range(extent.films), unit="film", desc="phantoms", leave=False)
    ]
    return [{"image": p.image[None], "label": p.lungs[None]} for p in phantoms]


def _rates(
    way: Way, films: list[dict[str, Any]], extent: Extent, device: str, workers: int
) -> Iterator[float]:
    """Films per second of each round: load, copy, add noise, forward, backward, step."""
    torch.manual_seed(0)
    transforms = [
        RandFlipd(["image", "label"], prob=0.5, spatial_axis=1),
        ScaleIntensityRanged("image", a_min=0, a_max=255, b_min=0.0, b_max=1.0),
        EnsureTyped(["image", "label"], dtype=torch.float32, track_meta=False),
    ]
    if way.in_workers is not None:
        transforms.append(RandNoised("image", way.in_workers, prob=1.0))
    data = Dataset(films, Compose(transforms))
    loader = DataLoader(
        data,
        batch_size=extent.batch,
        # without an end
        sampler=RandomSampler(data, replacement=True, num_samples=10**9),
        num_workers=workers,
        pin_memory=device == "cuda",
    )
    prepare = NoisyBatch(way.on_device, channels=3)
    network = segmentation_network(*NETWORK).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    mixed = device == "cuda"
    scaler = torch.amp.GradScaler(device, enabled=mixed)
    loss_function = DiceLoss(sigmoid=True)
    batches = iter(loader)

    def step() -> int:
        image, label = prepare(next(batches), device, non_blocking=True)
        optimizer.zero_grad()
        with torch.autocast(device, dtype=torch.float16, enabled=mixed):
            loss = loss_function(network(image), label)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return len(image)

    # what the workers hold ready at the start is used up
    for _ in range(2 + 4 * workers):
        step()
    for _ in range(extent.rounds):
        _wait(device)
        trained, begin = 0, time.perf_counter()
        while not trained or time.perf_counter() - begin < extent.seconds:
            trained += step()
        _wait(device)
        yield trained / (time.perf_counter() - begin)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
