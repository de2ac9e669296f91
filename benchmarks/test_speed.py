"""Time and memory of a call of every contender; the first call of all; a loader's workers."""

import os
import statistics
import subprocess
import sys
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.data import Dataset
from torch.utils.data import DataLoader

from .cases import COUNTS, LARGEST, MIDDLE, Case, cases, make_films
from .contenders import CONTENDERS, OWN
from .machine import DEVICES, is_installed
from .memory import extra_bytes

# the peers' own
pytestmark = pytest.mark.filterwarnings("ignore")

NAMED = {(contender.noise, contender.name): contender for contender in CONTENDERS}
FIRST_CALL = """
import time, torch
from cxr_noise_transforms import quantum_noise
film = torch.rand(1, 1, 512, 512)
begin = time.perf_counter()
quantum_noise(film, 4.0)
print(time.perf_counter() - begin)
"""


@pytest.mark.parametrize("case", [case for device in DEVICES for case in cases(device)], ids=str)
def test_call(benchmark: Any, quick: bool, case: Case) -> None:
    films = make_films("2x32" if quick else case.size, case.dtype, case.device)
    contender = NAMED[case.noise, case.contender]
    torch.manual_seed(0)
    torch.set_num_threads(case.threads)
    call = partial(contender.prepare(case.severity, case.device), films)
    # what compiles and allocates
    noisy = call()
    assert (noisy.shape, noisy.dtype, noisy.device) == (films.shape, films.dtype, films.device)
    del noisy
    benchmark(call)
    torch.set_num_threads(COUNTS[-1])
    benchmark.extra_info |= case._asdict()
    # CuPy's own pool is not seen
    if case.size == LARGEST and contender.package != "cupy":
        extra = extra_bytes(call, case.device)
        benchmark.extra_info["beyond_output"] = extra and round(extra / films.nbytes - 1, 4)


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_first_call_on_the_cpu(benchmark: Any, quick: bool, tmp_path: Path, cache: str) -> None:
    seconds = []

    def start() -> None:
        folder = tmp_path / ("warm" if cache == "warm" else str(len(seconds)))
        environment = os.environ | {"NUMBA_CACHE_DIR": str(folder)}
        command = [sys.executable, "-c", FIRST_CALL]
        seconds.append(float(subprocess.check_output(command, env=environment)))

    rounds = 1 if quick else 7 if cache == "warm" else 3
    benchmark.pedantic(start, rounds=rounds, warmup_rounds=int(cache == "warm"))
    benchmark.extra_info |= {"cache": cache, "first_call": statistics.median(seconds[-rounds:])}


@pytest.mark.parametrize("workers", COUNTS)
@pytest.mark.parametrize(
    "contender",
    [
        one
        for one in CONTENDERS
        if one.noise != "radiographic" and one.same_law and one.name not in OWN[1:]
        if one.device != "cuda" and is_installed(one.package)
    ],
    ids=lambda contender: contender.name,
)
def test_loader_on_the_cpu(benchmark: Any, quick: bool, contender: Any, workers: int) -> None:
    size = "2x32" if quick else "32x512"
    loader = DataLoader(
        Dataset(make_films(size).split(1), contender.prepare(MIDDLE, "cpu")),
        batch_size=8,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="fork",
    )
    # starts the workers
    deque(loader, maxlen=0)
    benchmark(deque, loader, 0)
    case = Case("cpu", contender.noise, contender.name, "float32", size, MIDDLE, 1)
    benchmark.extra_info |= case._asdict() | {"workers": workers}
