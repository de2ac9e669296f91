"""A model while it is measured: its place, its mode, and what it predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.passes import move_to_device_pass

from cxr_noise_transforms.study.devices import first_line, out_of_memory

Model = Callable[[Tensor], Any]


@contextmanager
def at_work(model: Model | ExportedProgram, device: torch.device) -> Iterator[Model]:
    """A model on a device and in evaluation mode; afterwards it is where and as it was.

    A module whose tensors lie on several devices stays there, and what is no module is left alone.
    """
    if isinstance(model, ExportedProgram):
        yield move_to_device_pass(model, device).module()
    elif isinstance(model, nn.Module):
        modes = {part: part.training for part in model.modules()}
        places = {
            tensor.device for each in (model.parameters(), model.buffers()) for tensor in each
        }
        try:
            if len(places) == 1:
                _send(model, device)
            _set_mode(model, training=False)
            yield model
        finally:
            if len(places) == 1:
                model.to(places.pop())
            # where a mode does more than set a flag, the module knows how to go back
            _set_mode(model, training=modes[model])
            for part, mode in modes.items():
                part.training = mode
    else:
        yield model


def predict(model: Model, image: Tensor) -> Tensor:
    """What the model predicts for a batch of images.

    Raises:
        TypeError: it is no tensor, nor a mapping with one.
        ValueError: the model fails on these images.
    """
    try:
        prediction = model(image)
    # a model fails on images of another shape in any way
    except Exception as error:
        if out_of_memory(error):
            raise
        raise ValueError(
            f"the model refuses images {tuple(image.shape)} ({first_line(error)}); channels, mean "
            "and std say what it takes"
        ) from error
    return _tensor(prediction)


def pass_front_end(front_end: Model, image: Tensor) -> Tensor:
    """Noisy images as a front end hands them on.

    Raises:
        TypeError: what it gives is no tensor.
        ValueError: it fails on these images, changes their shape, or gives NaN.
    """
    try:
        restored = front_end(image)
    # it fails on images of another shape in any way
    except Exception as error:
        if out_of_memory(error):
            raise
        raise ValueError(
            f"the front end refuses images {tuple(image.shape)} ({first_line(error)})"
        ) from error
    if not isinstance(restored, Tensor):
        raise TypeError(f"the front end must give a tensor, got {type(restored).__name__}")
    if restored.shape != image.shape:
        raise ValueError(
            f"the front end must keep the shape of images {tuple(image.shape)}, got "
            f"{tuple(restored.shape)}"
        )
    if restored.isnan().any():
        raise ValueError("the front end gives NaN")
    return restored


def _send(model: nn.Module, device: torch.device) -> None:
    try:
        model.to(device)
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            raise ValueError(f"{device} has no memory left for the model") from error
        raise


def _set_mode(model: nn.Module, *, training: bool) -> None:
    try:
        model.train(training)
    # of an exported program, whose mode is part of its graph
    except NotImplementedError:
        for part in model.modules():
            part.training = training


def _tensor(prediction: Any) -> Tensor:
    """The prediction itself; of a mapping what it calls ``out``, or the one tensor in it."""
    if isinstance(prediction, Tensor):
        return prediction
    kind = type(prediction).__name__
    if isinstance(prediction, Mapping):
        tensors = {name: one for name, one in prediction.items() if isinstance(one, Tensor)}
        if "out" in tensors or len(tensors) == 1:
            return tensors.get("out", next(iter(tensors.values())))
        kind = f"a {kind} of {', '.join(map(str, prediction)) or 'nothing'}"
    raise TypeError(
        f"the model must give a tensor, or a mapping with one tensor or with out, got {kind}"
    )
