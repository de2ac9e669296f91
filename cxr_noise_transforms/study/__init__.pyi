from .evaluation.cells import read_table
from .evaluation.stress import IMAGENET_C, MEDMNIST_C_CHEST, stress_test
from .report.page import write_report_of_table

__all__ = ["IMAGENET_C", "MEDMNIST_C_CHEST", "read_table", "stress_test", "write_report_of_table"]
