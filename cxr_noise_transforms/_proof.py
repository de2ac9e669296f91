"""Whether the GPU's kernel draws on a device what the CPU draws: tried there, before it is trusted.

The verdict is kept for the process, and on disk for the next ones, by device, versions and sources.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import torch
from torch import Tensor

from . import _cpu
from ._signal import Digitiser

# (images, gain, sigma, seeds, digitiser) -> noisy images
Expose = Callable[[Tensor, Tensor | None, Tensor | None, Tensor, Digitiser], Tensor]

# to what normal values agree (docs/sampler.md), relative to themselves or to sigma
_TOLERANCE = 1e-5
# enough pixels for the tails: one word in 16,000 lies beyond the quantile 4
_SIDE = 256
_OTHERWISE = (
    "noise with a seed is drawn on the CPU and copied, noise without one by torch.poisson and "
    "torch.randn"
)

# by device; what is wrong with its kernel, or nothing
_verdicts: dict[torch.device, str] = {}
# by device; how often its kernel raised, and after how many times that is a verdict
_failures: Counter[torch.device] = Counter()
_TRIES = 3


class Probe(NamedTuple):
    """Images ``(B, H, W)`` and their exposure."""

    name: str
    images: Tensor
    gain: Tensor | None = None
    sigma: Tensor | None = None
    digitiser: Digitiser = Digitiser()

    def draw(self, expose: Expose, device: torch.device) -> Tensor:
        """The noisy images that a kernel draws on a device."""
        seeds = 7919 * torch.arange(len(self.images)) - 12345
        gain, sigma = (
            None if strength is None else strength.to(device)
            for strength in (self.gain, self.sigma)
        )
        images, seeds = self.images.to(device), seeds.to(device)
        return expose(images, gain, sigma, seeds, self.digitiser).cpu()


def probes() -> Iterator[Probe]:
    """Every path: rates from 1e-3 to 1e6 with their tails, read-out, both; types, sizes, ranges."""
    ramp = _ramp(1, _SIDE, _SIDE)
    ramps = ramp.expand(4, -1, -1).contiguous()
    # three decades of signal under each gain
    gain, sigma = _strengths(1.0, 1e-2, 1e-4, 1e-6), _strengths(0.01, 0.1, 0.4, 1.0)
    levels = (255 * ramps[:3]).round().to(torch.uint8)
    yield Probe("quantum", 10 ** (3 * ramps - 3), gain)
    yield Probe("electronic", ramps, sigma=sigma)
    yield Probe("both", ramps, gain, sigma)
    yield Probe("8-bit images", levels, _strengths(1e-3, 0.016, 0.1))
    yield Probe("bits", ramp, _strengths(0.016), digitiser=Digitiser(bits=8))
    # sizes that no vector divides, and an image without noise
    deep = (65535 * _ramp(3, 17, 19)).round().to(torch.uint16)
    yield Probe("16-bit images", deep, _strengths(0.016, 0.0, 0.1), digitiser=Digitiser(bits=12))
    wide = (2048 * _ramp(2, 17, 18) - 1024).half()
    clipped = Digitiser((-1024.0, 1024.0), clip=True)
    yield Probe("half precision", wide, _strengths(1e-3, 0.1), digitiser=clipped)


# in float32, whatever torch's default is


def _ramp(*shape: int) -> Tensor:
    return torch.linspace(0, 1, math.prod(shape), dtype=torch.float32).reshape(shape)


def _strengths(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def flaw(expose: Expose, device: torch.device) -> str:
    """In what a kernel on a device differs from the CPU's; empty where in nothing.

    Raises:
        Exception: whatever the kernel raises.
    """
    for probe in probes():
        found = probe.draw(expose, device)
        expected = probe.draw(_cpu.expose, torch.device("cpu"))
        if probe.sigma is None:
            # torch compares few types of 16 bits
            wrong = found.double() != expected.double()
        else:
            size = torch.maximum(expected.abs(), probe.sigma.reshape(-1, 1, 1))
            wrong = ~((found - expected).abs() <= _TOLERANCE * size)
        if wrong.any():
            return f"{wrong.sum()} of {wrong.numel()} pixels are not the CPU's ({probe.name})"
    return ""


def proven(device: torch.device) -> bool:
    """Whether the GPU's kernel may be the default on a device; where not, one warning says why.

    While a graph is captured or traced nothing is tried: an earlier verdict counts.
    """
    captured = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    if captured or torch.compiler.is_compiling():
        return _known_good(device)
    if device not in _verdicts:
        # a thread of its own is free of the caller's modes: fake tensors, transforms, autocast
        with ThreadPoolExecutor(1) as apart:
            found = apart.submit(_found, device).result()
        if found:
            warnings.warn(
                f"the Triton kernel is not used on {device}: {found}; {_OTHERWISE}",
                RuntimeWarning,
                stacklevel=2,
            )
        return not found
    return not _verdicts[device]


def _known_good(device: torch.device) -> bool:
    if device not in _verdicts:
        warnings.warn(
            f"the Triton kernel has not been tried on {device} and cannot be while a graph is "
            f"captured or traced: call the noise once before; {_OTHERWISE}",
            RuntimeWarning,
            stacklevel=2,
        )
    return _verdicts.get(device) == ""


# what torch.compiler.assume_constant_result does, which first imports the compiler, for a second
_known_good._dynamo_marked_constant = True  # type: ignore[attr-defined]  # noqa: SLF001


def _found(device: torch.device) -> str:
    """What is wrong with the kernel, if anything; what is raised may pass, and is tried again."""
    try:
        _verdicts[device] = _verdict(device)
    # a kernel, its compiler or its driver may raise anything
    except Exception as error:  # noqa: BLE001
        reason = next(iter(str(error).strip().splitlines()), "")
        failure = f"it fails with {type(error).__name__}: {reason}"
        _failures[device] += 1
        if isinstance(error, ImportError) or _failures[device] == _TRIES:
            _verdicts[device] = failure
        return failure
    return _verdicts[device]


def _verdict(device: torch.device) -> str:
    # Triton is heavy, and absent on some systems
    expose = import_module("._triton", __package__).expose
    file = _file(device)
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text())["flaw"]
        if isinstance(kept, str):
            return kept
    found = flaw(expose, device)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{uuid4().hex}")
        beside.write_text(json.dumps({"flaw": found}))
        beside.replace(file)
    return found


def _file(device: torch.device) -> Path:
    """Where the verdict is kept, beside what torch keeps; its name tells what it is about."""
    triton = import_module("triton")
    content = hashlib.sha256(
        repr(
            [
                torch.cuda.get_device_name(device),
                torch.cuda.get_device_capability(device),
                torch.__version__,
                triton.__version__,
                # interpreted, it is another kernel
                os.environ.get("TRITON_INTERPRET"),
            ]
        ).encode()
    )
    for source in sorted(Path(__file__).parent.glob("_*.py")):
        content.update(source.read_bytes())
    folder = Path(torch.hub.get_dir()).parent / "cxr_noise_transforms"
    return folder / f"kernel-{content.hexdigest()[:16]}.json"
