import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

pytest.importorskip("torchvision")

import numpy as np
import PIL.Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from cxr_noise_transforms import ElectronicNoise, QuantumNoise
from cxr_noise_transforms.torchvision import Noise

FILM = torch.full((1, 16, 16), 0.5)
THREE_NOISES = "each of the 3 channels of a film gets a noise of its own"
# continuous noise: two draws never agree by chance
NOISE = ElectronicNoise(se=1)
MASK = tv_tensors.Mask(torch.eye(16))
BOXES = tv_tensors.BoundingBoxes(
    torch.tensor([[1.0, 2.0, 8.0, 9.0]]), format="XYXY", canvas_size=(16, 16)
)
LABEL = torch.tensor([0.5])


class Films(Dataset):
    def __init__(self, transform: v2.Transform) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(FILM)


def all_differ(films: Tensor) -> bool:
    return len(films.flatten(1).unique(dim=0)) == len(films)


def test_dictionaries_keep_masks_boxes_and_labels() -> None:
    sample = {
        "label": LABEL,
        "image": tv_tensors.Image(FILM),
        "mask": MASK,
        "boxes": BOXES,
        "view": "frontal",
    }
    noisy = v2.Compose([Noise(NOISE)])(sample)
    assert not torch.equal(noisy["image"], FILM)
    for name in ("label", "mask", "boxes", "view"):
        assert noisy[name] is sample[name]


def test_masks_are_not_taken_for_films() -> None:
    with pytest.raises(TypeError, match=r"found no image: .*, got Mask \(16, 16\), Bounding"):
        Noise(NOISE)(MASK, BOXES)
    mask, boxes, _ = Noise(NOISE)(MASK, BOXES, FILM)
    assert mask is MASK
    assert boxes is BOXES


@pytest.mark.parametrize(
    "beside", [torch.tensor([[3.0]]), torch.rand(16, 16), torch.tensor(3.0), LABEL]
)
def test_plain_tensors_of_fewer_than_three_axes_are_not_images(beside: Tensor) -> None:
    noisy = Noise(NOISE)({"beside": beside, "image": FILM})
    assert noisy["beside"] is beside
    assert not torch.equal(noisy["image"], FILM)


@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize(
    ("sample", "found"),
    [
        ({"age": torch.tensor([[3.0]]), "view": "frontal"}, r"Tensor \(1, 1\), str"),
        (torch.zeros(16, 16), r"Tensor \(16, 16\)"),
        (np.zeros(3), "ndarray"),
        ({}, "an empty sample"),
    ],
)
def test_a_sample_without_an_image_is_refused(sample: Any, found: str, p: float) -> None:
    message = rf"found no image: .* plain tensor \(\.\.\., C, H, W\), got {found}$"
    with pytest.raises(TypeError, match=message):
        Noise(NOISE, p=p)(sample)


def test_tuples_keep_all_but_the_first_pure_tensor() -> None:
    image, label, view, mask = v2.Compose([Noise(NOISE)])((FILM, LABEL, FILM, MASK))
    assert not torch.equal(image, FILM)
    assert label is LABEL
    assert view is FILM
    assert mask is MASK


def test_two_images_of_a_sample_get_different_noise() -> None:
    frontal, lateral = Noise(NOISE)(tv_tensors.Image(FILM), tv_tensors.Image(FILM))
    assert all_differ(torch.stack([frontal, lateral, FILM]))


@pytest.mark.filterwarnings(f"ignore:{THREE_NOISES}")
@pytest.mark.parametrize("p", [0.0, 1.0])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (Tensor, (1, 16, 16)),
        (Tensor, (4, 1, 16, 16)),
        (tv_tensors.Image, (1, 16, 16)),
        (tv_tensors.Image, (4, 3, 16, 16)),
        (tv_tensors.Video, (5, 1, 16, 16)),
        (tv_tensors.Video, (2, 5, 1, 16, 16)),
    ],
)
@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.float16, torch.float32, torch.float64]
)
def test_type_dtype_and_shape_stay_and_the_input_is_not_modified(
    dtype: torch.dtype, kind: type[Tensor], shape: tuple[int, ...], p: float
) -> None:
    full = {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)
    film = torch.full(shape, 0.5 * full).to(dtype)
    given = film.clone().as_subclass(kind)
    noisy = Noise(NOISE, p=p)(given)
    assert type(noisy) is kind
    assert noisy.dtype == dtype
    assert noisy.shape == shape
    assert torch.equal(given, film)
    assert torch.equal(noisy, film) == (p == 0)


@pytest.mark.parametrize("severity", [0.0, 2.0, (0.0, 0.0), torch.tensor([0.0, 2.0])], ids=str)
@pytest.mark.parametrize("way", [QuantumNoise, lambda severity: Noise(QuantumNoise(severity))])
def test_the_type_stays_at_any_severity(way: Callable[..., Any], severity: object) -> None:
    films = torch.rand(2, 1, 8, 8)
    assert type(way(severity)(tv_tensors.Image(films))) is tv_tensors.Image
    assert type(way(severity)(films)) is Tensor


@pytest.mark.parametrize("severity", [0.0, 2.0])
@pytest.mark.parametrize("way", [QuantumNoise, lambda severity: Noise(QuantumNoise(severity))])
def test_monais_tensors_keep_their_meta_data(way: Callable[..., Any], severity: float) -> None:
    monai = pytest.importorskip("monai.data")
    film = monai.MetaTensor(torch.rand(2, 1, 8, 8), meta={"patient": 7})
    noisy = way(severity)(film)
    assert type(noisy) is monai.MetaTensor
    assert noisy.meta["patient"] == 7
    assert torch.equal(noisy.as_tensor(), film.as_tensor()) == (severity == 0)


@pytest.mark.filterwarnings(f"ignore:{THREE_NOISES}")
@pytest.mark.parametrize(
    ("kind", "shape", "severities"),
    [
        (Tensor, (3, 64, 64), ()),
        (Tensor, (4, 1, 64, 64), (4,)),
        (tv_tensors.Image, (4, 1, 64, 64), (4,)),
        (tv_tensors.Video, (5, 1, 64, 64), (1,)),
        (tv_tensors.Video, (2, 5, 1, 64, 64), (2,)),
    ],
)
def test_one_severity_per_film_of_a_batch_and_per_video(
    kind: type[Tensor], shape: tuple[int, ...], severities: tuple[int, ...]
) -> None:
    noise = ElectronicNoise(se=(1, 10))
    residual = Noise(noise)(torch.full(shape, 0.5).as_subclass(kind)).as_subclass(Tensor) - 0.5
    drawn = noise.drawn["se"]
    assert drawn.shape == severities
    assert drawn.unique().numel() == drawn.numel()
    for severity, film in zip(drawn.reshape(-1), residual.reshape(drawn.numel(), -1), strict=True):
        assert abs(film.std() / (0.1 * severity) - 1) < 5 / math.sqrt(2 * film.numel())


def test_films_of_a_batch_are_independent() -> None:
    assert all_differ(Noise(NOISE)(FILM.expand(8, 1, 16, 16)))


@pytest.mark.parametrize("place", [0, 1])
def test_pil_images_are_refused(place: int) -> None:
    sample = [FILM, FILM]
    sample[place] = PIL.Image.new("L", (16, 16))
    with pytest.raises(TypeError, match=r"got a PIL image: put .*v2\.ToImage\(\) before it"):
        Noise(NOISE)(*sample)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 3)])
def test_numpy_images_are_refused(shape: tuple[int, ...], place: int) -> None:
    sample = [FILM, FILM]
    sample[place] = np.zeros(shape, dtype=np.uint8)
    with pytest.raises(TypeError, match=r"got a numpy array: put .*v2\.ToImage\(\) before it"):
        Noise(NOISE)(*sample)


def test_numpy_vectors_pass() -> None:
    label = np.zeros(3)
    noisy, passed = Noise(NOISE)(FILM, label)
    assert passed is label
    assert not torch.equal(noisy, FILM)


@pytest.mark.parametrize("kind", [tv_tensors.Image, tv_tensors.Video])
@pytest.mark.parametrize("mask", [PIL.Image.new("L", (16, 16)), np.zeros((16, 16))])
def test_pil_and_numpy_masks_pass_beside_a_tensor_image(mask: Any, kind: type[Tensor]) -> None:
    film = FILM[None].as_subclass(kind)
    noisy, passed = Noise(NOISE)(film, mask)
    assert passed is mask
    assert not torch.equal(noisy, film)


def test_numpy_images_pass_through_to_image() -> None:
    noisy = v2.Compose([v2.ToImage(), Noise(NOISE)])(np.full((64, 64, 1), 128, dtype=np.uint8))
    assert isinstance(noisy, tv_tensors.Image)
    assert noisy.shape == (1, 64, 64)
    assert not (noisy == 128).all()


def test_pil_images_pass_through_to_image() -> None:
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), Noise(NOISE)])
    noisy = transform(PIL.Image.new("L", (64, 64), color=255))
    assert isinstance(noisy, tv_tensors.Image)
    assert abs(noisy.mean() - 1) < 5 * 0.1 / 64


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_p_is_the_fraction_of_noisy_samples(p: float) -> None:
    torch.manual_seed(0)
    transform = Noise(NOISE, p=p)
    n = 1000
    noisy = sum(not torch.equal(transform(FILM), FILM) for _ in range(n))
    assert abs(noisy / n - p) <= 5 * math.sqrt(p * (1 - p) / n)


def test_random_apply_gates_the_noise() -> None:
    torch.manual_seed(0)
    transform = v2.RandomApply([Noise(NOISE)], p=0.3)
    n = 1000
    noisy = sum(not torch.equal(transform(FILM), FILM) for _ in range(n))
    assert abs(noisy / n - 0.3) <= 5 * math.sqrt(0.3 * 0.7 / n)


def test_images_of_a_sample_share_the_decision() -> None:
    torch.manual_seed(0)
    transform = Noise(NOISE, p=0.5)
    decisions = set()
    for _ in range(32):
        noisy = transform(tv_tensors.Image(FILM), tv_tensors.Image(FILM))
        decisions.add(tuple(torch.equal(film, FILM) for film in noisy))
    assert decisions == {(True, True), (False, False)}


@pytest.mark.parametrize("p", ["0.5", None, True, [0.5]])
def test_p_must_be_a_number(p: Any) -> None:
    with pytest.raises(TypeError, match=f"p must be a number, got {type(p).__name__}"):
        Noise(NOISE, p=p)


@pytest.mark.parametrize(("noise", "found"), [("quantum", "str"), (QuantumNoise, "type")])
def test_noise_must_be_a_module(noise: Any, found: str) -> None:
    message = f"noise must be a noise module such as QuantumNoise, got {found}$"
    with pytest.raises(TypeError, match=message):
        Noise(noise)


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_p_must_be_a_probability(p: float) -> None:
    with pytest.raises(ValueError, match=f"p must be a probability between 0 and 1, got {p}"):
        Noise(NOISE, p=p)


def test_torch_manual_seed_reproduces() -> None:
    transform = v2.Compose([v2.RandomHorizontalFlip(), Noise(QuantumNoise(sq=(0, 4)), p=0.5)])
    noisy = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        noisy.append(torch.stack([transform(FILM) for _ in range(8)]))
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[1], noisy[2])


def test_workers_and_epochs_draw_different_noise() -> None:
    loader = DataLoader(Films(Noise(NOISE)), num_workers=2)
    noisy = []
    for seed in (0, 0):
        torch.manual_seed(seed)
        noisy.append(torch.cat([film for _ in range(2) for film in loader]))
    assert len(noisy[0]) == 8
    assert all_differ(noisy[0])
    assert torch.equal(noisy[0], noisy[1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])  # noqa: S301
def test_copies_give_the_same_noise(duplicate: Callable[[Any], Any]) -> None:
    transform = Noise(QuantumNoise(sq=(0, 4)), p=0.9)
    copied = duplicate(transform)
    torch.manual_seed(0)
    noisy = transform(FILM)
    torch.manual_seed(0)
    assert torch.equal(copied(FILM), noisy)


def test_repr_shows_p_and_noise() -> None:
    shown = repr(v2.Compose([Noise(QuantumNoise(4), p=0.3)]))
    assert "p=0.3" in shown
    assert "QuantumNoise(sq=4.0, n0=1000.0)" in shown


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (torch.Tensor.clone, (3, 16, 16)),
        (tv_tensors.Image, (3, 16, 16)),
        (tv_tensors.Image, (4, 3, 16, 16)),
        (tv_tensors.Video, (5, 3, 16, 16)),
    ],
)
def test_three_channels_are_told_once_per_transform(
    kind: Callable[..., Tensor], shape: tuple[int, ...]
) -> None:
    colours = kind(torch.full(shape, 0.5))
    for transform in (Noise(NOISE), Noise(NOISE)):
        with pytest.warns(UserWarning, match=THREE_NOISES):
            transform(colours)
        transform(colours)


def test_three_channels_without_noise_are_not_told() -> None:
    Noise(NOISE, p=0.0)(FILM.expand(3, -1, -1))
