"""What else is wrong with a film: the controls of a stress test, and front ends."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_films import NAMES, Convolution, as_images, films, loader, of_cell, seen
from torch import Tensor, nn

from cxr_noise_transforms import QuantumNoise, image_seeds
from cxr_noise_transforms.study import Contrast, Resolution, stress_test
from cxr_noise_transforms.study.evaluation.degradations import degradation_of


def in_order(images: Tensor) -> Tensor:
    """As the table has them, by name."""
    return images[sorted(range(len(NAMES)), key=NAMES.__getitem__)].flatten(1).double()


def test_low_contrast_keeps_the_mean_and_halves_what_differs_from_it() -> None:
    low = Contrast(0.5)(films())
    torch.testing.assert_close(low.mean((1, 2, 3)), films().mean((1, 2, 3)))
    torch.testing.assert_close(low.std((1, 2, 3)), films().std((1, 2, 3)) / 2)
    torch.testing.assert_close(Contrast(1.0)(films()), films())


def test_low_resolution_keeps_the_mean_and_loses_what_is_fine() -> None:
    board = (torch.arange(64)[:, None] + torch.arange(64)).remainder(2).float()[None, None]
    low = Resolution(4)(board)
    assert low.shape == board.shape
    assert abs(low.mean() - 0.5) < 0.01
    assert low.std() < 0.05 * board.std()
    coarse = (torch.arange(64) < 32).float().expand(64, 64)[None, None]
    assert Resolution(4)(coarse).std() > 0.9 * coarse.std()
    assert torch.equal(Resolution(1)(board), board)
    # any size
    assert Resolution(224 / 139)(torch.rand(1, 1, 37, 41)).shape == (1, 1, 37, 41)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "blur=2",
            "must be none, contrast=NUMBER, resolution=NUMBER, .*, got 'blur=2'",
        ),
        ("contrast=2", "contrast must be a factor from 0 to 1, got 2.0"),
        ("resolution=0.5", "resolution must be a factor of at least 1, got 0.5"),
        ("resolution=nan", "resolution must be a factor of at least 1, got nan"),
        (
            "contrast",
            "must be none, contrast=NUMBER, resolution=NUMBER, .*, got 'contrast'",
        ),
    ],
)
def test_a_degradation_that_does_not_exist_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        degradation_of(name)


def test_a_degradation_comes_before_the_noise_in_every_cell() -> None:
    table = seen(loader(), degradations=["none", "contrast=0.5"], bits=None)
    assert table.degradation.unique().tolist() == ["none", "contrast=0.5"]
    plain = seen(loader(), bits=None)
    none = table[table.degradation == "none"].reset_index(drop=True)
    pd.testing.assert_frame_equal(none, plain, check_categorical=False)
    low = of_cell(table[table.degradation != "none"], 10, 0)
    noise = QuantumNoise(10.0)
    seeds = image_seeds(0, NAMES)
    expected = in_order(noise(Contrast(0.5)(films()), seed=seeds))
    assert torch.equal(as_images(low), expected)


def test_degradations_of_ones_own_are_known_by_content(tmp_path: Path) -> None:
    def half(films: Tensor) -> Tensor:
        return films * 0.5

    def third(films: Tensor) -> Tensor:
        return films / 3

    out = {"out": tmp_path, "about": {"measure": "pixels"}, "cells": [(0, 0)]}
    model = Convolution()
    first = stress_test(model, loader(), degradations={"dark": half}, device="cpu", **out)
    again = stress_test(model, loader(), degradations={"dark": half}, device="cpu", **out)
    assert first.equals(again)
    assert [path.name for path in tmp_path.iterdir()] == ["sq0_se0_seed0_dark.parquet"]
    with pytest.raises(ValueError, match=r"is of another sweep \(degradation "):
        stress_test(model, loader(), degradations={"dark": third}, device="cpu", **out)


@pytest.mark.parametrize("names", [[], ["a/b"], [""]])
def test_degradations_without_a_name_for_a_file_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="degradations must have names that a file can have"):
        seen(loader(), degradations=dict.fromkeys(names, films))


def test_one_name_is_not_several() -> None:
    with pytest.raises(TypeError, match="degradations must be several names, got one string"):
        seen(loader(), degradations="none")


@pytest.mark.parametrize("worse", [lambda one: one[:, :, :4], lambda one: one / 0])
def test_a_degradation_that_breaks_the_films_is_refused(worse: Any) -> None:
    with pytest.raises(ValueError, match="a degradation must give films"):
        seen(loader(), degradations={"broken": worse})


class Darker(nn.Module):
    """A front end with a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, noisy: Tensor) -> Tensor:
        return self.drop(noisy) * self.scale


def test_a_front_end_stands_between_noise_and_normalisation() -> None:
    plain = as_images(of_cell(seen(loader(), bits=None), 10, 0))
    front = Darker().train()
    table = seen(loader(), bits=None, front_end=front, mean=0.25, std=0.5)
    torch.testing.assert_close(as_images(of_cell(table, 10, 0)), (plain * 0.5 - 0.25) / 0.5)
    assert front.training


def test_a_front_end_is_part_of_what_was_measured(tmp_path: Path) -> None:
    model, front = Convolution(), Darker()
    options = {"cells": [(0, 0)], "device": "cpu", "out": tmp_path}
    stress_test(model, loader(), front_end=front, **options)
    with torch.no_grad():
        front.scale.mul_(2)
    with pytest.raises(ValueError, match=r"is of another sweep \(front_end "):
        stress_test(model, loader(), front_end=front, **options)


@pytest.mark.parametrize(
    ("front_end", "error", "message"),
    [
        (lambda one: one[..., :4], ValueError, "must keep the shape of images"),
        (lambda one: one / 0 * 0, ValueError, "the front end gives NaN"),
        (lambda one: [one], TypeError, "the front end must give a tensor, got list"),
        (lambda _: 1 / 0, ValueError, r"the front end refuses images .* \(division by zero\)"),
    ],
)
def test_a_front_end_that_breaks_the_images_is_refused(
    front_end: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        seen(loader(), front_end=front_end)
