"""What the README and the docs show is what the package does."""

import re
from pathlib import Path

import pytest

from cxr_noise_transforms import electronic_sigma, electronic_snr, photons_per_pixel, quantum_snr

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINES = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
SNIPPETS, OF_PIPELINES = (
    re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) for text in (README, PIPELINES)
)


@pytest.mark.parametrize("snippet", SNIPPETS + OF_PIPELINES)
def test_snippets_run(snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for library in ("monai", "kornia", "torchvision"):
        if f"from {library}" in snippet:
            pytest.importorskip(library)
    exec(compile(snippet, "README.md", "exec"), {})  # noqa: S102 (that is the test)


def test_there_is_a_snippet_for_every_pipeline() -> None:
    for library in ("torch", "monai", "kornia", "torchvision"):
        assert any(f"from {library}" in s or f"import {library}" in s for s in SNIPPETS)


def test_the_severity_table_is_computed() -> None:
    table = README.split("<!-- severities -->")[1].split("<!-- end of severities -->")[0]
    rows = [line for line in table.strip().splitlines() if line[2].isdigit()]
    assert rows == [
        f"| {s} | {photons_per_pixel(float(s)):.4g} | {quantum_snr(0.5, float(s)):.1f} "
        f"| {electronic_sigma(float(s)):g} | {electronic_snr(0.5, float(s)):.2f} |"
        for s in (1, 2, 4, 6, 8, 10)
    ]


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert all((ROOT / link).is_file() for link in links)
