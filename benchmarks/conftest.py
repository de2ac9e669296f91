"""How everything here is timed, and what a result file holds."""

import os
from pathlib import Path
from typing import Any

import pytest

from .contenders import CONTENDERS
from .machine import provenance

LOAD = round(os.getloadavg()[0], 2)
STUDY_PACKAGES = ("monai", "segmentation_models_pytorch", "timm", "triton")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--quick``."""
    parser.addoption("--quick", action="store_true", help="tiny films: does it run at all?")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Settings of pytest-benchmark, before it reads them."""
    quick, options = config.getoption("--quick"), config.option
    # waits for the device before it reads the clock
    options.benchmark_timer = "torch.utils.benchmark.timer"
    options.benchmark_min_time = 0.0 if quick else 0.005
    options.benchmark_max_time = 0.0 if quick else 0.4
    options.benchmark_min_rounds = 1 if quick else 7
    options.benchmark_disable_gc = options.benchmark_quiet = True


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether the sizes are tiny and the numbers mean nothing."""
    return bool(request.config.getoption("--quick"))


def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, Any]) -> None:
    """What the pages need, in place of a host's name and every single time."""
    rows = [_row(benchmark) for benchmark in output_json["benchmarks"]]
    output_json.clear()
    packages = {contender.package for contender in CONTENDERS}
    output_json |= provenance({*packages, *STUDY_PACKAGES})
    output_json |= {"load": LOAD, "quick": config.getoption("--quick"), "rows": rows}


def _row(benchmark: dict[str, Any]) -> dict[str, Any]:
    stats = {name: float(f"{benchmark['stats'][name]:.5g}") for name in ("median", "q1", "q3")}
    counts = {name: benchmark["stats"][name] for name in ("rounds", "iterations")}
    kind = Path(benchmark["fullname"].partition("::")[0]).stem.removeprefix("test_")
    return {"kind": kind, **benchmark["extra_info"], **stats, **counts}
