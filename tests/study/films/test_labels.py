from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.nn.functional import binary_cross_entropy

from cxr_noise_transforms.study.films.labels import (
    POLICIES,
    ApplyPolicy,
    certain_prevalence,
    films_to_learn_from,
    target_and_weight,
    write_teacher,
)

MANY = range(4000)
FINDINGS = ["Edema", "Consolidation"]


def uncertain(policy: str, seed: int = 0, p: float = 0.5, teacher: float = nan) -> Any:
    return target_and_weight(-1, policy, seed, p=p, teacher=teacher)


def film(number: int, *labels: float) -> dict[str, Any]:
    return {"id": f"train/patient{number:05d}/study1/view1", "label": torch.tensor(labels)}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("label", [0, 1])
def test_a_certain_label_is_learned_as_it_is(policy: str, label: int) -> None:
    found = {target_and_weight(label, policy, seed, p=0.9, teacher=0.4) for seed in range(20)}
    assert found == {(label, 1)}


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [("zeros", (0, 1)), ("ones", (1, 1)), ("soft", (0.2, 1)), ("self-trained", (0.7, 1)),
     ("multi-class", (2, 1))],
)  # fmt: skip
def test_an_uncertain_label_is_what_the_policy_says(
    policy: str, outcome: tuple[float, float]
) -> None:
    assert {uncertain(policy, seed, 0.2, 0.7) for seed in range(20)} == {outcome}


def test_what_is_ignored_weighs_nothing() -> None:
    assert uncertain("ignore")[1] == 0


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("policy", ["flip", "flip-each-epoch"])
def test_flips_are_bernoulli(policy: str, p: float) -> None:
    targets = np.array([uncertain(policy, seed, p)[0] for seed in MANY])
    assert set(targets) <= {0.0, 1.0}
    assert abs(targets.mean() - p) <= 5 * np.sqrt(p * (1 - p) / len(MANY))


@pytest.mark.parametrize(
    ("policy", "low", "high"), [("smooth-zeros", 0, 0.3), ("smooth-ones", 0.55, 0.85)]
)
def test_smoothed_labels_are_uniform(policy: str, low: float, high: float) -> None:
    targets = [uncertain(policy, seed)[0] for seed in MANY]
    assert stats.kstest(targets, stats.uniform(low, high - low).cdf).pvalue > 1e-6
    assert {uncertain(policy, seed)[1] for seed in MANY} == {1}


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_flips_are_soft_labels_on_the_average(p: float) -> None:
    """The loss of a network that says q, over many flips, is the loss under the soft label p."""
    q = torch.tensor(0.4)
    flips = torch.tensor([uncertain("flip", seed, p)[0] for seed in MANY])
    losses = binary_cross_entropy(q.expand(len(MANY)), flips, reduction="none")
    expected = binary_cross_entropy(q, torch.tensor(uncertain("soft", p=p)[0]))
    assert abs(losses.mean() - expected) <= 5 * losses.std() / len(MANY) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": 0.5}, "label must be 1, 0 or -1, got 0.5"),
        ({"label": nan}, "label must be 1, 0 or -1, got nan"),
        ({"policy": "twos"}, "policy must be one of ignore, zeros, ones, .* got 'twos'"),
        ({"p": 1.5}, "p must be from 0 to 1, got 1.5"),
        ({"policy": "self-trained"}, "the teacher's probability must be from 0 to 1, got nan"),
    ],
)
def test_what_is_no_label_policy_or_probability_is_refused(
    arguments: dict[str, Any], message: str
) -> None:
    given = {"label": -1, "policy": "flip", "seed": 0, **arguments}
    with pytest.raises(ValueError, match=message):
        target_and_weight(**given)


def test_a_film_has_targets_above_weights() -> None:
    learned = ApplyPolicy(FINDINGS, "ignore")(film(1, 1, -1))
    assert learned["label"].tolist() == [[1, 0], [1, 0]]


def test_a_flip_depends_on_seed_film_and_finding_alone() -> None:
    policy = ApplyPolicy(FINDINGS, "flip", seed=3)
    films = [film(number, -1, -1) for number in range(200)]
    first = [policy(one)["label"] for one in films]
    policy.set_random_state(seed=9)
    assert all(map(torch.equal, first[::-1], [policy(one)["label"] for one in films[::-1]]))
    alone = ApplyPolicy(FINDINGS[1:], "flip", seed=3)
    assert [alone(film(n, -1))["label"][0, 0] for n in range(200)] == [one[0, 1] for one in first]
    # independent: of another seed half of the flips agree, and so do those of two findings
    other = ApplyPolicy(FINDINGS, "flip", seed=4)
    pairs = [(one[0], other(film(n, -1, -1))["label"][0]) for n, one in enumerate(first)]
    agreeing = [float((a == b).float().mean()) for a, b in pairs]
    assert abs(np.mean(agreeing) - 0.5) <= 5 * 0.5 / 400**0.5
    assert abs(np.mean([float(a[0] == a[1]) for a, _ in pairs]) - 0.5) <= 5 * 0.5 / 200**0.5


def test_flips_are_redrawn_each_epoch_where_that_is_asked_for() -> None:
    policy = ApplyPolicy(FINDINGS, "flip-each-epoch")
    films = [film(number, -1, -1) for number in range(200)]
    epochs = []
    for epoch in (1, 2, 1):
        policy.set_random_state(seed=epoch)
        epochs.append(torch.stack([policy(one)["label"][0] for one in films]))
    assert torch.equal(epochs[0], epochs[2])
    agreeing = (epochs[0] == epochs[1]).float().mean()
    assert abs(agreeing - 0.5) <= 5 * 0.5 / 400**0.5


def test_every_finding_may_have_a_chance_of_its_own() -> None:
    policy = ApplyPolicy(FINDINGS, "flip", p=[0.0, 1.0])
    assert {tuple(policy(film(n, -1, -1))["label"][0].tolist()) for n in range(20)} == {(0, 1)}
    with pytest.raises(ValueError, match="p must be one number or 2, got 3"):
        ApplyPolicy(FINDINGS, "flip", p=[0, 1, 0])


def test_a_teacher_speaks_for_what_is_uncertain(tmp_path: Path) -> None:
    scores = [(film(1)["id"], "Edema", 0.25), (film(1)["id"], "Consolidation", 0.75)]
    table = pd.DataFrame(scores, columns=["image", "label", "value"])
    path = tmp_path / "teacher.csv"
    write_teacher(path, table)
    policy = ApplyPolicy(FINDINGS, "self-trained", teacher=path)
    assert policy(film(1, -1, 1))["label"].tolist() == [[0.25, 1], [1, 1]]
    with pytest.raises(ValueError, match="the teacher must know every film, not train/patient0000"):
        policy(film(2, -1, 1))
    with pytest.raises(ValueError, match="needs a teacher"):
        ApplyPolicy(FINDINGS, "self-trained")
    with pytest.raises(ValueError, match="must have a probability of Fracture"):
        ApplyPolicy(["Fracture"], "self-trained", teacher=path)
    with pytest.raises(FileNotFoundError, match=r"no.csv does not exist"):
        ApplyPolicy(FINDINGS, "self-trained", teacher=tmp_path / "no.csv")


def test_a_policy_that_leaves_a_finding_without_positives_is_refused() -> None:
    films = [{"labels": [1.0, -1.0]}, {"labels": [0.0, 0.0]}]
    assert films_to_learn_from(films, FINDINGS, "flip") is films
    with pytest.raises(ValueError, match=r"Consolidation has none among 2 films \(1 uncertain"):
        films_to_learn_from(films, FINDINGS, "zeros")
    with pytest.raises(ValueError, match=r"Edema has none among 1 films \(0 uncertain"):
        films_to_learn_from(films[1:], FINDINGS, "ones")


def test_prevalence_is_that_of_certain_labels() -> None:
    films = [{"labels": [1.0, -1.0]}, {"labels": [0.0, 0.0]}, {"labels": [-1.0, 0.0]}]
    assert certain_prevalence(films, FINDINGS) == [0.5, 0]
    with pytest.raises(ValueError, match="finding Edema must have certain labels, has none"):
        certain_prevalence(films[2:], FINDINGS)
