"""Noise in MONAI pipelines: array and dictionary transforms, and a ``PrepareBatch``."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import MetaTensor, get_track_meta
from monai.engines import PrepareBatch, default_prepare_batch
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor
from torch import Tensor, nn
from torch.utils.data import get_worker_info

from cxr_noise_transforms import image_seeds

from ._adapters import (
    check_adapter,
    check_probability,
    is_grey_in_colours,
    warn_of_channels,
)
from ._checks import is_integer, is_number
from ._random import draw_severity, severity_salt


class RandNoise(RandomizableTransform):
    """Add noise to an image ``(C, spatial...)`` with probability ``prob``.

    All randomness comes from MONAI's ``self.R``, so that ``set_random_state`` and
    ``set_determinism`` reproduce it; a loader's worker continues from its own seed.

    Args:
        noise: any noise module of this package.
        prob: probability of adding noise to an image.

    Returns:
        A tensor (a ``MetaTensor`` with the image's meta data where MONAI tracks it) of the
        image's shape and dtype.

    Raises:
        TypeError: ``noise`` is no module, or ``prob`` no number.
        ValueError: ``prob`` is not between 0 and 1.

    Example:
        >>> from cxr_noise_transforms import QuantumNoise
        >>> film = torch.full((1, 64, 64), 0.5)
        >>> transform = RandNoise(QuantumNoise(sq=(0, 4)), prob=1.0).set_random_state(0)
        >>> transform(film).shape
        torch.Size([1, 64, 64])
    """

    R: np.random.RandomState
    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI reads a list)

    def __init__(self, noise: nn.Module, prob: float = 0.1) -> None:
        # before MONAI clamps the probability
        check_adapter(noise, "prob", prob)
        RandomizableTransform.__init__(self, prob)
        self.noise = noise
        self._seed: int | None = None
        self._worker_seed: int | None = None

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> RandNoise:
        """Set ``self.R``; one that is set inside a loader's worker is kept as it is."""
        super().set_random_state(seed, state)
        worker = get_worker_info()
        self._worker_seed = None if worker is None else worker.seed
        return self

    def randomize(self, data: Any | None = None) -> None:
        """Draw whether to add noise, and its seed."""
        self._enter_worker()
        super().randomize(data)
        self._seed = int(self.R.randint(2**63 - 1, dtype=np.int64))

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> Tensor:
        """The noisy image; ``randomize=False`` repeats the last draw."""
        if isinstance(img, np.ndarray) and img.dtype == np.uint16:
            # MONAI makes int32 of it, which has no full scale
            img = torch.from_numpy(np.ascontiguousarray(img))
        image = convert_to_tensor(img, track_meta=get_track_meta())
        if randomize:
            self.randomize()
        if self._seed is None:
            raise RuntimeError("randomize=False needs a draw to repeat, call randomize() first")
        if not self._do_transform:
            return image
        # three channels of a slice, and not a volume
        warn_of_channels(self, self.noise, image.shape[0] if image.ndim == 3 else 1)
        # a batch of one: (C, spatial...) of a volume has as many axes as a batch of films
        noisy = self.noise(_plain(image)[None], seed=torch.tensor([self._seed]))[0]
        return convert_to_dst_type(noisy, image, dtype=noisy.dtype)[0]

    def _enter_worker(self) -> None:
        # torch's own DataLoader copies self.R into every worker and again at every epoch
        worker = get_worker_info()
        if worker is not None and worker.seed != self._worker_seed:
            self._worker_seed = worker.seed
            entropy = [int(self.R.randint(2**32, dtype=np.uint64)), worker.seed]
            self.R = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(entropy)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.noise}, prob={self.prob})"


class RandNoised(RandNoise, MapTransform):
    """Dictionary version of :class:`RandNoise`.

    Like MONAI's own, it draws once per dictionary: all keys share decision and seed. For
    independent noise in several films of one dictionary use one transform per key.

    Args:
        keys: the items to add noise to.
        noise: any noise module of this package.
        prob: probability of adding noise to a dictionary's images.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(
        self,
        keys: KeysCollection,
        noise: nn.Module,
        prob: float = 0.1,
        allow_missing_keys: bool = False,
    ) -> None:
        MapTransform.__init__(self, keys, allow_missing_keys)
        RandNoise.__init__(self, noise, prob)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, Tensor]:  # type: ignore[override]
        """The dictionary with its images noisy."""
        result: dict[Hashable, Any] = dict(data)
        self.randomize()
        for key in self.key_iterator(result):
            result[key] = RandNoise.__call__(self, result[key], randomize=False)
        return result


RandNoiseD = RandNoiseDict = RandNoised


class NoisyBatch(PrepareBatch):
    """Prepare a batch on its device: copy, add noise to the grey image, normalise, expand.

    Noise is drawn after the copy, on the device and for the whole batch, before the model's own
    normalisation. For training and evaluation engines, and wherever MONAI takes a
    ``prepare_batch``. A grey film that was loaded with three equal channels is one film, and comes
    back with three.

    Args:
        noise: any noise module of this package, or ``None`` for clean batches.
        seed: ``None`` for fresh noise at every call (training). An int gives each image the seed
            ``image_seeds(seed, ids)``: its noise is then the same in every epoch, batch and
            process (evaluation).
        id_key: item of the batch with the images' identities (names or numbers), needed with
            ``seed``.
        prob: probability of adding noise to an image; drawn for every image, from its seed where
            there is one.
        mean: subtracted after the noise, in the image's units, one number per channel or one for
            all.
        std: divided by after the noise, likewise; positive.
        channels: expand one grey channel to this many.

    Raises:
        KeyError: ``seed`` is given and the batch has no ``id_key``.
        TypeError: an argument or an identity is of the wrong type, or ``mean`` or ``std`` is asked
            of an integer image.
        ValueError: an argument is out of its range, the identities are not one per image, or
            ``channels`` is asked of an image that has more than one; three channels differ (seen on
            the CPU; elsewhere there is a warning of three channels).
    """

    def __init__(
        self,
        noise: nn.Module | None = None,
        *,
        seed: int | None = None,
        id_key: str = "id",
        prob: float = 1.0,
        mean: float | Sequence[float] | NdarrayOrTensor = 0.0,
        std: float | Sequence[float] | NdarrayOrTensor = 1.0,
        channels: int | None = None,
    ) -> None:
        if noise is not None and not isinstance(noise, nn.Module):
            raise TypeError(
                "noise must be None or a noise module such as QuantumNoise, "
                f"got {type(noise).__name__}"
            )
        if seed is not None and not is_integer(seed):
            raise TypeError(f"seed must be None or an int, got {type(seed).__name__} {seed!r}")
        if channels is not None and not is_integer(channels):
            raise TypeError(
                f"channels must be None or an int, got {type(channels).__name__} {channels!r}"
            )
        if channels is not None and channels < 1:
            raise ValueError(f"channels must be at least 1, got {channels}")
        check_probability("prob", prob)
        self.noise = noise
        self.seed = seed
        self.id_key = id_key
        self.prob = prob
        self.mean = _per_channel("mean", mean, channels)
        self.std = _per_channel("std", std, channels)
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {std!r}")
        self.channels = channels

    def __call__(
        self,
        batchdata: Any,
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Image and label (or ``None``) on ``device``, ready for the network."""
        image, label = default_prepare_batch(batchdata, device, non_blocking, **kwargs)
        channels = self.channels
        if self.noise is not None:
            if is_grey_in_colours(self, self.noise, _plain(image)):
                image, channels = image[:, :1], channels or 3
            noisy = self._noisy(self.noise, _plain(image), self._seeds(batchdata, image))
            image = convert_to_dst_type(noisy, image, dtype=noisy.dtype)[0]
        if channels is not None:
            if image.shape[1] != 1:
                raise ValueError(
                    f"channels={channels} expands a grey image (B, 1, H, W), "
                    f"got shape {tuple(image.shape)}"
                )
            image = image.expand(-1, channels, *image.shape[2:])
        return self._normalise(image), label

    def _noisy(self, noise: nn.Module, image: Tensor, seeds: Tensor | None) -> Tensor:
        noisy: Tensor = noise(image, seed=seeds)
        if self.prob == 1:
            return noisy
        if seeds is None:
            chance = torch.rand(len(image), device=image.device)
        else:
            chance = draw_severity((0.0, 1.0), seeds.to(image.device), severity_salt("prob"))
        chosen = (chance < self.prob).reshape(-1, *(1,) * (image.ndim - 1))
        return torch.where(chosen, noisy, image)

    def _seeds(self, batchdata: Any, image: Tensor) -> Tensor | None:
        if self.seed is None:
            return None
        if not isinstance(batchdata, Mapping) or self.id_key not in batchdata:
            found = sorted(map(str, batchdata)) if isinstance(batchdata, Mapping) else "no keys"
            raise KeyError(
                f"seed={self.seed} needs the images' identities under {self.id_key!r} in the "
                f"batch, found {found}"
            )
        ids = batchdata[self.id_key]
        if isinstance(ids, Tensor):
            if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
                raise TypeError(
                    f"the identities under {self.id_key!r} must be integers or names, "
                    f"got {ids.dtype}"
                )
            ids = _plain(ids).to(torch.int64)
        seeds = image_seeds(self.seed, ids)
        if len(seeds) != image.shape[0]:
            raise ValueError(
                f"the batch must hold one identity per image under {self.id_key!r}, "
                f"{image.shape[0]} for an image of shape {tuple(image.shape)}, got {len(seeds)}"
            )
        return seeds

    def _normalise(self, image: Tensor) -> Tensor:
        if self.mean == [0.0] and self.std == [1.0]:
            return image
        if not image.is_floating_point():
            raise TypeError(f"mean and std need a float image, got {image.dtype}; scale it before")
        per_channel = (-1, *(1,) * (image.ndim - 2))
        mean, std = (
            torch.as_tensor(value, dtype=image.dtype, device=image.device).reshape(per_channel)
            for value in (self.mean, self.std)
        )
        return (image - mean) / std


def _plain(image: Tensor) -> Tensor:
    return image.as_tensor() if isinstance(image, MetaTensor) else image


def _per_channel(name: str, given: Any, channels: int | None) -> list[float]:
    """One float, or one per channel."""
    value = given.tolist() if isinstance(given, Tensor | np.ndarray) else given
    values = [value] if is_number(value) else value
    if (
        not isinstance(values, Sequence)
        or not len(values)
        or not all(is_number(number) for number in values)
    ):
        raise TypeError(f"{name} must be a number or one number per channel, got {given!r}")
    try:
        floats = [float(number) for number in values]
    except OverflowError:
        raise ValueError(f"{name} must be finite, got an integer beyond every float") from None
    if not all(math.isfinite(number) for number in floats):
        raise ValueError(f"{name} must be finite, got {given!r}")
    if channels is not None and len(floats) not in (1, channels):
        raise ValueError(
            f"{name} must be one number, or {channels} for channels={channels}, "
            f"got {len(floats)}: {given!r}"
        )
    return floats
