"""Every Python block of the README and of the site runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FRAMEWORKS = (
    "albumentations",
    "batchgeneratorsv2",
    "datasets",
    "kornia",
    "lightning",
    "monai",
    "torchio",
    "torchvision",
    "torchxrayvision",
    "transformers",
)


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


SNIPPETS = [
    pytest.param(
        block,
        id=f"{page.stem}-{number}",
        # a library of its own takes seconds to import
        marks=[pytest.mark.slow] if page.stem == "pipelines" and number else [],
    )
    for page in PAGES
    if "_build" not in page.parts
    for number, block in enumerate(blocks(page))
]


@pytest.mark.parametrize("snippet", SNIPPETS)
# of other libraries, about themselves
@pytest.mark.filterwarnings("ignore")
def test_a_snippet_runs(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for library in FRAMEWORKS:
        if re.search(rf"^(from|import) {library}\b", snippet, re.MULTILINE):
            pytest.importorskip(library)
    exec(compile(snippet, "snippet", "exec"), {})  # noqa: S102 (that is the test)


def test_there_is_a_snippet_for_every_library() -> None:
    shown = "\n".join(block for page in PAGES for block in blocks(page))
    for library in ("torch", *FRAMEWORKS):
        assert re.search(rf"^(from|import) {library}\b", shown, re.MULTILINE), library
