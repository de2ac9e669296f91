"""From the long table to numbers: performance, its intervals over patients, tests and curves.

Nothing here knows how the table was made: any table of those columns will do.
"""

from .comparisons import holm, monotonicity, paired_tests, recovery
from .curves import (
    area_under_curve,
    breakdown_severity,
    curve_numbers,
    curves,
    drops,
    mean_corruption_error,
)
from .performance import performance, seed_spread, validation_thresholds
from .resampling import Resampled, bootstrap
from .summaries import checkpoint_table, severity_table, task_table

__all__ = [
    "Resampled",
    "area_under_curve",
    "bootstrap",
    "breakdown_severity",
    "checkpoint_table",
    "curve_numbers",
    "curves",
    "drops",
    "holm",
    "mean_corruption_error",
    "monotonicity",
    "paired_tests",
    "performance",
    "recovery",
    "seed_spread",
    "severity_table",
    "task_table",
    "validation_thresholds",
]
