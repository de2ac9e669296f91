"""The stress test in two processes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from monai.data import DistributedSampler as MonaiSampler
from small_films import (
    CELLS,
    SHORT,
    Convolution,
    Films,
    classified,
    films,
    loader,
    masks,
    seen,
    stopped_after,
    triples,
)
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from cxr_noise_transforms.study.evaluation.stress import stress_test


def _process(number: int, folder: str) -> None:
    """What two processes measure, each its own share, in files for the tests to compare."""
    torch.set_num_threads(1)
    out = Path(folder)
    store = f"file://{out / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=number, world_size=2)

    def share(sampler: type, data: Dataset, **options: Any) -> DataLoader:
        return DataLoader(data, batch_size=2, sampler=sampler(data, shuffle=False, **options))

    tables = {
        "monai": seen(share(MonaiSampler, Films(), even_divisible=False), cells_at_once=2),
        "padded": seen(share(DistributedSampler, Films())),
        "network": stress_test(Convolution(), share(DistributedSampler, Films()), **SHORT),
        "few": seen([] if number else triples(masks())),
    }
    label = torch.tensor([0, 1, 0, 1, 1, 0, 1])
    for name, batches in (("first", 10**6), ("again", 0)):
        source = share(DistributedSampler, Films(label))
        with stopped_after(batches):
            tables[name] = classified(out / "cells", loader=source)
    for name, table in tables.items():
        table.to_pickle(out / f"{name}{number}.pkl")
    pairs = [(films(2) / (1 + number), torch.zeros(2, 1))]
    messages = []
    for batches in (pairs, []):
        with pytest.raises(ValueError) as refused:  # noqa: PT011 (compared by the test)
            seen(batches)
        messages.append(str(refused.value))
    (out / f"messages{number}.json").write_text(json.dumps(messages))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(_process, (str(folder),), nprocs=2)
    return folder


def of_process(folder: Path, name: str) -> pd.DataFrame:
    """The table that both processes returned."""
    zero, one = (pd.read_pickle(folder / f"{name}{number}.pkl") for number in (0, 1))  # noqa: S301 (our own)
    pd.testing.assert_frame_equal(zero, one, check_exact=True)
    return zero


@pytest.mark.slow
def test_two_processes_return_the_table_of_one(processes: Path) -> None:
    for name in ("monai", "padded"):
        pd.testing.assert_frame_equal(of_process(processes, name), seen(loader()), check_exact=True)
    network, alone = of_process(processes, "network"), stress_test(Convolution(), loader(), **SHORT)
    assert np.abs(network.value - alone.value).max() < 1e-6
    pd.testing.assert_frame_equal(network.drop(columns="value"), alone.drop(columns="value"))


@pytest.mark.slow
def test_a_process_may_have_no_image(processes: Path) -> None:
    expected = seen(triples(masks()))
    pd.testing.assert_frame_equal(of_process(processes, "few"), expected, check_exact=True)


@pytest.mark.slow
def test_two_processes_share_one_folder(processes: Path) -> None:
    expected = classified(None)
    assert np.abs(of_process(processes, "first").value - expected.value).max() < 1e-6
    pd.testing.assert_frame_equal(of_process(processes, "again"), of_process(processes, "first"))
    assert len(list((processes / "cells").iterdir())) == len(CELLS)


@pytest.mark.slow
def test_two_processes_refuse_alike(processes: Path) -> None:
    for number in (0, 1):
        without_ids, empty = json.loads((processes / f"messages{number}.json").read_text())
        assert without_ids.startswith("two processes have different images 0: in a distributed run")
        assert empty == "the loader yields no images"
