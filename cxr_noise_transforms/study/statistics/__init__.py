"""From the long table to numbers: performance, its intervals over patients, tests and curves.

Nothing here knows how the table was made: any table of those columns will do, if it passes
``check_table``. What is not defined is NaN.
"""

from .comparisons import holm, monotonicity, network_tests, paired_tests, recovery
from .curves import (
    area_under_curve,
    breakdown_severity,
    curve_numbers,
    curves,
    drops,
    mean_corruption_error,
)
from .films import failures, film_values, label_counts
from .long_table import check_table
from .metrics import constant_answer
from .performance import performance, seed_spread, validation_thresholds
from .plane import resolution_plane
from .resampling import Resampled, bootstrap
from .scores import best_threshold, score_metrics
from .studies import by_study, ensemble
from .subgroups import Subgroups, subgroups
from .summaries import checkpoint_table, severity_table, task_table

__all__ = [
    "Resampled",
    "Subgroups",
    "area_under_curve",
    "best_threshold",
    "bootstrap",
    "breakdown_severity",
    "by_study",
    "check_table",
    "checkpoint_table",
    "constant_answer",
    "curve_numbers",
    "curves",
    "drops",
    "ensemble",
    "failures",
    "film_values",
    "holm",
    "label_counts",
    "mean_corruption_error",
    "monotonicity",
    "network_tests",
    "paired_tests",
    "performance",
    "recovery",
    "resolution_plane",
    "score_metrics",
    "seed_spread",
    "severity_table",
    "subgroups",
    "task_table",
    "validation_thresholds",
]
