"""What hardening has brought, as numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from cxr_noise_transforms.study.columns import UNDEGRADED
from cxr_noise_transforms.study.statistics.areas import areas, kept_severities
from cxr_noise_transforms.study.statistics.comparisons import paired_tests
from cxr_noise_transforms.study.statistics.curves import CURVE, area_under_curve, curves
from cxr_noise_transforms.study.statistics.long_table import CLEAN, MEAN, check_table
from cxr_noise_transforms.study.statistics.performance import mean_over, performance
from cxr_noise_transforms.study.statistics.resampling import Resampled, bootstrap
from cxr_noise_transforms.study.statistics.summaries import in_order
from cxr_noise_transforms.study.statistics.trainings import failed_trainings, failed_words

from .findings import ALPHA
from .words import NOISE, SYMBOL, interval, metric_name, number, p_value, photons_at

CLEAN_ARM = "clean"
# of all arms and both axes together
_FAMILY = ("task", "metric")
_AXES = ("sq", "se")


@dataclass(frozen=True)
class Hardened:
    """The arms of one task beside the network that was trained on clean films.

    Args:
        table: the long table; its ``weights`` are the arms.
        draws: its :func:`~cxr_noise_transforms.study.statistics.resampling.bootstrap` in the first
            metric, labels and networks averaged.
    """

    table: pd.DataFrame
    draws: Resampled

    @property
    def task(self) -> str:
        """Its name."""
        return str(self.table.task.iloc[0])

    @property
    def metric(self) -> str:
        """That the report is about."""
        return str(self.draws.groups.metric.iloc[0])

    @property
    def arms(self) -> list[str]:
        """In the table's order; the first is the clean one."""
        return list(self.table.weights.unique())

    @cached_property
    def levels(self) -> pd.DataFrame:
        """Performance with its intervals, by arm, degradation and cell."""
        index = ["weights", "degradation", "sq", "se"]
        return self.draws.intervals().set_index(index).sort_index()

    def level(self, arm: str, cell: tuple[float, float] = CLEAN) -> pd.Series:
        """Performance of an arm in a cell, with its interval."""
        sq, se = cell
        return self.levels.loc[(arm, UNDEGRADED, sq, se)]

    @cached_property
    def gains(self) -> pd.DataFrame:
        """Gain in area under the severity curve by arm and axis: paired, Holm over all of them."""
        found = paired_tests(areas(self.draws).against(weights=CLEAN_ARM), family=_FAMILY)
        return found.set_index(["weights", "axis"]).sort_index()

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Change without noise by arm and degradation, ``"none"`` among them: likewise."""
        clean = self.draws.select(sq=0, se=0)
        found = paired_tests(clean.against(weights=CLEAN_ARM), family=_FAMILY)
        return found.set_index(["weights", "degradation"]).sort_index()

    @cached_property
    def kept(self) -> pd.DataFrame:
        """Severity up to which 95 % of the clean performance is kept, by arm and axis."""
        return kept_severities(self.draws).intervals().set_index(["weights", "axis"]).sort_index()

    @cached_property
    def training_sd(self) -> pd.Series:
        """Standard deviation of the gain in area over trainings, by arm and axis."""
        perf = performance(self.table)
        perf = mean_over(perf[perf.metric == self.metric], ["network", "label"])
        points = pd.concat(
            curves(part).assign(training_seed=seed)
            for seed, part in perf.groupby("training_seed", observed=True)
        )
        keys = [*CURVE, "axis", "training_seed"]
        found = points.groupby(keys, observed=True).apply(
            lambda one: area_under_curve(one.severity.tolist(), one.value.tolist())
        )
        found = found.rename("area").reset_index()
        base = found[found.weights == CLEAN_ARM][["axis", "training_seed", "area"]]
        both = found.merge(base, on=["axis", "training_seed"], suffixes=("", "_clean"))
        both["gain"] = both.area - both.area_clean
        return both.groupby(["weights", "axis"]).gain.std(ddof=1)

    @property
    def ends(self) -> dict[str, tuple[float, float]]:
        """The cell at the end of each axis."""
        sq = self.table.sq[self.table.se == 0].max()
        se = self.table.se[self.table.sq == 0].max()
        return {"sq": (float(sq), 0.0), "se": (0.0, float(se))}

    @property
    def controls(self) -> list[str]:
        """The degradations beside noise."""
        return [one for one in self.table.degradation.unique() if one != UNDEGRADED]

    @property
    def trainings(self) -> int:
        """How often every network was trained."""
        return int(self.table.training_seed.nunique())


def find_hardened(table: pd.DataFrame, resamples: int = 1000) -> Hardened:
    """The findings of one task's long table, whose ``weights`` are the arms.

    Raises:
        ValueError: see :func:`~cxr_noise_transforms.study.statistics.long_table.check_table`.
    """
    table = check_table(table)
    draws = bootstrap(table, resamples=resamples).mean_over("label").mean_over("network")
    metric = in_order(draws.groups.metric.unique())[0]
    return Hardened(table, draws.select(metric=metric, network=MEAN))


def verdicts(one: Hardened) -> list[tuple[str, str]]:
    """The answers, each after what it is about."""
    found = [(arm_words(arm), _verdict(one, arm)) for arm in one.arms if arm != CLEAN_ARM]
    found = [("In short", _short(one)), *found, ("What does not help", _losses(one))]
    failed = failed_trainings(one.table, one.metric)
    words = f"{failed_words(failed)}. They count in their arms as they are."
    return [*found, *([("Trainings that failed", words)] if len(failed) else [])]


def _short(one: Hardened) -> str:
    """Performance at the end of each axis: as it is, and the best with and without training."""
    parts = []
    for axis, cell in one.ends.items():
        levels = {arm: one.level(arm, cell) for arm in one.arms}
        groups = {
            "without training": [arm for arm in one.arms if arm.startswith(f"{CLEAN_ARM}, ")],
            "with noise in training": [arm for arm in one.arms if not arm.startswith(CLEAN_ARM)],
        }
        best = [
            f"{interval(levels[arm], '.2f')} {how} ({arm})"
            for how, arms in groups.items()
            if arms
            for arm in [max(arms, key=lambda arm: levels[arm].value)]
        ]
        clean = interval(levels[CLEAN_ARM], ".2f")
        parts.append(f"at {SYMBOL[axis]} = {max(cell):g} it is {clean}, at best {', '.join(best)}")
    level = interval(one.level(CLEAN_ARM), ".2f")
    return f"{metric_name(one.metric)} on clean films is {level}; {'; '.join(parts)}."


def arm_words(arm: str) -> str:
    """An arm by what is done."""
    noise, *rest = arm.split(", ")
    trained = {
        "clean": "Trained on clean films",
        "mild": "Trained with mild noise (0 to 2)",
        "ladder": "Trained with noise over the ladder (log-uniform, 0.5 to 10)",
        "top": "Trained with the top's noise alone (6 to 10)",
    }.get(noise, noise)
    parts = {"denoised": "a denoiser in front", "all films": "batch normalisation re-estimated from"
             " all unlabelled noisy validation films"}  # fmt: skip
    words = [
        parts.get(part, f"batch normalisation re-estimated from {part} without labels")
        for part in rest
    ]
    return ", ".join([trained, *words])


def _verdict(one: Hardened, arm: str) -> str:
    name = metric_name(one.metric)
    changes = [
        f"by {interval(one.gains.loc[(arm, axis)], '+.3f')} under {NOISE[axis].lower()} "
        f"(p {p_value(one.gains.loc[(arm, axis)].p_holm, '= ')})"
        for axis in _AXES
    ]
    kept = [f"{SYMBOL[axis]} = {kept_words(one, arm, axis)}" for axis in _AXES]
    cost = one.costs.loc[(arm, UNDEGRADED)]
    certain = "" if cost.p_holm < ALPHA else ", which may be chance"
    return (
        f"mean {name} over the ladder changes {' and '.join(changes)}; on clean films by "
        f"{interval(cost, '+.3f')}{certain}. 95 % of the clean performance is kept up to "
        f"{' and '.join(kept)}."
    )


def kept_words(one: Hardened, arm: str, axis: str) -> str:
    """Up to which severity an arm keeps 95 %, with photons on the quantum axis."""
    value, end = one.kept.value[(arm, axis)], one.ends[axis][_AXES.index(axis)]
    more = "at least " if value == end else ""
    photons = f" ({photons_at(value)} photons per pixel)" if axis == "sq" and value > 0 else ""
    return f"{more}{number(value, '.1f')}{photons}"


def _losses(one: Hardened) -> str:
    """Every significant loss, or that there is none."""
    words = []
    for arm in one.arms[1:]:
        lost = [
            (interval(row, "+.3f"), "on clean films" if where == UNDEGRADED else f"under {where}")
            for where, row in one.costs.loc[arm].iterrows()
            if row.p_holm < ALPHA and row.value < 0
        ] + [
            (interval(row, "+.3f"), f"in area under {NOISE[str(axis)].lower()}")
            for axis, row in one.gains.loc[arm].iterrows()
            if row.p_holm < ALPHA and row.value < 0
        ]
        if lost:
            words.append(f"{arm}: " + ", ".join(f"{change} {where}" for change, where in lost))
    if not words:
        return "no arm is significantly worse than the clean one anywhere."
    return "significant losses are " + "; ".join(words) + "."


def arm_table(one: Hardened) -> tuple[list[str], list[list[str]]]:
    """Header and a row per arm: clean performance, gains, what is kept, and the controls."""
    name = metric_name(one.metric)
    header = ["arm", f"{name} clean", "change"]
    header += [f"area gain, {SYMBOL[axis]}" for axis in _AXES]
    header += [f"sd over trainings, {SYMBOL[axis]}" for axis in _AXES]
    header += [f"95 % kept to {SYMBOL[axis]}" for axis in _AXES]
    header += [f"change under {control}" for control in one.controls]
    rows = []
    for arm in one.arms:
        first = arm == CLEAN_ARM
        level = one.level(arm)
        row = [arm, interval(level), "" if first else _starred(one.costs.loc[(arm, UNDEGRADED)])]
        row += ["" if first else _starred(one.gains.loc[(arm, axis)]) for axis in _AXES]
        row += ["" if first else number(one.training_sd[(arm, axis)]) for axis in _AXES]
        row += [number(one.kept.value[(arm, axis)], ".1f") for axis in _AXES]
        row += ["" if first else _starred(one.costs.loc[(arm, name)]) for name in one.controls]
        rows.append(row)
    return header, rows


def square(one: Hardened) -> tuple[list[str], list[list[str]]]:
    """Training by re-estimation: performance at the end of each axis, in a 2 x 2 table."""
    films = next((arm.split(", ")[1] for arm in reversed(one.arms) if "films" in arm), "")
    header = ["training", "statistics of the training", f"re-estimated from {films}"]
    rows = []
    for training in ("clean", "ladder"):
        arms = [training, f"{training}, {films}"]
        if set(arms) <= set(one.arms):
            cells = [
                "; ".join(
                    f"{SYMBOL[axis]} = {max(cell):g}: {interval(one.level(arm, cell))}"
                    for axis, cell in one.ends.items()
                )
                for arm in arms
            ]
            rows.append([training, *cells])
    return header, rows


def _starred(row: pd.Series) -> str:
    return interval(row, "+.3f") + (" *" if row.p_holm < ALPHA else "")


def curve_points(one: Hardened, arms: Sequence[str], axis: str) -> pd.DataFrame:
    """The points of some arms' curves, for a panel."""
    other = "se" if axis == "sq" else "sq"
    levels = one.levels.reset_index()
    rows = levels[
        levels.weights.isin(arms) & (levels[other] == 0) & (levels.degradation == UNDEGRADED)
    ]
    return rows.rename(columns={axis: "severity", "weights": "name"})
