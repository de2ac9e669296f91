import copy
import math
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("monai")
pytest.importorskip("ignite")

import monai.data
import numpy as np
from monai.bundle import ConfigParser
from monai.data import CacheDataset, Dataset, MetaTensor, PersistentDataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose, Lambda, MapTransform, RandomizableTransform
from monai.utils import set_determinism
from torch import Tensor
from torch.utils.data import DataLoader, get_worker_info

from cxr_noise_transforms import ElectronicNoise, QuantumNoise, RadiographicNoise
from cxr_noise_transforms.monai import (
    NoisyBatch,
    RandNoise,
    RandNoiseD,
    RandNoised,
    RandNoiseDict,
)

FILM = torch.full((1, 16, 16), 0.5)
FILMS = FILM.expand(4, 1, 16, 16)
IDS = ["film_a", "film_b", "film_c", "film_d"]
THREE_NOISES = "each of the 3 channels of a film gets a noise of its own"
# continuous noise: two draws never agree by chance
NOISE = ElectronicNoise(se=1)
LOADERS = pytest.mark.parametrize(
    "loader", [DataLoader, monai.data.DataLoader], ids=["torch", "monai"]
)


@pytest.fixture
def determinism_ends() -> Iterator[None]:
    yield
    set_determinism(None)


@pytest.fixture
def no_meta() -> Iterator[None]:
    monai.data.set_track_meta(False)
    yield
    monai.data.set_track_meta(True)


def load(loader: type[DataLoader], dataset: Dataset, epochs: int = 1, **options: Any) -> Tensor:
    loaded = loader(dataset, batch_size=1, num_workers=2, **options)
    return torch.cat([film.as_tensor() for _ in range(epochs) for film in loaded])


def all_differ(films: Tensor) -> bool:
    return len(films.flatten(1).unique(dim=0)) == len(films)


def test_set_random_state_of_a_compose_reproduces_the_noise() -> None:
    compose = Compose([RandNoise(NOISE, prob=1.0), RandNoise(QuantumNoise(sq=(0, 4)), prob=0.5)])
    first, second = ([compose.set_random_state(seed)(FILM) for seed in range(8)] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_seeds_and_consecutive_calls_differ() -> None:
    transforms = [RandNoise(NOISE, prob=1.0).set_random_state(seed) for seed in range(3)]
    noisy = [transform(FILM) for transform in transforms for _ in range(3)]
    assert all_differ(torch.stack(noisy).as_tensor())


def test_two_transforms_of_one_compose_draw_different_noise() -> None:
    compose = Compose([RandNoise(NOISE, prob=1.0), RandNoise(NOISE, prob=1.0)])
    compose.set_random_state(0)
    first = compose.transforms[0](FILM)
    assert not torch.equal(first, compose.transforms[1](FILM))


def test_torch_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    RandNoise(NOISE, prob=1.0)(FILM)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("prob", [0.0, 0.3, 1.0])
def test_prob_is_the_fraction_of_noisy_films(prob: float) -> None:
    transform = RandNoise(NOISE, prob=prob).set_random_state(0)
    n = 1000
    noisy = sum(not torch.equal(transform(FILM).as_tensor(), FILM) for _ in range(n))
    assert abs(noisy / n - prob) <= 5 * math.sqrt(prob * (1 - prob) / n)


def test_gate_does_not_decide_the_noise() -> None:
    # a second stream seeded like the gate's would give small seeds wherever the gate is open
    transform = RandNoise(NOISE, prob=0.25)
    seeds = []
    for state in range(1000):
        transform.set_random_state(state)(FILM)
        if transform._do_transform:
            seeds.append(transform._seed / 2**63)
    standard_error = math.sqrt(1 / 12 / len(seeds))
    assert abs(sum(seeds) / len(seeds) - 0.5) < 5 * standard_error


def test_randomize_false_repeats_the_last_draw() -> None:
    transform = RandNoise(NOISE, prob=1.0)
    first = transform(FILM)
    assert torch.equal(transform(FILM, randomize=False), first)
    assert not torch.equal(transform(FILM), first)


def test_randomize_false_without_a_draw_raises() -> None:
    with pytest.raises(RuntimeError, match="call randomize"):
        RandNoise(NOISE)(FILM, randomize=False)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])  # noqa: S301
def test_copies_continue_the_same_stream(duplicate: Callable[[Any], Any]) -> None:
    transform = RandNoised("image", QuantumNoise(sq=(0, 4)), prob=0.5).set_random_state(0)
    transform({"image": FILM})
    copied = duplicate(transform)
    for _ in range(8):
        assert torch.equal(copied({"image": FILM})["image"], transform({"image": FILM})["image"])


@pytest.mark.parametrize("dataset", [CacheDataset, PersistentDataset])
def test_caches_keep_the_film_and_not_the_noise(dataset: type[Dataset], tmp_path: Path) -> None:
    halved = []

    def halve(film: Tensor) -> Tensor:
        halved.append(film)
        return film / 2

    options = {"progress": False} if dataset is CacheDataset else {"cache_dir": tmp_path}
    # different films, because PersistentDataset keeps equal ones once
    films = [FILM, FILM / 2, FILM / 4]
    cached = dataset(films, Compose([Lambda(halve), RandNoise(NOISE, prob=1.0)]), **options)
    first, second = (torch.stack([cached[i] for i in range(3)]) for _ in range(2))
    assert len(halved) == 3
    residuals = torch.cat([first, second]) - torch.stack([*films, *films]) / 2
    assert all_differ(residuals.as_tensor())
    assert residuals.abs().max() < 6 * 0.1


@LOADERS
@pytest.mark.parametrize("persistent_workers", [False, True])
def test_workers_and_epochs_draw_different_noise(
    loader: type[DataLoader], persistent_workers: bool
) -> None:
    dataset = Dataset([FILM] * 4, RandNoise(NOISE, prob=1.0))
    noisy = load(loader, dataset, epochs=2, persistent_workers=persistent_workers)
    assert len(noisy) == 8
    assert all_differ(noisy)


@LOADERS
def test_two_transforms_of_one_worker_draw_different_noise(loader: type[DataLoader]) -> None:
    transforms = [RandNoised(key, NOISE, prob=1.0) for key in ("frontal", "lateral")]
    dataset = Dataset([{"frontal": FILM, "lateral": FILM}] * 2, transforms)
    pairs = loader(dataset, num_workers=2)
    assert all_differ(torch.cat([film.as_tensor() for pair in pairs for film in pair.values()]))


@LOADERS
def test_workers_follow_torch_manual_seed(loader: type[DataLoader]) -> None:
    dataset = Dataset([FILM] * 4, RandNoise(NOISE, prob=1.0))
    noisy = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        dataset.transform.set_random_state(0)
        noisy.append(load(loader, dataset))
    assert torch.equal(noisy[0], noisy[1])
    assert all_differ(torch.cat(noisy[1:]))


@LOADERS
@pytest.mark.usefixtures("determinism_ends")
def test_set_determinism_reproduces_workers(loader: type[DataLoader]) -> None:
    noisy = []
    for seed in (0, 0, 1):
        set_determinism(seed)
        noisy.append(load(loader, Dataset([FILM] * 4, RandNoise(NOISE, prob=1.0)), epochs=2))
    assert torch.equal(noisy[0], noisy[1])
    assert all_differ(torch.cat(noisy[1:]))


def test_random_state_set_in_a_worker_is_kept() -> None:
    def seed_worker(number: int) -> None:
        get_worker_info().dataset.transform.set_random_state(number)

    dataset = Dataset([FILM] * 4, RandNoise(NOISE, prob=1.0))
    loaded = load(DataLoader, dataset, worker_init_fn=seed_worker)
    for number in (0, 1):
        dataset.transform.set_random_state(number)
        for film in loaded[number::2]:
            assert torch.equal(dataset.transform(FILM).as_tensor(), film)


@pytest.mark.parametrize("prob", [0.0, 1.0])
@pytest.mark.parametrize("kind", [Tensor.clone, MetaTensor, Tensor.numpy])
@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.float16, torch.float32, torch.float64]
)
def test_dtype_and_shape_stay_and_the_input_is_not_modified(
    dtype: torch.dtype, kind: Callable[[Any], Any], prob: float
) -> None:
    full = {torch.uint8: 255, torch.uint16: 65535}.get(dtype, 1)
    film = (FILM * full).to(dtype)
    given = kind(film.clone())
    noisy = RandNoise(NOISE, prob=prob)(given)
    assert isinstance(noisy, MetaTensor)
    assert noisy.dtype == dtype
    assert noisy.shape == film.shape
    assert torch.equal(torch.as_tensor(given), film)
    assert torch.equal(noisy.as_tensor(), film) == (prob == 0)


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_meta_data_and_affine_stay(prob: float) -> None:
    affine = torch.diag(torch.tensor([0.14, 0.14, 1.0, 1.0], dtype=torch.float64))
    film = MetaTensor(FILM, affine=affine, meta={"filename_or_obj": "film.png"})
    noisy = RandNoised("image", NOISE, prob=prob)({"image": film})["image"]
    assert noisy.meta["filename_or_obj"] == "film.png"
    assert torch.equal(noisy.affine, affine)


@pytest.mark.parametrize("prob", [0.0, 1.0])
@pytest.mark.usefixtures("no_meta")
def test_plain_tensors_where_meta_data_is_not_tracked(prob: float) -> None:
    assert type(RandNoise(NOISE, prob=prob)(MetaTensor(FILM))) is Tensor


@pytest.mark.filterwarnings(f"ignore:{THREE_NOISES}")
@pytest.mark.parametrize("shape", [(3, 64, 64), (2, 32, 32, 8)])
def test_one_severity_for_all_channels_and_slices(shape: tuple[int, ...]) -> None:
    noise = ElectronicNoise(se=(1, 10))
    residual = RandNoise(noise, prob=1.0)(torch.full(shape, 0.5)).as_tensor() - 0.5
    assert noise.drawn["se"].numel() == 1
    sigma = 0.1 * float(noise.drawn["se"])
    for channel in residual:
        assert abs(channel.std() / sigma - 1) < 5 / math.sqrt(2 * channel.numel())


def test_dictionary_aliases() -> None:
    assert RandNoiseD is RandNoised
    assert RandNoiseDict is RandNoised
    assert issubclass(RandNoised, MapTransform)
    assert issubclass(RandNoised, RandomizableTransform)


def test_keys_share_the_draw_and_other_items_pass() -> None:
    sample = {"frontal": FILM, "again": FILM, "mask": FILM, "id": "film"}
    noisy = RandNoised(["frontal", "again"], RadiographicNoise((0, 4), (0, 2)), prob=1.0)(sample)
    assert torch.equal(noisy["frontal"], noisy["again"])
    assert not torch.equal(noisy["frontal"].as_tensor(), FILM)
    assert noisy["mask"] is FILM
    assert noisy["id"] == "film"
    assert sample["frontal"] is FILM


def test_keys_share_the_decision() -> None:
    transform = RandNoised(["frontal", "lateral"], NOISE, prob=0.5).set_random_state(0)
    decisions = set()
    for _ in range(32):
        noisy = transform({"frontal": FILM, "lateral": FILM / 2})
        decisions.add(
            (
                torch.equal(noisy["frontal"].as_tensor(), FILM),
                torch.equal(noisy["lateral"].as_tensor(), FILM / 2),
            )
        )
    assert decisions == {(True, True), (False, False)}


def test_missing_key_raises_unless_allowed() -> None:
    with pytest.raises(KeyError, match="lateral"):
        RandNoised(["frontal", "lateral"], NOISE)({"frontal": FILM})
    allowed = RandNoised(["frontal", "lateral"], NOISE, allow_missing_keys=True)
    assert set(allowed({"frontal": FILM})) == {"frontal"}


def test_config_parser_builds_the_noise_inside() -> None:
    config = {
        "transform": {
            "_target_": "cxr_noise_transforms.monai.RandNoised",
            "keys": "image",
            "prob": 1.0,
            "noise": {"_target_": "cxr_noise_transforms.QuantumNoise", "sq": [0, 4]},
        }
    }
    transform = ConfigParser(config).get_parsed_content("transform")
    assert transform.noise.sq == (0.0, 4.0)
    assert not torch.equal(transform({"image": FILM})["image"].as_tensor(), FILM)


@pytest.mark.parametrize(
    "transform", [RandNoise(QuantumNoise(4), prob=0.3), RandNoised("image", QuantumNoise(4), 0.3)]
)
def test_repr_shows_noise_and_prob(transform: RandNoise) -> None:
    name = type(transform).__name__
    assert repr(transform) == f"{name}(QuantumNoise(sq=4.0, n0=1000.0), prob=0.3)"


@pytest.mark.parametrize("prob", [-0.1, 1.1, math.nan])
def test_prob_must_be_a_probability(prob: float) -> None:
    with pytest.raises(ValueError, match=f"prob must be a probability between 0 and 1, got {prob}"):
        RandNoise(NOISE, prob=prob)
    with pytest.raises(ValueError, match="prob must be a probability"):
        RandNoised("image", NOISE, prob=prob)


@pytest.mark.parametrize("prob", ["0.5", None, True, [0.5]])
def test_prob_must_be_a_number(prob: Any) -> None:
    with pytest.raises(TypeError, match=f"prob must be a number, got {type(prob).__name__}"):
        RandNoise(NOISE, prob=prob)
    with pytest.raises(TypeError, match="prob must be a number"):
        RandNoised("image", NOISE, prob=prob)


@pytest.mark.parametrize(("noise", "found"), [("quantum", "str"), (QuantumNoise, "type")])
def test_noise_must_be_a_module(noise: Any, found: str) -> None:
    message = f"a noise module such as QuantumNoise, got {found}$"
    for build in (RandNoise, lambda n: RandNoised("image", n), NoisyBatch):
        with pytest.raises(TypeError, match=message):
            build(noise)


def test_batch_without_noise_is_clean() -> None:
    image, label = NoisyBatch()({"image": FILMS, "label": torch.arange(4)})
    assert torch.equal(image, FILMS)
    assert torch.equal(label, torch.arange(4))


@pytest.mark.parametrize("ids", [IDS, torch.tensor([3, 1, 4, 15])])
def test_a_film_gets_the_same_noise_in_every_batch(ids: list[str] | Tensor) -> None:
    prepare = NoisyBatch(RadiographicNoise((0, 4), (0, 2)), seed=7)
    whole, _ = prepare({"image": FILMS, "id": ids})
    for rows in ([2], [3, 0], [1, 3, 2, 0]):
        part, _ = prepare({"image": FILMS[rows], "id": [ids[row] for row in rows]})
        assert torch.equal(part, whole[rows])


def test_noise_differs_between_films_and_base_seeds() -> None:
    noisy = [NoisyBatch(NOISE, seed=seed)({"image": FILMS, "id": IDS})[0] for seed in range(4)]
    assert all_differ(torch.cat(noisy))


def test_batch_without_seed_draws_anew_from_torch() -> None:
    prepare = NoisyBatch(NOISE)
    torch.manual_seed(0)
    first = torch.cat([prepare({"image": FILMS})[0] for _ in range(2)])
    torch.manual_seed(0)
    assert torch.equal(prepare({"image": FILMS})[0], first[:4])
    assert all_differ(first)


def test_id_key_names_the_identities() -> None:
    batch = {"image": FILMS, "id": IDS, "name": IDS[::-1]}
    by_name, _ = NoisyBatch(NOISE, seed=0, id_key="name")(batch)
    assert torch.equal(by_name.flip(0), NoisyBatch(NOISE, seed=0)(batch)[0])


def test_channels_hold_the_same_noise() -> None:
    batch = {"image": FILMS, "id": IDS}
    grey, _ = NoisyBatch(NOISE, seed=0)(batch)
    expanded, _ = NoisyBatch(NOISE, seed=0, channels=3)(batch)
    assert torch.equal(expanded, grey.repeat(1, 3, 1, 1))


@pytest.mark.parametrize(("mean", "std"), [(0.5, 0.25), (0.5, 1.0), (0.0, 0.25)])
def test_normalisation_follows_the_noise(mean: float, std: float) -> None:
    batch = {"image": FILMS, "id": IDS}
    grey, _ = NoisyBatch(NOISE, seed=0)(batch)
    normalised, _ = NoisyBatch(NOISE, seed=0, mean=mean, std=std)(batch)
    assert torch.equal(normalised, (grey - mean) / std)


@pytest.mark.parametrize("space", [(16, 16), (16, 16, 3)])
def test_normalisation_per_channel(space: tuple[int, ...]) -> None:
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    batch = {"image": torch.full((4, 1, *space), 0.5), "id": IDS}
    grey, _ = NoisyBatch(NOISE, seed=0)(batch)
    normalised, _ = NoisyBatch(NOISE, seed=0, channels=3, mean=mean, std=std)(batch)
    expected = [(grey[:, 0] - m) / s for m, s in zip(mean, std, strict=True)]
    assert torch.equal(normalised, torch.stack(expected, 1))


@pytest.mark.parametrize("kind", [list, tuple, torch.tensor, np.array])
def test_mean_and_std_may_be_sequences_tensors_and_arrays(kind: Callable[[Any], Any]) -> None:
    mean, std = [0.5, 0.25, 0.125], [0.25, 0.5, 1.0]
    prepare = NoisyBatch(channels=3, mean=kind(mean), std=kind(std))
    assert prepare.mean == mean
    assert prepare.std == std
    normalised, _ = prepare({"image": FILMS})
    assert torch.equal(normalised, NoisyBatch(channels=3, mean=mean, std=std)(FILMS)[0])


@pytest.mark.parametrize("number", [0.5, torch.tensor(0.5), np.float32(0.5), [0.5], np.ones(1) / 2])
def test_one_mean_and_std_serve_all_channels(number: Any) -> None:
    normalised, _ = NoisyBatch(channels=3, mean=number, std=number)({"image": FILMS})
    assert torch.equal(normalised, torch.zeros(4, 3, 16, 16))


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("value", ["0.5", None, True, [], ["0.5"], [[0.5, 0.5]], torch.eye(3), 1j])
def test_mean_and_std_must_be_numbers(name: str, value: Any) -> None:
    message = re.escape(f"{name} must be a number or one number per channel, got {value!r}")
    with pytest.raises(TypeError, match=message):
        NoisyBatch(**{name: value})


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("value", [math.nan, -math.inf, [0.5, math.nan]])
def test_mean_and_std_must_be_finite(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{name} must be finite, got {value!r}")):
        NoisyBatch(**{name: value})


def test_integers_beyond_every_float_are_not_finite() -> None:
    with pytest.raises(ValueError, match="mean must be finite, got an integer beyond every float"):
        NoisyBatch(mean=10**400)


@pytest.mark.parametrize("std", [0, -1.0, [0.5, 0.0], torch.tensor([0.5, -0.5])])
def test_std_must_be_positive(std: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"std must be positive, got {std!r}")):
        NoisyBatch(std=std)


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize(("channels", "count"), [(3, 2), (1, 3)])
def test_mean_and_std_have_one_number_per_channel(name: str, channels: int, count: int) -> None:
    message = f"{name} must be one number, or {channels} for channels={channels}, got {count}"
    with pytest.raises(ValueError, match=message):
        NoisyBatch(channels=channels, **{name: [0.5] * count})


@pytest.mark.parametrize("channels", [3.0, "3", True])
def test_channels_must_be_an_integer(channels: Any) -> None:
    with pytest.raises(TypeError, match="channels must be None or an int, got"):
        NoisyBatch(channels=channels)


@pytest.mark.parametrize("channels", [0, -1])
def test_channels_must_be_positive(channels: int) -> None:
    with pytest.raises(ValueError, match=f"channels must be at least 1, got {channels}"):
        NoisyBatch(channels=channels)


@pytest.mark.parametrize("seed", [1.5, "7", True, torch.tensor(7)])
def test_seed_must_be_an_integer(seed: Any) -> None:
    with pytest.raises(TypeError, match="seed must be None or an int, got"):
        NoisyBatch(NOISE, seed=seed)


@pytest.mark.parametrize("kind", [Tensor.clone, MetaTensor, Tensor.numpy, Tensor.tolist])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.uint16])
def test_ids_of_any_integer_dtype_give_the_same_noise(
    dtype: torch.dtype, kind: Callable[[Any], Any]
) -> None:
    ids = torch.tensor([3, 1, 4, 15])
    prepare = NoisyBatch(NOISE, seed=7)
    expected, _ = prepare({"image": FILMS, "id": ids})
    noisy, _ = prepare({"image": FILMS, "id": kind(ids.to(dtype))})
    assert torch.equal(noisy, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64])
def test_ids_that_are_no_integers_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"under 'name' must be integers or names, got {dtype}"):
        NoisyBatch(NOISE, seed=7, id_key="name")(
            {"image": FILMS, "name": torch.arange(4).to(dtype)}
        )


@pytest.mark.parametrize("ids", [IDS[:3], [*IDS, "film_e"], torch.arange(3), []])
def test_ids_must_be_one_per_image(ids: Any) -> None:
    message = rf"one identity per image under 'name', 4 for .* \(4, 1, 16, 16\), got {len(ids)}"
    with pytest.raises(ValueError, match=message):
        NoisyBatch(NOISE, seed=7, id_key="name")({"image": FILMS, "name": ids})


@pytest.mark.parametrize("kind", [tuple, list])
def test_pairs_of_image_and_label_pass(kind: Callable[[Any], Any]) -> None:
    labels = torch.arange(4)
    image, label = NoisyBatch(NOISE)(kind([FILMS, labels]))
    assert all_differ(image)
    assert torch.equal(label, labels)


def test_a_batch_of_images_alone_has_no_label() -> None:
    assert NoisyBatch(NOISE)({"image": FILMS})[1] is None
    assert NoisyBatch(NOISE)(FILMS)[1] is None


def test_batch_keeps_meta_data_and_the_loaded_image() -> None:
    films = MetaTensor(FILMS.clone(), meta={"filename_or_obj": IDS})
    image, _ = NoisyBatch(NOISE, channels=3, mean=0.5, std=0.5)({"image": films})
    assert image.meta["filename_or_obj"] == IDS
    assert torch.equal(films.as_tensor(), FILMS)


@pytest.mark.parametrize(
    ("batch", "found"), [({"image": FILMS}, r"\['image'\]"), ((FILMS, torch.arange(4)), "no keys")]
)
def test_seed_without_identities_is_refused(batch: Any, found: str) -> None:
    with pytest.raises(KeyError, match=f"seed=7 needs the images' identities.*'name'.*{found}"):
        NoisyBatch(NOISE, seed=7, id_key="name")(batch)


def test_channels_of_more_than_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"channels=3 expands a grey image .* \(4, 2, 16, 16\)"):
        NoisyBatch(NOISE, channels=3)({"image": FILMS.expand(4, 2, 16, 16)})


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("kind", [Tensor.clone, MetaTensor])
def test_a_grey_film_in_colours_is_one_film(kind: Callable, channels: int | None) -> None:
    prepare = NoisyBatch(NOISE, seed=7, channels=channels, mean=[0.1, 0.2, 0.3], std=0.5)
    batch = {"image": kind(FILMS.repeat(1, 3, 1, 1)), "id": IDS}
    noisy, _ = prepare(batch)
    grey = NoisyBatch(NOISE, seed=7, channels=3, mean=[0.1, 0.2, 0.3], std=0.5)
    assert torch.equal(noisy, grey({"image": FILMS, "id": IDS})[0])
    assert type(noisy) is type(batch["image"])


def test_three_channels_that_differ_are_refused() -> None:
    colours = FILMS.repeat(1, 3, 1, 1)
    colours[0, 2, 3, 3] = 0.6
    message = r".* channels=3\); got three that differ, of shape \(4, 3, 16, 16\)"
    with pytest.raises(ValueError, match=THREE_NOISES + message):
        NoisyBatch(NOISE)({"image": colours})
    assert torch.equal(NoisyBatch()({"image": colours})[0], colours)


def test_three_channels_on_a_device_are_told_once() -> None:
    prepare, colours = NoisyBatch(NOISE), {"image": FILMS.repeat(1, 3, 1, 1)}
    with pytest.warns(UserWarning, match=THREE_NOISES):
        prepare(colours, torch.device("meta"))
    prepare(colours, torch.device("meta"))


def test_three_channels_are_told_once_per_transform() -> None:
    for transform in (RandNoise(NOISE, prob=1.0), RandNoise(NOISE, prob=1.0)):
        with pytest.warns(UserWarning, match=THREE_NOISES):
            transform(FILM.expand(3, -1, -1))
        transform(FILM.expand(3, -1, -1))


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 16, 16), (3, 4, 4, 4), (1, 3, 4, 4)])
def test_what_has_no_three_channels_is_not_told(shape: tuple[int, ...]) -> None:
    RandNoise(NOISE, prob=1.0)(torch.full(shape, 0.5))


def test_three_channels_without_noise_are_not_told() -> None:
    RandNoise(NOISE, prob=0.0)(FILM.expand(3, -1, -1))


def test_a_module_that_sees_to_its_channels_is_not_told() -> None:
    class GreyNoise(torch.nn.Module):
        def forward(self, image: Tensor, **randomness: Any) -> Tensor:
            return NOISE(image[:, :1], **randomness).expand_as(image)

    colours = torch.rand(3, 16, 16)
    noisy = RandNoise(GreyNoise(), prob=1.0)(colours)
    assert torch.equal(noisy[0], noisy[2])
    assert NoisyBatch(GreyNoise())({"image": colours[None]})[0].shape == (1, 3, 16, 16)


def test_normalisation_of_an_integer_image_is_refused() -> None:
    with pytest.raises(TypeError, match=r"need a float image, got torch.uint8"):
        NoisyBatch(mean=0.5)({"image": (FILMS * 255).to(torch.uint8)})


def test_evaluator_feeds_the_prepared_batch_to_the_network() -> None:
    prepare = NoisyBatch(NOISE, seed=0, mean=0.5, std=0.25, channels=3)
    batch = {"image": FILMS, "label": torch.zeros(4, 1, 16, 16), "id": IDS}
    network = torch.nn.Conv2d(3, 1, kernel_size=1)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[batch],
        network=network,
        prepare_batch=prepare,
        decollate=False,
    )
    evaluator.run()
    with torch.no_grad():
        expected = network(prepare(batch)[0])
    assert torch.equal(evaluator.state.output["pred"], expected)
    assert torch.equal(evaluator.state.output["label"], batch["label"])
