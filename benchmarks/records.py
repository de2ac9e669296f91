"""A result file: whole at every moment, and continued only where nothing has changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cxr_noise_transforms.study.files import whole_file

from .grid import row_key

# what two runs must share so that their rows may stand in one file
_IDENTITY = ("machine", "versions", "settings")

Result = dict[str, Any]


def open_result(path: Path, header: Mapping[str, Any], *, fresh: bool = False) -> Result:
    """The result in ``path`` if it has the same machine, versions and settings; else a new one.

    Raises:
        SystemExit: the file was made under another header, and ``fresh`` is not set.
    """
    if fresh or not path.is_file():
        today = datetime.now(timezone.utc).date().isoformat()
        return {**header, "date": today, "rows": []}
    result: Result = json.loads(path.read_text(encoding="utf-8"))
    # through JSON, so that tuples and lists compare
    now = json.loads(json.dumps(dict(header)))
    changed = [
        f"  {part} {name}: {result[part].get(name)} then, {now[part].get(name)} now"
        for part in _IDENTITY
        for name in sorted({*result[part], *now[part]})
        if result[part].get(name) != now[part].get(name)
    ]
    if changed:
        raise SystemExit(
            "\n".join([f"{path} was measured otherwise:", *changed, "use --fresh or another --out"])
        )
    return result


def add_row(path: Path, result: Result, row: Mapping[str, Any]) -> None:
    """Append one row and write the file."""
    result["rows"].append(dict(row))
    write_json(path, result)


def measured(result: Result) -> set[str]:
    """Keys of the rows that are there."""
    return {row_key(row) for row in result["rows"]}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """One JSON file, whole or absent; rows stand on a line each."""
    lines: list[str] = []

    def hold(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {
                name: [_keep(row, lines) for row in value] if name == "rows" else hold(value)
                for name, value in node.items()
            }
        return [hold(value) for value in node] if isinstance(node, list) else node

    text = json.dumps(hold(content), indent=1, ensure_ascii=False)
    text = re.sub(r'"@row (\d+)@"', lambda found: lines[int(found[1])], text)
    with whole_file(path) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def _keep(row: Mapping[str, Any], lines: list[str]) -> str:
    lines.append(json.dumps(row, ensure_ascii=False))
    return f"@row {len(lines) - 1}@"
