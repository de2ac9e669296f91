import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

pytest.importorskip("kornia")

from kornia.augmentation import RandomHorizontalFlip
from kornia.augmentation.container import AugmentationSequential, ImageSequential, VideoSequential
from torch import Tensor

from cxr_noise_transforms import ElectronicNoise, QuantumNoise, RadiographicNoise
from cxr_noise_transforms.kornia import RandomNoise

# identical films, so that what differs is the noise
FILMS = torch.full((4, 1, 16, 16), 0.5)
# continuous noise: two draws never agree by chance
NOISE = ElectronicNoise(se=1)
BOTH = RadiographicNoise(sq=(0, 4), se=(0, 2))


def all_differ(films: Tensor) -> bool:
    return len(films.flatten(1).unique(dim=0)) == len(films)


def unchanged(noisy: Tensor, films: Tensor) -> Tensor:
    return (noisy == films).flatten(1).all(1)


def test_films_of_a_batch_and_calls_differ() -> None:
    aug = RandomNoise(NOISE, p=1.0)
    assert all_differ(torch.cat([aug(FILMS), aug(FILMS)]))


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_params_replay_bit_for_bit(p: float) -> None:
    torch.manual_seed(0)
    aug = RandomNoise(BOTH, p=p)
    noisy = aug(FILMS)
    params = aug._params
    assert not torch.equal(aug(FILMS), noisy)
    assert torch.equal(aug(FILMS, params=params), noisy)


@pytest.mark.parametrize("container", [AugmentationSequential, ImageSequential])
@pytest.mark.parametrize("p", [0.5, 1.0])
def test_params_of_a_container_replay_bit_for_bit(
    container: type[ImageSequential], p: float
) -> None:
    torch.manual_seed(0)
    seq = container(RandomHorizontalFlip(p=0.5), RandomNoise(BOTH, p=p), RandomNoise(NOISE, p=p))
    noisy = seq(FILMS)
    params = seq._params
    assert not torch.equal(seq(FILMS), noisy)
    assert torch.equal(seq(FILMS, params=params), noisy)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_params_of_some_rows_replay_those_rows(p: float) -> None:
    torch.manual_seed(0)
    aug = RandomNoise(BOTH, p=p)
    noisy = aug(FILMS)
    for rows in ([1, 3], [3, 0], [2]):
        params = {name: aug._params[name][rows] for name in ("seed", "batch_prob")}
        assert torch.equal(RandomNoise(BOTH, p=p)(FILMS[rows], params=params), noisy[rows])


def test_replay_draws_nothing() -> None:
    aug = RandomNoise(BOTH, p=0.5)
    aug(FILMS)
    state = torch.get_rng_state()
    aug(FILMS, params=aug._params)
    assert torch.equal(torch.get_rng_state(), state)


def test_manual_seed_reproduces() -> None:
    seq = AugmentationSequential(RandomHorizontalFlip(), RandomNoise(BOTH, p=0.5))
    noisy = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        noisy.append(seq(FILMS))
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[1], noisy[2])


def test_same_on_batch_is_one_noise_and_one_severity() -> None:
    noise = RadiographicNoise(sq=(0, 4), se=(0, 2))
    noisy = RandomNoise(noise, p=1.0, same_on_batch=True)(FILMS)
    assert not unchanged(noisy, FILMS).any()
    assert torch.equal(noisy, noisy[:1].expand_as(noisy))
    assert all(noise.drawn[name].unique().numel() == 1 for name in ("sq", "se"))


def test_same_on_batch_is_one_decision() -> None:
    torch.manual_seed(0)
    seq = AugmentationSequential(RandomNoise(NOISE, p=0.5), same_on_batch=True)
    decisions = {tuple(unchanged(seq(FILMS), FILMS).tolist()) for _ in range(32)}
    assert decisions == {(True,) * 4, (False,) * 4}


def test_each_image_draws_its_own_severity() -> None:
    noise = RadiographicNoise(sq=(0, 4), se=(0, 2))
    RandomNoise(noise, p=1.0)(FILMS)
    assert all(noise.drawn[name].unique().numel() == 4 for name in ("sq", "se"))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_p_is_the_fraction_of_noisy_images(p: float) -> None:
    torch.manual_seed(0)
    n = 1000
    films = torch.rand(n, 1, 8, 8)
    clean = unchanged(RandomNoise(NOISE, p=p)(films), films)
    assert abs(float(clean.float().mean()) - (1 - p)) <= 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_masks_keypoints_and_boxes_stay(p: float) -> None:
    torch.manual_seed(0)
    mask = torch.rand(4, 1, 16, 16)
    points = torch.rand(4, 3, 2) * 16
    boxes = torch.tensor([[[1.0, 2.0, 8.0, 9.0]]]).expand(4, 1, 4)
    seq = AugmentationSequential(
        RandomNoise(NOISE, p=p), data_keys=["input", "mask", "keypoints", "bbox_xyxy"]
    )
    noisy, *others = seq(FILMS, mask, points, boxes)
    assert not torch.equal(noisy, FILMS)
    for other, given in zip(others, (mask, points, boxes), strict=True):
        assert torch.equal(other, given)


def test_masks_are_only_moved() -> None:
    mask = torch.rand(4, 1, 16, 16)
    seq = AugmentationSequential(
        RandomHorizontalFlip(p=1.0), RandomNoise(NOISE, p=1.0), data_keys=["input", "mask"]
    )
    assert torch.equal(seq(FILMS, mask)[1], mask.flip(-1))


@pytest.mark.parametrize(("data_format", "time"), [("BTCHW", 1), ("BCTHW", 2)])
@pytest.mark.parametrize("same_on_frame", [True, False])
def test_videos(data_format: str, time: int, same_on_frame: bool) -> None:
    clips = torch.full((2, 1, 1, 16, 16), 0.5).repeat_interleave(3, dim=time)
    seq = VideoSequential(
        RandomNoise(BOTH, p=1.0), data_format=data_format, same_on_frame=same_on_frame
    )
    noisy = seq(clips)
    first, *others = noisy.unbind(time)
    assert all(torch.equal(frame, first) for frame in others) == same_on_frame
    assert all_differ(first)
    assert same_on_frame or all_differ(torch.cat([first, *others]))
    params = seq._params
    assert not torch.equal(seq(clips), noisy)
    assert torch.equal(seq(clips, params=params), noisy)


@pytest.mark.parametrize("p", [0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_modules_and_films_of_other_dtypes(dtype: torch.dtype, p: float) -> None:
    torch.manual_seed(0)
    films = FILMS.repeat(8, 1, 1, 1).to(dtype)
    aug = RandomNoise(BOTH, p=p).to(dtype)
    noisy = aug(films)
    clean = unchanged(noisy, films)
    assert noisy.dtype == dtype
    assert clean.any() == (p < 1)
    assert all_differ(noisy[~clean])
    assert torch.equal(aug(films, params=aug._params), noisy)


def test_input_is_not_modified() -> None:
    films = FILMS.clone()
    RandomNoise(NOISE, p=1.0)(films)
    assert torch.equal(films, FILMS)


@pytest.mark.parametrize(("keepdim", "shape"), [(True, (1, 16, 16)), (False, (1, 1, 16, 16))])
@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_keepdim(p: float, keepdim: bool, shape: tuple[int, ...]) -> None:
    assert RandomNoise(NOISE, p=p, keepdim=keepdim)(FILMS[0]).shape == shape


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_a_severity_per_image_stays_with_its_row(p: float) -> None:
    severity = torch.tensor([0.0, 2.0, 0.0, 8.0])
    aug = RandomNoise(ElectronicNoise(se=severity), p=p)
    films = torch.full((4, 1, 64, 64), 0.5)
    for _ in range(8):
        noisy = aug(films)
        expected = 0.1 * severity * aug._params["batch_prob"]
        error = 5 * expected / math.sqrt(2 * 64 * 64)
        assert ((noisy.flatten(1).std(1) - expected).abs() <= error).all()


def test_severities_and_seeds_move_with_the_module() -> None:
    aug = RandomNoise(ElectronicNoise(se=torch.ones(4)), p=1.0)
    seq = AugmentationSequential(aug).to(torch.float64)
    # severities go along to a device, and keep their precision
    assert aug.noise.se.dtype == torch.float32
    assert seq(FILMS.double()).dtype == torch.float64
    seq.to("meta")
    assert aug.noise.se.is_meta
    assert aug.generate_parameters((4, 1, 16, 16))["seed"].is_meta


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])  # noqa: S301
def test_copies_give_the_same_noise(duplicate: Callable[[Any], Any]) -> None:
    aug = RandomNoise(BOTH, p=0.9)
    copied = duplicate(aug)
    noisy = aug(FILMS)
    assert torch.equal(copied(FILMS, params=aug._params), noisy)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_p_must_be_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match=f"p must be a probability between 0 and 1, got {p}"):
        RandomNoise(NOISE, p=p)


@pytest.mark.parametrize("p", ["0.5", None, True, [0.5]])
def test_p_must_be_a_number(p: Any) -> None:
    with pytest.raises(TypeError, match=f"p must be a number, got {type(p).__name__}"):
        RandomNoise(NOISE, p=p)


@pytest.mark.parametrize(("noise", "found"), [("quantum", "str"), (QuantumNoise, "type")])
def test_noise_must_be_a_module(noise: Any, found: str) -> None:
    message = f"noise must be a noise module such as QuantumNoise, got {found}$"
    with pytest.raises(TypeError, match=message):
        RandomNoise(noise)


@pytest.mark.parametrize("p", [0.5, 1.0])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_severity_per_image_serves_batches_of_its_size_only(count: int, p: float) -> None:
    aug = RandomNoise(ElectronicNoise(se=torch.ones(4)), p=p)
    with pytest.raises(ValueError, match=f"one value per image, {count} for .*, got 4"):
        aug(FILMS[:1].expand(count, 1, 16, 16), params=aug.generate_parameters((count, 1, 16, 16)))


def test_repr_shows_noise_and_p() -> None:
    shown = repr(RandomNoise(QuantumNoise(4), p=0.3, same_on_batch=True))
    assert shown.startswith("RandomNoise(seed per image, p=0.3")
    assert "same_on_batch=True" in shown
    assert "QuantumNoise(sq=4.0, n0=1000.0)" in shown


def test_three_channels_are_told_once_per_transform() -> None:
    for aug in (RandomNoise(NOISE, p=1.0), RandomNoise(NOISE, p=1.0)):
        with pytest.warns(UserWarning, match="each of the 3 channels of a film gets a noise"):
            aug(FILMS.expand(-1, 3, -1, -1))
        aug(FILMS.expand(-1, 3, -1, -1))
