"""The study's networks, their pretrained weights, and their checkpoints."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn

from .group_norm import group_normalised

_PATIENCE = 0.8
# what follows an architecture's name
GROUP_NORM = "groupnorm"


def segmentation_network(
    arch: str, encoder: str = "resnet34", encoder_weights: str | None = None, channels: int = 1
) -> nn.Module:
    """A network of segmentation-models-pytorch: grey triplicated in, one logit per organ out.

    Args:
        arch: name of a model in ``segmentation_models_pytorch``, for example ``"Unet"``; then,
            optionally, an encoder of its own and :func:`group normalisation <group_normalised>`:
            ``"Segformer+mit_b0"``, ``"Unet+groupnorm"``.
        encoder: name of one of its encoders, where the architecture names none.
        encoder_weights: ``None`` or ``"none"``, ``"imagenet"``, or a file with the encoder's
            state dict.
        channels: organs to segment.

    Raises:
        ValueError: unknown architecture or encoder, or weights that do not fit.
        ConnectionError: the ImageNet weights are neither cached nor within reach.
    """
    whole, (arch, parts, grouped) = arch, _parts(arch)
    names = {name.lower() for name in dir(smp) if isinstance(getattr(smp, name), type)}
    if arch.lower() not in names or len(parts) > 1:
        raise ValueError(
            f"arch must be a model of segmentation_models_pytorch (Unet, FPN, DeepLabV3, ...), "
            f"optionally with +ENCODER and +{GROUP_NORM}, got {whole!r}"
        )
    encoder = parts[0] if parts else encoder
    pretrained = "imagenet" if encoder_weights == "imagenet" else None
    known = smp.encoders.encoders.get(encoder)
    if pretrained and known and pretrained not in known["pretrained_settings"]:
        raise ValueError(
            f"encoder {encoder!r} has no ImageNet weights, only "
            f"{', '.join(known['pretrained_settings']) or 'none'}: train with encoder weights none"
        )
    with _hub_within_reach("--encoder-weights") if pretrained else nullcontext():
        try:
            network = smp.create_model(
                arch, encoder, encoder_weights=pretrained, in_channels=3, classes=channels
            )
        except KeyError:
            raise ValueError(
                f"encoder must be one of segmentation_models_pytorch (resnet34, ...), "
                f"got {encoder!r}"
            ) from None
    if encoder_weights not in (None, "none", "imagenet"):
        # smp keeps a timm network inside of its encoder
        inner = network.encoder.model if encoder.startswith("tu-") else network.encoder
        _load(inner, Path(encoder_weights), f"encoder {encoder}", headless=True)
    return group_normalised(network) if grouped else network


def classification_network(
    arch: str,
    pretrained: str | None = None,
    classes: int = 1,
    size: int = 512,
    dropout: float = 0.0,
) -> nn.Module:
    """A network of timm: grey triplicated in, one logit per class out.

    Args:
        arch: name of a timm model, for example ``"resnet34"`` or ``"vit_small_patch16_224"``; with
            :func:`group normalisation <group_normalised>`: ``"resnet34+groupnorm"``.
        pretrained: ``None`` or ``"none"``, ``"imagenet"``, or a file with the network's state dict;
            the file's classifier may have another number of classes.
        classes: logits.
        size: side of the films in pixels, for networks that are built for one size.
        dropout: chance that a feature is left out before the classifier, in training.

    Raises:
        ValueError: unknown architecture, or weights that do not fit.
        ConnectionError: the ImageNet weights are neither cached nor within reach.
    """
    whole, (arch, parts, grouped) = arch, _parts(arch)
    if not timm.is_model(arch) or parts:
        like = ", ".join(get_close_matches(arch, timm.list_models())) or "resnet34, densenet121"
        raise ValueError(
            f"arch must be a model of timm ({like}, ...), optionally with +{GROUP_NORM}, "
            f"got {whole!r}"
        )
    imagenet = pretrained == "imagenet"
    if imagenet and not timm.is_model_pretrained(arch):
        raise ValueError(f"timm has no pretrained weights for {arch!r}: train with pretrained none")
    options: dict[str, Any] = {"num_classes": classes, "in_chans": 3, "drop_rate": dropout}
    config = timm.get_pretrained_cfg(arch)
    if config is not None and config.fixed_input_size:
        options["img_size"] = size
    with _hub_within_reach("--pretrained") if imagenet else nullcontext():
        network = timm.create_model(arch, pretrained=imagenet, **options)
    if pretrained not in (None, "none", "imagenet"):
        head = network.get_classifier()
        heads = [name for name, module in network.named_modules() if module is head]
        _load(network, Path(pretrained), arch, own=tuple(f"{name}." for name in heads))
    return group_normalised(network) if grouped else network


def load_checkpoint(network: nn.Module, path: str | Path, description: str) -> nn.Module:
    """Put a checkpoint's weights into ``network`` and return it.

    Args:
        network: to fill.
        path: file written by ``torch.save``, a state dict.
        description: of the network, for messages.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one of another network.
    """
    _load(network, Path(path), description)
    return network


def _parts(arch: str) -> tuple[str, list[str], bool]:
    """An architecture's name, what else follows it, and whether its normalisation is replaced."""
    name, *parts = arch.split("+")
    grouped = parts[-1:] == [GROUP_NORM]
    return name, parts[:-1] if grouped else parts, grouped


def _load(
    network: nn.Module,
    path: Path,
    description: str,
    own: tuple[str, ...] = (),
    *,
    headless: bool = False,
) -> None:
    """Load a state dict; what ``own`` names stays as it is in the network.

    A ``headless`` network lacks whole parts of the file, such as a classifier.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"weights {path} " + ("are a folder" if path.is_dir() else "do not exist")
        )
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    # a file of another kind fails in the unpickler in any way
    except Exception as error:
        # torch adds a page of advice to its first line
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ValueError(f"cannot read weights {path}: {reason}") from error
    expected = network.state_dict()
    if not isinstance(weights, dict) or not all(isinstance(name, str) for name in weights):
        raise ValueError(f"weights {path} must hold a state dict, got {type(weights).__name__}")
    kept = {name: value for name, value in expected.items() if name.startswith(own)}
    weights = {name: value for name, value in weights.items() if not name.startswith(own)} | kept
    if headless:
        parts = {name.split(".")[0] for name in expected}
        weights = {name: value for name, value in weights.items() if name.split(".")[0] in parts}
    wrong = [
        name
        for name in expected.keys() | weights.keys()
        if getattr(expected.get(name), "shape", None) != getattr(weights.get(name), "shape", None)
    ]
    if wrong:
        raise ValueError(
            f"weights {path} are of another network than {description}: {len(wrong)} of "
            f"{len(expected)} tensors are missing, unknown or of another shape, "
            f"for example {min(wrong)}"
        )
    network.load_state_dict(weights)


@contextmanager
def _hub_within_reach(option: str) -> Iterator[None]:
    """Serve cached weights without network; without either, fail before the hub's retries do."""
    from huggingface_hub import constants  # noqa: PLC0415 (a dependency of smp, needed only here)
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled  # noqa: PLC0415

    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = offline or not _reachable(constants.ENDPOINT)
    try:
        yield
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ConnectionError(
            "the ImageNet weights are not cached and their hub cannot be reached: train from "
            f"scratch with {option} none, or name a local file with {option} FILE"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline


def _reachable(endpoint: str) -> bool:
    target = urlparse(endpoint)
    if proxy := getproxies().get(target.scheme):
        target = urlparse(proxy)
    port = target.port or (443 if target.scheme == "https" else 80)
    connected = threading.Event()

    def connect() -> None:
        with suppress(OSError):
            socket.create_connection((target.hostname or "", port), _PATIENCE).close()
            connected.set()

    # in a thread, because a name server's silence is not bounded by the socket's timeout
    threading.Thread(target=connect, daemon=True).start()
    return connected.wait(_PATIENCE)
