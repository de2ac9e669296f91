"""What the README says is what the package does; its snippets run in test_snippets."""

import re
from pathlib import Path

from cxr_noise_transforms import electronic_sigma, electronic_snr, photons_per_pixel, quantum_snr

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


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
