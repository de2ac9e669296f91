"""Severities from distributions: their law, their replay, and what is no distribution of them."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from scipy import stats
from torch import distributions as d
from torch.utils.data import DataLoader

from cxr_noise_transforms import (
    ElectronicNoise,
    LogUniform,
    QuantumNoise,
    RadiographicNoise,
    image_seeds,
)
from cxr_noise_transforms.monai import NoisyBatch

FAMILY = 1e-6
DISTRIBUTIONS = [
    (LogUniform(0.5, 8.0), stats.loguniform(0.5, 8.0)),
    (d.Uniform(1.0, 3.0), stats.uniform(1.0, 2.0)),
    (d.HalfNormal(2.0), stats.halfnorm(scale=2.0)),
    (d.LogNormal(0.0, 0.5), stats.lognorm(0.5)),
]
FILMS = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
SEEDS = image_seeds(0, range(6))


def drawn(noise: torch.nn.Module, name: str, images: int) -> np.ndarray:
    noise(torch.zeros(images, 1, 1, 1), seed=0)
    return noise.drawn[name].double().numpy()


@pytest.mark.parametrize(("ours", "theirs"), DISTRIBUTIONS, ids=lambda one: type(one).__name__)
def test_severities_have_the_law_of_their_distribution(
    ours: d.Distribution, theirs: stats.rv_continuous
) -> None:
    severities = drawn(QuantumNoise(ours), "sq", 20_000)
    assert stats.kstest(severities, theirs.cdf).pvalue > FAMILY
    # a range of the same ends is another law
    if isinstance(ours, LogUniform):
        assert stats.kstest(severities, stats.uniform(0.5, 7.5).cdf).pvalue < FAMILY


def test_both_severities_are_drawn_independently() -> None:
    noise = RadiographicNoise(LogUniform(0.5, 8), LogUniform(0.5, 8))
    noise(torch.zeros(20_000, 1, 1, 1), seed=0)
    correlation = stats.spearmanr(noise.drawn["sq"], noise.drawn["se"])
    assert correlation.pvalue > FAMILY


def test_what_was_drawn_replays_the_noise() -> None:
    noise = RadiographicNoise(LogUniform(0.5, 8), d.HalfNormal(1.0))
    first = noise(FILMS, seed=3)
    again = RadiographicNoise(**noise.drawn)(FILMS, seed=3)
    assert torch.equal(first, again)
    alone = noise(FILMS[4:5], seed=image_seeds(3, [4]))
    assert torch.equal(alone[0], first[4])


def test_compiled_and_pickled_noise_is_the_same() -> None:
    noise = ElectronicNoise(LogUniform(0.5, 8))
    expected = noise(FILMS, seed=1)
    assert torch.equal(pickle.loads(pickle.dumps(noise))(FILMS, seed=1), expected)  # noqa: S301
    assert torch.equal(torch.compile(noise, fullgraph=True)(FILMS, seed=1), expected)


class Noisy(torch.utils.data.Dataset):
    """Films with noise of their own seed."""

    def __init__(self) -> None:
        self.noise = QuantumNoise(LogUniform(0.5, 8))

    def __len__(self) -> int:
        return len(FILMS)

    def __getitem__(self, place: int) -> torch.Tensor:
        return self.noise(FILMS[place], seed=int(SEEDS[place]))


def test_workers_draw_what_the_whole_batch_draws() -> None:
    loaded = torch.cat(list(DataLoader(Noisy(), batch_size=2, num_workers=2)))
    assert torch.equal(loaded, QuantumNoise(LogUniform(0.5, 8))(FILMS, seed=SEEDS))


def test_a_configuration_of_monai_names_a_distribution() -> None:
    config = {
        "_target_": "cxr_noise_transforms.QuantumNoise",
        "sq": {"_target_": "cxr_noise_transforms.LogUniform", "low": 0.5, "high": 8},
    }
    noise = ConfigParser({"noise": config}).get_parsed_content("noise")
    assert repr(noise) == "QuantumNoise(sq=LogUniform(low=0.5, high=8), n0=1000.0)"


@pytest.mark.parametrize(
    ("severity", "error", "message"),
    [
        (d.Normal(1.0, 1.0), ValueError, "not negative, got Normal from -4"),
        (d.Cauchy(0.0, 1.0), ValueError, "not negative, got Cauchy"),
        (d.Gamma(1.0, 1.0), TypeError, "icdf.*which Gamma has not: take Uniform"),
        (d.Uniform(0.0, torch.ones(3)), ValueError, r"of one number, got Uniform of shape \(3,\)"),
    ],
)
def test_what_gives_no_severities_is_refused(
    severity: d.Distribution, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        QuantumNoise(severity)


@pytest.mark.parametrize("ends", [(0, 1), (2, 2), (3, 1), (1, math.inf), (math.nan, 1)])
def test_a_log_uniform_without_room_is_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="LogUniform must have 0 < low < high < infinity"):
        LogUniform(*ends)


def test_a_share_of_a_batch_is_noisy_and_the_rest_as_it_was() -> None:
    count, prob = 4000, 0.3
    films = torch.full((count, 1, 2, 2), 0.5)
    batch = {"image": films, "label": None, "id": list(range(count))}
    share = NoisyBatch(QuantumNoise(4.0), seed=0, prob=prob)
    noisy, _ = share(batch)
    changed = (noisy != films).flatten(1).any(1)
    error = (prob * (1 - prob) / count) ** 0.5
    assert abs(changed.double().mean() - prob) < 5 * error
    every, _ = NoisyBatch(QuantumNoise(4.0), seed=0)(batch)
    assert torch.equal(noisy[changed], every[changed])
    # of the film, not of its place
    few = {"image": films[100:200], "label": None, "id": list(range(100, 200))}
    assert torch.equal(share(few)[0], noisy[100:200])


def test_fresh_noise_falls_on_a_share_of_the_films_too() -> None:
    torch.manual_seed(0)
    films = torch.full((4000, 1, 2, 2), 0.5)
    noisy, _ = NoisyBatch(QuantumNoise(4.0), prob=0.5)({"image": films, "label": None})
    changed = (noisy != films).flatten(1).any(1).double().mean()
    assert abs(changed - 0.5) < 5 * (0.25 / 4000) ** 0.5


@pytest.mark.parametrize("prob", [-0.1, 1.1, math.nan])
def test_a_share_that_is_none_is_refused(prob: float) -> None:
    with pytest.raises(ValueError, match="prob must be a probability between 0 and 1"):
        NoisyBatch(QuantumNoise(1.0), prob=prob)


def test_what_is_drawn_below_the_films_own_noise_leaves_it_as_it_is() -> None:
    films = FILMS.repeat(10, 1, 1, 1)
    noise = QuantumNoise(LogUniform(0.5, 8), film=2.0)
    noisy = noise(films, seed=0)
    below = QuantumNoise(LogUniform(0.5, 8))
    below(films, seed=0)
    kept = below.drawn["sq"] < 2
    assert kept.any()
    assert not kept.all()
    assert torch.equal(noisy[kept], films[kept])
    assert not (noisy[~kept] == films[~kept]).flatten(1).all(1).any()
