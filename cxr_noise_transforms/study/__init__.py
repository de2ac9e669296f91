"""The study: what noise does to a trained model, and everything its examples are built from."""

from .cells import read_table
from .html_report import write_report_of_table
from .stress import IMAGENET_C, MEDMNIST_C_CHEST, stress_test

__all__ = ["IMAGENET_C", "MEDMNIST_C_CHEST", "read_table", "stress_test", "write_report_of_table"]
