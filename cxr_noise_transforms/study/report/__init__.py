"""From numbers to what is read: findings become words, tables and pictures, and these a document.

What comes in is a long table, what goes out are ``report.html`` and ``report.md``, tables as
Markdown and CSV, and figures. Every table that passes
:func:`~cxr_noise_transforms.study.statistics.long_table.check_table` has a report; what is not
defined is a dash in it.
"""

from .answers import headline
from .carried import plot_carried
from .figures import plot_curves, plot_tasks
from .findings import Findings, find
from .markdown import markdown, write_table
from .page import (
    find_in_sweeps,
    write_report,
    write_report_of_findings,
    write_report_of_table,
)

__all__ = [
    "Findings",
    "find",
    "find_in_sweeps",
    "headline",
    "markdown",
    "plot_carried",
    "plot_curves",
    "plot_tasks",
    "write_report",
    "write_report_of_findings",
    "write_report_of_table",
    "write_table",
]
