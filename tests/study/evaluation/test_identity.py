"""Two models or measures have one fingerprint if, and only if, they compute the same."""

import functools
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cxr_noise_transforms.study.evaluation.identity import fingerprint

SCALE = 2.0


class Network(nn.Module):
    """A layer, a number that no state dict holds, and a function as an attribute."""

    def __init__(self, times: float = 1.0, then: Any = torch.relu, *, weight: float = 0.5) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        for number, tensor in enumerate(self.layer.parameters()):
            nn.init.constant_(tensor, weight + number)
        self.times = times
        self.then = then
        self.register_buffer("offset", torch.zeros(2), persistent=False)

    @functools.cached_property
    def slope(self) -> float:
        return self.times

    def forward(self, image: Tensor) -> Tensor:
        return self.then(self.layer(image) * self.slope) + self.offset


class Other(Network):
    def forward(self, image: Tensor) -> Tensor:
        return self.then(self.layer(image) / self.times) + self.offset


class Called:
    """A callable that is no module."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, image: Tensor) -> Tensor:
        return self.network(image)

    def twice(self, image: Tensor) -> Tensor:
        return self.network(image) * 2


def with_offset() -> Network:
    network = Network()
    network.offset += 1
    return network


def with_hook(by: float) -> Network:
    network = Network()
    network.register_forward_hook(lambda _module, _image, prediction: prediction * by)
    return network


def around(network: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda image: network(image / 2)


def added(offset: np.ndarray) -> Callable[[Tensor], Tensor]:
    return lambda image: image + torch.from_numpy(offset)


def scaled(image: Tensor) -> Tensor:
    return image * SCALE


def through(image: Tensor) -> Tensor:
    return scaled(image)


def with_default(image: Tensor, by: float = 1.0) -> Tensor:
    return image * by


def own_module(code: str) -> types.ModuleType:
    module = types.ModuleType("helpers")
    exec(code, vars(module))  # noqa: S102 (a module of somebody's own)
    return module


def using(module: types.ModuleType) -> Callable[[Tensor], Tensor]:
    """A function whose global is a module."""
    home = {"__name__": "mine", "helpers": module}
    code = "def predict(image):\n    return helpers.scaled(image)\n"
    exec(code, home)  # noqa: S102 (a script of somebody's own)
    return home["predict"]  # type: ignore[return-value]


HELPERS = "factor = {}\ndef scaled(image):\n    return image * factor\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: lambda x: x.mean((1, 2, 3)), lambda: lambda x: -x.mean((1, 2, 3))),
        (Network, lambda: Network(weight=0.25)),
        (Network, lambda: Network(2.0)),
        (Network, Other),
        (Network, with_offset),
        (Network, lambda: Network(then=torch.sigmoid)),
        (lambda: Network(then=lambda x: x + 1), lambda: Network(then=lambda x: x + 2)),
        (lambda: with_hook(2.0), lambda: with_hook(3.0)),
        (lambda: around(Network()), lambda: around(Network(weight=0.25))),
        (lambda: around(Network()), lambda: around(Network(2.0))),
        (lambda: Called(Network()), lambda: Called(Network(2.0))),
        (lambda: Called(Network()).twice, lambda: Called(Network(2.0)).twice),
        (lambda: Called(Network()).__call__, lambda: Called(Network()).twice),
        (
            lambda: functools.partial(with_default, by=1.0),
            lambda: functools.partial(with_default, by=2.0),
        ),
        (lambda: torch.inference_mode()(scaled), lambda: torch.inference_mode()(through)),
        (lambda: functools.lru_cache(scaled), lambda: functools.lru_cache(through)),
        (
            lambda: using(own_module(HELPERS.format(1))),
            lambda: using(own_module(HELPERS.format(2))),
        ),
        (lambda: nn.Sequential(nn.ReLU()), lambda: nn.Sequential(nn.GELU())),
        (lambda: nn.Dropout(0.1), lambda: nn.Dropout(0.2)),
        (lambda: nn.MaxPool2d(2, stride=1), lambda: nn.MaxPool2d(2, stride=2)),
        (lambda: added(np.ones(2)), lambda: added(np.zeros(2))),
        (lambda: Network().half(), lambda: Network(weight=0.25).half()),
        (lambda: Network().bfloat16(), lambda: Network(weight=0.25).bfloat16()),
    ],
)
def test_what_computes_something_else_is_another(
    one: Callable[[], Any], other: Callable[[], Any]
) -> None:
    assert fingerprint(one()) == fingerprint(one())
    assert fingerprint(one()) != fingerprint(other())


def test_a_global_counts_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [fingerprint(function) for function in (scaled, through)]
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3.0)
    assert [fingerprint(function) for function in (scaled, through)] != before
    assert fingerprint(with_default) == fingerprint(with_default)


def test_mode_gradients_and_compilation_do_not_count() -> None:
    network = Network()
    expected = fingerprint(network)
    assert fingerprint(network.train()) == fingerprint(network.eval()) == expected
    assert fingerprint(torch.compile(network)) == fingerprint(nn.DataParallel(network)) == expected
    network(torch.zeros(1, 3)).sum().backward()
    assert fingerprint(network) == expected


def test_what_leads_back_to_itself_ends() -> None:
    def ring(weight: float) -> Network:
        network = Network(weight=weight)
        # in a list, which is no submodule
        network.family = [network]
        return network

    def again(image: Tensor) -> Tensor:
        return again(image)

    assert fingerprint(ring(1.0)) == fingerprint(ring(1.0)) != fingerprint(ring(2.0))
    assert fingerprint(again) == fingerprint(again)


def quantised(weight: float) -> nn.Module:
    with warnings.catch_warnings():
        # torch moves its quantisation to another package
        warnings.simplefilter("ignore")
        network = Network(weight=weight)
        return torch.ao.quantization.quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)


def scripted(times: float, weight: float) -> nn.Module:
    class Simple(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = Network(weight=weight).layer
            self.times = times

        def forward(self, image: Tensor) -> Tensor:
            return self.layer(image) * self.times

    return torch.jit.script(Simple().eval())


def exported(times: float, weight: float) -> nn.Module:
    network = Network(times, weight=weight).eval()
    return torch.export.export(network, (torch.zeros(4, 3),)).module()


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_quantised_scripted_and_exported_networks_have_a_fingerprint(tmp_path: Path) -> None:
    assert (
        fingerprint(quantised(0.5)) == fingerprint(quantised(0.5)) != fingerprint(quantised(0.25))
    )
    for make in (scripted, exported):
        expected = fingerprint(make(1.0, 0.5))
        assert expected == fingerprint(make(1.0, 0.5)), make
        assert expected not in (fingerprint(make(2.0, 0.5)), fingerprint(make(1.0, 0.25))), make
    torch.jit.save(scripted(1.0, 0.5), tmp_path / "s.pt")
    loaded = [torch.jit.load(tmp_path / "s.pt") for _ in range(2)]
    assert fingerprint(loaded[0]) == fingerprint(loaded[1]) != fingerprint(scripted(2.0, 0.5))
    program = torch.export.export(Network().eval(), (torch.zeros(4, 3),))
    assert fingerprint(program) == fingerprint(program.module())


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from test_identity import Called, Network, around, fingerprint, quantised, through
print(*map(fingerprint, (Network(), Called(Network()).twice, around(Network()), through)))
"""


@pytest.mark.slow
def test_a_fingerprint_is_that_of_every_process() -> None:
    arguments = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(Path(__file__).parent)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    things = (Network(), Called(Network()).twice, around(Network()), through)
    assert done.stdout.split() == [fingerprint(thing) for thing in things]


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (threading.Lock(), "_thread.lock"),
        (Called(threading.Lock()), "_thread.lock"),  # type: ignore[arg-type]
        (lambda: next(HANDLES), "builtins.generator"),
        (torch.nn.Linear(1, 1, device="meta"), "torch.nn.parameter.Parameter"),
        (types.ModuleType("mine"), "builtins.module"),
    ],
)
def test_what_cannot_be_known_is_named(thing: Any, kind: str) -> None:
    with pytest.raises(TypeError, match=f"^a {kind} cannot be known by its content$"):
        fingerprint(thing)


HANDLES = (handle for handle in ())
