"""Imports of the study point one way: from later rooms to earlier ones."""

import ast
from collections.abc import Iterator
from pathlib import Path

import cxr_noise_transforms

PACKAGE = Path(cxr_noise_transforms.__file__).parent
STUDY = "cxr_noise_transforms.study."
ROOMS = ["films", "training", "evaluation", "statistics", "report", "command"]


def imported(path: Path) -> Iterator[str]:
    """The full name of every module that a file imports, wherever in the file."""
    home = [PACKAGE.name, *path.relative_to(PACKAGE).parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = home[: -node.level] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room(name: str) -> int:
    """The place of a module's room; what lies before the rooms serves them all."""
    first = name.removeprefix(STUDY).split(".")[0]
    return ROOMS.index(first) if first in ROOMS else -1


def test_no_room_imports_a_later_one() -> None:
    backwards = [
        (str(path.relative_to(PACKAGE)), name)
        for path in sorted((PACKAGE / "study").rglob("*.py"))
        if path != PACKAGE / "study" / "__main__.py"
        for name in imported(path)
        if name.startswith(STUDY)
        and room(name) > room(".".join(path.relative_to(PACKAGE / "study").parts))
    ]
    assert not backwards


def test_nothing_outside_the_study_imports_it() -> None:
    for path in PACKAGE.glob("*.py"):
        assert not [name for name in imported(path) if "study" in name.split(".")], path


def test_the_walls_are_seen() -> None:
    assert f"{STUDY}evaluation.sweep.Sweep" in imported(PACKAGE / "study/report/page.py")
    assert f"{STUDY}report.findings.find" in imported(PACKAGE / "study/report/page.py")
    assert room(f"{STUDY}files.whole_file") < room(f"{STUDY}films.reader") < room(f"{STUDY}report")
