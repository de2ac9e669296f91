"""Does training with noise help, and does something cheaper? Every arm of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .sweep import Sweep

_RADIOGRAPHIC = "cxr_noise_transforms.RadiographicNoise"
_LADDER = {"_target_": "cxr_noise_transforms.LogUniform", "low": 0.5, "high": 10}

# what a network is trained with, as its bundle says it; half of the films get it
NOISES: dict[str, dict[str, Any] | None] = {
    "clean": None,
    "mild": {"_target_": _RADIOGRAPHIC, "sq": [0, 2], "se": [0, 2], "bits": 8},
    "ladder": {"_target_": _RADIOGRAPHIC, "sq": _LADDER, "se": _LADDER, "bits": 8},
    "top": {"_target_": _RADIOGRAPHIC, "sq": [6, 10], "se": [6, 10], "bits": 8},
}
SHARE = 0.5


@dataclass(frozen=True)
class Hardening:
    """One task's networks, trained on clean films and with noise, and measured in every arm.

    Args:
        sweep: how a network is trained and measured; the trainings are folders below its ``out``.
        trainings: how often every network is trained, on the same split.
        noises: what is trained with: names of :data:`NOISES`, ``"clean"`` among them.
    """

    sweep: Sweep
    trainings: int = 3
    noises: Sequence[str] = field(default_factory=lambda: list(NOISES))

    def trained(self, noise: str, number: int) -> Sweep:
        """The training of this number with this noise."""
        noisy: Mapping[str, Any] = {"noise": NOISES[noise], "noise_prob": SHARE}
        return replace(
            self.sweep,
            out=self.sweep.out / f"{noise}-{number}",
            options={**self.sweep.options, "seed": number, "split_seed": 0},
            training={**self.sweep.training, **(noisy if NOISES[noise] else {})},
        )

    def train(self, architectures: Sequence[str]) -> None:
        """Train what is not trained yet."""
        for number in range(self.trainings):
            for noise in self.noises:
                print(f"training {number + 1} of {self.trainings}, {noise}")  # noqa: T201
                self.trained(noise, number).train(architectures)
