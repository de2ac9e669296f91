"""Make the notebook of the README's tour: ``python docs/make_tour.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
NOTEBOOK = DOCS / "tour.ipynb"


def tour(readme: str) -> str:
    """The notebook: Python as cells that run, everything else as text."""
    text = re.search(r"<!-- start of the tour -->(.*)<!-- end of the tour -->", readme, re.DOTALL)
    # text and code take turns
    parts = re.split(r"```python\n(.*?)```\n", text[1] if text else "", flags=re.DOTALL)
    cells = [_cell(number, part.strip()) for number, part in enumerate(parts) if part.strip()]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, source: str) -> dict[str, object]:
    kind = "code" if number % 2 else "markdown"
    own = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": f"tour-{number}", "metadata": {}, "source": source, **own}


if __name__ == "__main__":
    NOTEBOOK.write_text(tour(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {NOTEBOOK}")
