"""Train UNet, DeepLabV3 and FPN on clean films and measure them under the severity ladder.

Without arguments: an embedded chest phantom, a small encoder, a few minutes on a CPU. With
``--data DIR``: the Landmark dataset's films. A second call resumes.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch

from cxr_noise_transforms.study.datasets import ORGANS
from cxr_noise_transforms.study.report import (
    markdown,
    plot_curves,
    plot_ladder,
    summarise,
    typical_film,
    write_summary,
)
from cxr_noise_transforms.study.sweep import Sweep, own_errors

BUNDLE = Path(__file__).parent / "bundles" / "segmentation"
PROFILES: dict[str, dict[str, Any]] = {
    "quick": {
        "size": 96,
        "encoder": "resnet18",
        "encoder_weights": "none",
        "epochs": 12,
        "learning_rate": 1e-3,
        "noise_seeds": 1,
    },
    # the paper's recipe: arXiv:2509.25265, sections 4.1 and 4.4
    "paper": {
        "size": 512,
        "encoder": "resnet34",
        "encoder_weights": "imagenet",
        "epochs": 200,
        "learning_rate": 1e-4,
        "noise_seeds": 3,
    },
}


def count(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def arguments() -> argparse.Namespace:
    """The command line; what is not given comes from the profile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, metavar="DIR", help="folder of the Landmark dataset; default: phantom")
    add("--organs", choices=ORGANS, default="lungs")
    add("--arch", nargs="+", default=["Unet", "DeepLabV3", "FPN"], help="networks of smp")
    add("--profile", choices=PROFILES, default="quick", help="defaults for what follows")
    add("--encoder", help="encoder of smp")
    add("--encoder-weights", metavar="imagenet|none|FILE")
    add("--size", type=count, help="side of the films in pixels, a multiple of 32")
    add("--epochs", type=count, help="at most; training stops early")
    add("--learning-rate", type=float)
    add("--noise-seeds", type=count, metavar="N", help="repetitions of the noise")
    add("--batch-size", type=count, default=8)
    add("--phantoms", type=count, default=100, help="phantom films, without --data")
    add("--seed", type=int, default=0, help="of split and training, 0 to 2**32 - 1")
    add("--device", help="torch device; default: CUDA where there is one")
    add("--out", type=Path, help="default: runs/seg-<organs>-<profile>[-data]")
    chosen = parser.parse_args()
    for name, value in PROFILES[chosen.profile].items():
        if getattr(chosen, name) is None:
            setattr(chosen, name, value)
    if chosen.size % 32:
        parser.error(f"--size must be a multiple of 32, got {chosen.size}")
    if not 0 <= chosen.seed < 2**32:
        parser.error(f"--seed must be from 0 to 2**32 - 1, got {chosen.seed}")
    if not chosen.learning_rate > 0:
        parser.error(f"--learning-rate must be positive, got {chosen.learning_rate}")
    if len({name.lower() for name in chosen.arch}) < len(chosen.arch):
        parser.error(f"--arch must name each network once, got {' '.join(chosen.arch)}")
    if chosen.device:
        try:
            torch.empty(0, device=chosen.device)
        except (AssertionError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            parser.error(f"--device {chosen.device} cannot be used here: {reason}")
    if chosen.out is None:
        films = "-data" if chosen.data else ""
        chosen.out = Path("runs") / f"seg-{chosen.organs}-{chosen.profile}{films}"
    return chosen


def main() -> None:
    """Run the sweep, print its table, and say what was written where."""
    chosen = arguments()
    start = time.monotonic()
    sweep = Sweep(
        bundle=BUNDLE,
        out=chosen.out,
        options={
            "dataset_dir": str(chosen.data) if chosen.data else None,
            "organs": chosen.organs,
            "size": chosen.size,
            "encoder": chosen.encoder,
            "phantoms": chosen.phantoms,
            "seed": chosen.seed,
        },
        training={
            "encoder_weights": chosen.encoder_weights,
            "epochs": chosen.epochs,
            "learning_rate": chosen.learning_rate,
            "batch_size": chosen.batch_size,
        },
        device=chosen.device,
        noise_seeds=range(chosen.noise_seeds),
    )
    films = (
        f"films of {chosen.data.resolve().name}" if chosen.data else f"{chosen.phantoms} phantoms"
    )
    print(f"{chosen.organs}, {films}, {chosen.size} x {chosen.size}, {chosen.encoder}")
    table = sweep.run(chosen.arch)
    summary = summarise(table)
    network = chosen.arch[0]
    film = typical_film(table, network)
    written = [
        chosen.out / "per_image.csv",
        *write_summary(summary, chosen.out),
        plot_curves(table, chosen.out / "curves.png", f"{chosen.organs}, {films}"),
    ]
    with own_errors():
        evaluation = sweep.evaluation(network)
        path, title = chosen.out / "ladder.png", f"{network}, film {film}"
        written.append(plot_ladder(evaluation, film, path, title))
    networks = ", ".join(table.network.unique())
    print(f"\nMean over {networks}; {table.image.nunique()} test films; diff from clean\n")
    print(markdown(summary))
    if not chosen.data:
        print("Phantoms demonstrate the pipeline; they say nothing about patients.")
    print(f"Finished in {time.monotonic() - start:.0f} s. Wrote")
    for path in written:
        print(f"  {path}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. What is finished is kept: the same command goes on from there.")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
