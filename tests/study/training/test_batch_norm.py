"""Batch normalisation re-estimated from films."""

import pytest
import torch
from torch import nn

from cxr_noise_transforms.study.training.batch_norm import (
    has_statistics,
    reestimated,
    statistics_shift,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU()]
    return nn.Sequential(*first, nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)).eval()


FILMS = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("prior", [0.0, 16.0])
def test_every_layer_mixes_what_the_layers_before_it_hand_on(prior: float) -> None:
    old = network()
    new = reestimated(old, FILMS, prior)
    weight = len(FILMS) / (prior + len(FILMS))
    signal = FILMS
    for before, after in zip(old, new, strict=True):
        if isinstance(before, nn.BatchNorm2d):
            mean, variance = signal.mean((0, 2, 3)), signal.var((0, 2, 3), correction=0)
            expected = (1 - weight) * before.running_mean + weight * mean
            torch.testing.assert_close(after.running_mean, expected)
            expected = (1 - weight) * before.running_var + weight * variance
            torch.testing.assert_close(after.running_var, expected)
        signal = after(signal)


def test_without_a_prior_the_films_are_normalised_exactly() -> None:
    last = reestimated(network(), FILMS, 0.0)(FILMS)
    torch.testing.assert_close(last.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)


def test_the_network_itself_and_its_mode_stay() -> None:
    old = network().train()
    before = {name: value.clone() for name, value in old.state_dict().items()}
    assert not reestimated(old, FILMS).training
    assert old.training
    assert all(torch.equal(value, before[name]) for name, value in old.state_dict().items())
    # nor is anything left on it that would mix again
    assert not any(part._forward_pre_hooks for part in old.modules())


def test_what_was_re_estimated_is_the_same_network_for_any_film() -> None:
    new = reestimated(network(), FILMS)
    torch.testing.assert_close(new(FILMS)[:1], new(FILMS[:1]))


def test_more_films_move_it_further() -> None:
    old = network()
    moved = [
        (reestimated(old, films)[1].running_mean - old[1].running_mean).norm()
        for films in (FILMS[:1].repeat(2, 1, 1, 1), FILMS[:1].repeat(32, 1, 1, 1))
    ]
    assert moved[0] < moved[1]


def test_a_network_without_batch_normalisation_is_refused_by_name() -> None:
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2))
    assert not has_statistics(plain)
    with pytest.raises(ValueError, match="Sequential has no batch normalisation"):
        reestimated(plain, FILMS)


@pytest.mark.parametrize(("films", "prior"), [(FILMS[:0], 16.0), (FILMS, -1.0)])
def test_no_films_and_a_negative_prior_are_refused(films: torch.Tensor, prior: float) -> None:
    with pytest.raises(ValueError, match="at least one film and prior >= 0"):
        reestimated(network(), films, prior)


def test_re_estimated_layers_see_what_they_expect_and_others_how_far_they_are() -> None:
    known = reestimated(network(), FILMS, 0.0)
    assert [one.layer for one in statistics_shift(known, FILMS)] == ["1", "4"]
    for one in statistics_shift(known, FILMS):
        assert (one.mean, one.log_variance) == pytest.approx((0, 0), abs=1e-4)
    # the first layer is linear: contrast alone moves its variance, brightness alone its mean
    first, _ = statistics_shift(known, FILMS.mean() + 2 * (FILMS - FILMS.mean()))
    assert first.log_variance == pytest.approx(2, abs=0.01)
    brighter, _ = statistics_shift(known, FILMS + 1)
    weights = known[0].weight.sum((1, 2, 3)).abs()
    expected = (weights / (known[1].running_var + known[1].eps).sqrt()).mean().item()
    assert brighter.mean == pytest.approx(expected, rel=1e-3)
    assert brighter.log_variance == pytest.approx(0, abs=1e-3)
    assert not any(part._forward_pre_hooks for part in known.modules())


def test_a_network_without_batch_normalisation_shifts_nowhere() -> None:
    assert not statistics_shift(nn.Conv2d(1, 2, 3), FILMS)
