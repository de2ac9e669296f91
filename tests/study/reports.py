"""Reports of long tables, and how the tests read them."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

from cxr_noise_transforms.study.report.gallery import View
from cxr_noise_transforms.study.report.page import write_report_of_table


class Reader(HTMLParser):
    """Tables by caption, and the attributes of every element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._where, self._caption, self._rows = "", "", []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag == "table":
            self._caption, self._rows = "", []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
        self._where = tag if tag in ("td", "th", "caption") else self._where

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
        if tag == self._where:
            self._where = ""

    def handle_data(self, text: str) -> None:
        if self._where == "caption":
            self._caption += text
        elif self._where:
            # numbers as Python writes them
            self._rows[-1][-1] += text.replace("\N{MINUS SIGN}", "-")

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read(table: pd.DataFrame, out: Path, **more: object) -> Reader:
    write_report_of_table(out, table, "Title", {"films": "made up"}, **more)  # type: ignore[arg-type]
    return Reader((out / "report.html").read_text(encoding="utf-8"))


def look(task: str, image: str, sq: float, se: float) -> View:  # noqa: ARG001
    """A wedge with a square for reference and a shifted one for prediction."""
    masks = np.zeros((2, 1, 32, 32))
    masks[0, 0, 8:20, 8:20] = masks[1, 0, 10:24, 10:24] = 1
    return View(np.linspace(0, 1, 32 * 32).reshape(32, 32), *masks)
