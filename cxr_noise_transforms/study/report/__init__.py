"""From numbers to what is read: findings become words, tables and pictures, and these a document.

What comes in is a long table, what goes out are ``report.html`` and ``report.md``, tables as
Markdown and CSV, and figures.
"""

from .figures import plot_curves, plot_tasks
from .findings import Findings, find
from .markdown import markdown, write_table
from .page import write_report, write_report_of_table

__all__ = [
    "Findings",
    "find",
    "markdown",
    "plot_curves",
    "plot_tasks",
    "write_report",
    "write_report_of_table",
    "write_table",
]
