"""A model while it is measured, and afterwards as it was."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.model import at_work, predict

CPU = torch.device("cpu")


def network() -> nn.Sequential:
    """Part of it frozen in evaluation mode, as in a training with frozen statistics."""
    parts = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Sequential(nn.Dropout()))
    parts.train()
    parts[1].eval()
    return parts


def modes(model: nn.Module) -> list[bool]:
    return [part.training for part in model.modules()]


def test_every_part_has_its_mode_back() -> None:
    model = network()
    before = modes(model)
    assert len(set(before)) == 2
    with at_work(model, CPU) as ready:
        assert ready is model
        assert not any(modes(model))
    assert modes(model) == before


def test_after_an_error_too() -> None:
    model = network()
    before = modes(model)
    with pytest.raises(KeyboardInterrupt), at_work(model, CPU):
        raise KeyboardInterrupt
    assert modes(model) == before


class Moved(nn.Linear):
    """A module that notes where it is sent, and cannot go everywhere."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.visited: list[torch.device] = []

    def to(self, device: torch.device) -> "Moved":  # type: ignore[override]
        self.visited.append(device)
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        return self


def test_a_module_is_brought_to_the_device_and_back() -> None:
    model, elsewhere = Moved(), torch.device("meta")
    with at_work(model, elsewhere):
        assert model.visited == [elsewhere]
    assert model.visited == [elsewhere, CPU]


def test_a_module_that_the_device_cannot_hold_is_brought_back() -> None:
    model, full = Moved(), torch.device("cuda")
    with (
        pytest.raises(ValueError, match=r"^cuda has no memory left for the model$"),
        at_work(model, full),
    ):
        pytest.fail("the model is at work")
    assert model.visited == [full, CPU]
    assert model.training


def test_a_module_on_several_devices_stays_there() -> None:
    model = Moved()
    model.register_buffer("other", torch.zeros(1, device="meta"))
    with at_work(model, CPU):
        assert not model.training
    assert model.visited == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_weights_come_back_from_a_gpu_bit_for_bit() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    with at_work(model, torch.device("cuda")):
        assert {value.device.type for value in model.state_dict().values()} == {"cuda"}
    for name, value in model.state_dict().items():
        assert value.device == CPU
        assert torch.equal(value, before[name])
    # those that an optimizer holds
    assert all(one is two for one, two in zip(parameters, model.parameters(), strict=True))


def test_a_mode_that_does_more_than_set_a_flag_is_undone_by_the_module() -> None:
    class Merged(nn.Module):
        """Adapted weights, merged for evaluation."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def train(self, mode: bool = True) -> "Merged":
            with torch.no_grad():
                self.weight += int(self.training) - int(mode)
            return super().train(mode)

    model = Merged()
    with at_work(model, CPU):
        assert model.weight.item() == 1
    assert model.weight.item() == 0
    assert model.training


def test_an_exported_program_is_measured_as_what_it_was_exported_from() -> None:
    model = network().eval()
    image = torch.rand(2, 1, 8, 8)
    program = torch.export.export(model, (image,))
    with torch.inference_mode():
        expected = model(image)
        for given in (program, program.module(), nn.Sequential(program.module())):
            with at_work(given, CPU) as ready:
                assert torch.equal(predict(ready, image), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_scripted_module_has_its_mode_back() -> None:
    model = torch.jit.script(network())
    before = modes(model)
    with at_work(model, CPU):
        assert not any(modes(model))
    assert modes(model) == before


def test_what_is_no_module_is_left_alone() -> None:
    inside = network()
    before = modes(inside)
    with at_work(lambda image: inside(image) + 1, CPU) as ready:
        assert modes(inside) == before
        assert predict(ready, torch.rand(2, 1, 8, 8)).shape == (2, 2, 6, 6)


IMAGE = torch.rand(2, 1, 8, 8)


@pytest.mark.parametrize(
    "given",
    [
        {"logits": IMAGE},
        {"out": IMAGE, "aux": IMAGE + 1},
        OrderedDict(out=IMAGE, aux=IMAGE + 1),
        {"loss": None, "logits": IMAGE, "hidden": (IMAGE + 1,)},
    ],
)
def test_a_mapping_with_one_tensor_or_with_out_is_a_prediction(given: Any) -> None:
    assert torch.equal(predict(lambda _: given, IMAGE), IMAGE)


def asserts(image: Tensor) -> Tensor:
    assert image.shape[-1] == 224, "Input height (8) doesn't match model (224)."
    return image


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Conv2d(3, 1, 1), "Given groups=1, weight of size .*"),
        (asserts, r"Input height \(8\) doesn't match model \(224\)."),
        (lambda image: image[:, :, 9], "index 9 is out of bounds .*"),
        (lambda image: image.unknown, "'Tensor' object has no attribute 'unknown'"),
    ],
)
def test_a_model_that_fails_on_the_images_is_one_sentence(
    model: Callable[[Tensor], Tensor], why: str
) -> None:
    message = rf"^the model refuses images \(2, 1, 8, 8\) \({why}\); channels, mean and std say"
    with pytest.raises(ValueError, match=message) as refused:
        predict(model, IMAGE)
    assert "\n" not in str(refused.value)
