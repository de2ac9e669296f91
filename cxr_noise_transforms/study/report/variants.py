"""Which networks fail first: architectures, and what was made otherwise of the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from cxr_noise_transforms import electronic_sigma
from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.evaluation.explaining import CLEAN
from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.long_table import MEAN
from cxr_noise_transforms.study.statistics.performance import performance, seed_spread
from cxr_noise_transforms.study.statistics.resampling import Resampled

from .explained import Explained, rms_words
from .explained_tables import starred
from .findings import ALPHA
from .words import interval, metric_name, number, p_value

# severities of electronic noise that tables show
SHOWN = (1.0, 2.0, 3.0, 6.0)
# where one sentence is about one severity: an RMS of 0.3
TOLD = 3.0


@dataclass(frozen=True)
class Variant:
    """Networks made in another way, beside the same ones trained on clean films.

    Args:
        arm: how they were made, as the table's ``weights`` have it.
        networks: that are there in both ways.
        levels: performance by ``weights`` and severity of electronic noise, mean over them.
        extra: by severity, how much more the noise changes them than it changes the plain ones:
            paired over patients, Holm over the severities.
    """

    arm: str
    networks: Sequence[str]
    levels: pd.DataFrame
    extra: pd.DataFrame


def variants(one: Explained) -> list[Variant]:
    """Every arm beside the plain one, on the networks that both have."""
    table = one.table
    arms = table.groupby("weights", sort=False, observed=True).network
    by_arm = {arm: names.unique() for arm, names in arms}
    plain = by_arm.pop(CLEAN, [])
    common = {arm: [name for name in plain if name in names] for arm, names in by_arm.items()}
    return [_variant(one, arm, names) for arm, names in common.items() if names]


def _variant(one: Explained, arm: str, networks: Sequence[str]) -> Variant:
    chosen = {"network": networks, "weights": [CLEAN, arm], "degradation": UNDEGRADED}
    both = one.draws.select(**chosen).mean_over("network")
    extra = paired_tests(both.against(sq=0, se=0).against(weights=CLEAN))
    levels = both.intervals().set_index(["weights", "se"])
    return Variant(arm, networks, levels, extra.set_index("se"))


def variant_verdicts(one: Explained) -> list[tuple[str, str]]:
    """A sentence per variant, and one on the architectures."""
    found = [(f"Variant ({each.arm})", _variant_words(one, each)) for each in variants(one)]
    if len(plain_networks(one)) > 1:
        found.insert(0, ("Architecture", _architecture_words(one)))
    return found


def _variant_words(one: Explained, each: Variant) -> str:
    name, row = metric_name(one.metric), each.extra.loc[TOLD]
    clean = [interval(each.levels.loc[(arm, 0.0)]) for arm in (each.arm, CLEAN)]
    noisy = [number(each.levels.value[arm, TOLD]) for arm in (each.arm, CLEAN)]
    above = {arm: each.levels.value[arm, 0.0] - row.chance for arm in (each.arm, CLEAN)}
    if above[each.arm] < above[CLEAN] / 2:
        which = "of which it has little to lose"
    elif row.p_holm >= ALPHA:
        which = "which these films cannot tell from none"
    else:
        which = "it loses less" if row.value > 0 else "it loses more"
    return (
        f"{', '.join(each.networks)}: {name} is {clean[0]} on clean films (plain {clean[1]}) and "
        f"{noisy[0]} under electronic noise of {rms_words(TOLD)} (plain {noisy[1]}): the change by "
        f"noise differs by {interval(row, '+.3f')} (p {p_value(row.p_holm, '= ')}), {which}."
    )


def plain_networks(one: Explained) -> list[str]:
    """Those trained on clean films."""
    return list(one.table.network[one.table.weights == CLEAN].unique())


def _changes(one: Explained) -> Resampled:
    """Of every plain network, from clean films to electronic noise."""
    plain = one.draws.select(weights=CLEAN, degradation=UNDEGRADED)
    return plain.against(sq=0, se=0)


def _architecture_words(one: Explained) -> str:
    changes = one.changes.xs((CLEAN, UNDEGRADED, TOLD), level=("weights", "degradation", "se"))
    single = changes.drop(index=MEAN)
    worst, best = single.value.idxmin(), single.value.idxmax()
    told = _changes(one).select(se=TOLD)
    pair = told.select(network=[worst, best]).against(network=best)
    # any pair might have been the widest
    pairs = len(single) * (len(single) - 1) / 2
    row = paired_tests(pair).iloc[0]
    p = min(1.0, row.p * pairs)
    which = "differ" if p < ALPHA else "cannot be told apart"
    return (
        f"under electronic noise of {rms_words(TOLD)}, {metric_name(one.metric)} of {best} changes "
        f"by {interval(single.loc[best], '+.3f')} and that of {worst} by "
        f"{interval(single.loc[worst], '+.3f')}; the two {which}: {interval(row, '+.3f')} "
        f"(p {p_value(p, '= ')} after Bonferroni over {pairs:.0f} pairs)."
    )


def network_table(one: Explained) -> tuple[list[str], list[list[str]]]:
    """Header and a row per plain network: clean, its changes, and their spread over trainings."""
    header = ["network", "trainings", "clean films"]
    header += [f"change at RMS {electronic_sigma(se):.3g}" for se in SHOWN]
    header.append(f"its sd over trainings, RMS {electronic_sigma(TOLD):.3g}")
    plain = one.table[(one.table.weights == CLEAN) & (one.table.degradation == UNDEGRADED)]
    found = performance(plain)
    found = found[found.metric == one.metric]
    keys = [name for name in found if name not in ("sq", "se", "value", "n", "chance")]
    at = {se: found[found.se == se].set_index(keys).value for se in (0.0, TOLD)}
    change = (at[TOLD] - at[0.0]).reset_index().assign(sq=0.0, se=TOLD, chance=0.0)
    spread = seed_spread(change).groupby("network")[["training_sd", "training_seeds"]].mean()
    rows = [
        [
            name,
            f"{spread.training_seeds[name]:.0f}",
            interval(one.levels.loc[(CLEAN, name, UNDEGRADED, 0.0)]),
            *(starred(one.changes.loc[(CLEAN, name, UNDEGRADED, se)]) for se in SHOWN),
            number(spread.training_sd[name]),
        ]
        for name in plain_networks(one)
    ]
    return header, rows


def variant_table(one: Explained) -> tuple[list[str], list[list[str]]]:
    """Header and a row per variant: clean, beside plain, and how much more noise changes it."""
    header = ["made", "networks", "clean films", "plain, clean films"]
    header += [f"further change at RMS {electronic_sigma(se):.3g}" for se in SHOWN]
    rows = [
        [
            each.arm,
            ", ".join(each.networks),
            *(interval(each.levels.loc[(arm, 0.0)]) for arm in (each.arm, CLEAN)),
            *(starred(each.extra.loc[se]) for se in SHOWN),
        ]
        for each in variants(one)
    ]
    return header, rows


def network_points(one: Explained) -> pd.DataFrame:
    """Points of every plain network's curve over the RMS of electronic noise, for a panel."""
    rows = one.levels.loc[(CLEAN, plain_networks(one), UNDEGRADED), :].reset_index()
    return rows.assign(severity=rows.se.map(electronic_sigma), name=rows.network)


def variant_points(one: Explained) -> tuple[list[str], pd.DataFrame]:
    """Networks that were made in every way, and points of each way's curve, for a panel."""
    found = variants(one)
    common = [name for name in plain_networks(one) if all(name in each.networks for each in found)]
    arms = [CLEAN, *(each.arm for each in found)]
    chosen = one.draws.select(network=common, weights=arms, degradation=UNDEGRADED)
    rows = chosen.mean_over("network").intervals()
    return common, rows.assign(severity=rows.se.map(electronic_sigma), name=rows.weights)
