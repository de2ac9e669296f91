from .evaluation.degradations import Contrast, Resolution
from .evaluation.grid import IMAGENET_C, MEDMNIST_C_CHEST
from .evaluation.stress import stress_test
from .report.page import write_report_of_table
from .table import LongTable, open_table, read_table

__all__ = [
    "IMAGENET_C",
    "MEDMNIST_C_CHEST",
    "Contrast",
    "LongTable",
    "Resolution",
    "open_table",
    "read_table",
    "stress_test",
    "write_report_of_table",
]
