"""What a network is to learn from a label that may be uncertain: label policies.

A policy is a pure function of (label, policy, seed): a target with a weight, nothing stored.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from monai.transforms import Randomizable, Transform

from cxr_noise_transforms import image_seeds

from .record import Film

UNCERTAIN = -1.0
# the class of an uncertain label under the policy multi-class
THIRD_CLASS = 2.0

Outcome = tuple[float, float]


def _between(low: float, high: float) -> Callable[[float, float, float], Outcome]:
    return lambda uniform, _p, _teacher: (low + (high - low) * uniform, 1.0)


# of an uncertain label: a uniform number, p and the teacher's probability to target and weight;
# the ranges of the smoothed ones are those of Pham et al. 2019, arXiv:1911.06475
_RULES: dict[str, Callable[[float, float, float], Outcome]] = {
    "ignore": lambda _uniform, _p, _teacher: (0.0, 0.0),
    "zeros": lambda _uniform, _p, _teacher: (0.0, 1.0),
    "ones": lambda _uniform, _p, _teacher: (1.0, 1.0),
    "flip": lambda uniform, p, _teacher: (float(uniform < p), 1.0),
    "flip-each-epoch": lambda uniform, p, _teacher: (float(uniform < p), 1.0),
    "soft": lambda _uniform, p, _teacher: (p, 1.0),
    "smooth-zeros": _between(0.0, 0.3),
    "smooth-ones": _between(0.55, 0.85),
    "self-trained": lambda _uniform, _p, teacher: (teacher, 1.0),
    "multi-class": lambda _uniform, _p, _teacher: (THIRD_CLASS, 1.0),
}
POLICIES = tuple(_RULES)
# policies under which an uncertain label is never a positive one
_NEVER_POSITIVE = ("ignore", "zeros", "smooth-zeros", "multi-class")


def target_and_weight(
    label: float, policy: str, seed: int, *, p: float = 0.5, teacher: float = nan
) -> Outcome:
    """What is learned from one label: the target, and the weight of its loss.

    A certain label, 1 or 0, is its own target with weight 1 under every policy. With ``U`` uniform
    on [0, 1), drawn from the seed, an uncertain one (-1) becomes (target, weight):

    ``ignore`` (0, 0); ``zeros`` (0, 1); ``ones`` (1, 1); ``flip`` and ``flip-each-epoch``
    (1 if U < p else 0, 1); ``soft`` (p, 1), their mean; ``smooth-zeros`` (0.3 U, 1);
    ``smooth-ones`` (0.55 + 0.3 U, 1); ``self-trained`` (teacher, 1); ``multi-class`` (2, 1), the
    number of a third class.

    Args:
        label: 1, 0, or -1 for uncertain.
        policy: one of :data:`POLICIES`.
        seed: of this film and finding.
        p: chance that a flipped label is 1, from 0 to 1.
        teacher: probability that a teacher gives to the finding.

    Raises:
        ValueError: another label, an unknown policy, or a probability that is none.

    Example:
        >>> [target_and_weight(label, "ones", seed=0) for label in (1, 0, -1)]
        [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0)]
        >>> target_and_weight(-1, "ignore", seed=0)
        (0.0, 0.0)

    References:
        Irvin et al. 2019, arXiv:1901.07031 (ignore, zeros, ones, self-trained, multi-class).
        Agarwal and Sinha 2025, arXiv:2504.09033 (random flips; p is not published).
        Pham et al. 2019, arXiv:1911.06475 (smoothed labels).
    """
    if policy not in _RULES:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    if not 0 <= p <= 1:
        raise ValueError(f"p must be from 0 to 1, got {p}")
    if label in (0, 1):
        return float(label), 1.0
    if label != UNCERTAIN:
        raise ValueError(f"label must be 1, 0 or -1, got {label}")
    if policy == "self-trained" and not 0 <= teacher <= 1:
        raise ValueError(f"the teacher's probability must be from 0 to 1, got {teacher}")
    uniform = np.random.default_rng(seed % 2**64).random()
    return _RULES[policy](uniform, p, teacher)


class ApplyPolicy(Randomizable, Transform):
    """Turn a film's ``label`` ``(L,)`` into targets and weights ``(2, L)``.

    The seed of a film and finding comes from their names alone, so that a label is flipped the
    same way in any order and epoch; under ``flip-each-epoch`` it comes from the transform's random
    state too, which :class:`~cxr_noise_transforms.study.training.EpochSeeds` sets.

    Args:
        findings: names of the labels.
        policy: see :func:`target_and_weight`.
        seed: of the training.
        p: likewise, one for all findings or one each.
        teacher: file of :func:`write_teacher`, needed by ``self-trained``.

    Raises:
        ValueError: see :func:`target_and_weight`; ``p`` of another length; a teacher is missing, or
            does not know a film.
    """

    def __init__(
        self,
        findings: Sequence[str],
        policy: str,
        seed: int = 0,
        p: float | Sequence[float] = 0.5,
        teacher: str | Path | None = None,
    ) -> None:
        self.findings = list(findings)
        self.policy = policy
        self.seed = seed
        self.p = [p] * len(self.findings) if isinstance(p, int | float) else list(p)
        if len(self.p) != len(self.findings):
            raise ValueError(f"p must be one number or {len(self.findings)}, got {len(self.p)}")
        if policy == "self-trained" and teacher is None:
            raise ValueError("policy self-trained needs a teacher, the file of its probabilities")
        self.teacher = None if teacher is None else _read_teacher(Path(teacher), self.findings)
        self.epoch = 0
        for each in self.p:
            target_and_weight(0, policy, seed, p=each)

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> ApplyPolicy:
        """Begin an epoch."""
        super().set_random_state(seed, state)
        self.epoch = int(self.R.randint(2**31))
        return self

    def __call__(self, film: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The film with targets and weights."""
        names = [f"{film['id']}/{finding}" for finding in self.findings]
        redrawn = f"{self.epoch}/" if self.policy == "flip-each-epoch" else ""
        seeds = image_seeds(0, [f"{self.seed}/{redrawn}{name}" for name in names]).tolist()
        outcomes = [
            target_and_weight(label, self.policy, one, p=p, teacher=taught)
            for label, one, p, taught in zip(
                film["label"].tolist(), seeds, self.p, self._taught(film), strict=True
            )
        ]
        return {**film, "label": torch.tensor(outcomes, dtype=torch.float32).T.contiguous()}

    def _taught(self, film: Mapping[Hashable, Any]) -> Sequence[float]:
        if self.teacher is None:
            return [nan] * len(self.findings)
        if film["id"] not in self.teacher:
            raise ValueError(f"the teacher must know every film, not {film['id']}")
        return self.teacher[film["id"]]


def write_teacher(path: Path, table: pd.DataFrame) -> None:
    """Write a network's scores of films, from its long table, for the policy self-trained."""
    table.pivot_table(index="image", columns="label", values="value", observed=True).to_csv(path)


def films_to_learn_from(
    films: Sequence[Film], findings: Sequence[str], policy: str
) -> Sequence[Film]:
    """The same films, if a policy leaves a positive one of every finding.

    Raises:
        ValueError: it does not.
    """
    for place, finding in enumerate(findings):
        labels = [film["labels"][place] for film in films]
        uncertain = labels.count(UNCERTAIN)
        if 1 not in labels and (policy in _NEVER_POSITIVE or not uncertain):
            raise ValueError(
                f"policy {policy} must leave every finding positive films to learn from, but "
                f"{finding} has none among {len(films)} films ({uncertain} uncertain)"
            )
    return films


def certain_prevalence(films: Sequence[Film], findings: Sequence[str]) -> list[float]:
    """The share of positives among the certain labels of every finding.

    Raises:
        ValueError: a finding has no certain label.
    """
    shares = []
    for place, finding in enumerate(findings):
        known = [film["labels"][place] for film in films if film["labels"][place] != UNCERTAIN]
        if not known:
            raise ValueError(f"finding {finding} must have certain labels, has none")
        shares.append(sum(known) / len(known))
    return shares


def _read_teacher(path: Path, findings: Sequence[str]) -> dict[str, list[float]]:
    if not path.is_file():
        raise FileNotFoundError(f"teacher {path} does not exist")
    table = pd.read_csv(path, dtype={"image": str}, index_col="image")
    missing = [finding for finding in findings if finding not in table]
    if missing or any(isnan(value) for value in table[list(findings)].to_numpy().ravel()):
        raise ValueError(
            f"teacher {path} must have a probability of {', '.join(findings)} for every film"
        )
    return dict(zip(table.index, table[list(findings)].to_numpy().tolist(), strict=True))
