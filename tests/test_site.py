"""The site: what its pages promise is there."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
import yaml

import cxr_noise_transforms
from cxr_noise_transforms import study

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# what a question is about, and what the page behind it must speak of
ANSWERS = {
    "dose": "photons_of_dose",
    "12-bit DICOM": "4095",
    "same noise again": "replay_record",
    "my GPU": "cxr-noise devices",
    "train with": r"sq=\(0, 4\)",
    "my own model": "stress_test",
    "two GPUs": "torchrun",
    "p-values": "Holm",
    "cite": "CITATION",
    "limits": "## Limits",
}


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_front_page_links_an_answer_to_each_of_ten_questions() -> None:
    listed = text("docs/index.md").split("ten questions -->")[1]
    questions = re.findall(r"^\d+\. \[(.*)\]\((.*)\)$", listed, re.MULTILINE)
    assert len(questions) == len(ANSWERS) == 10
    for (question, page), (topic, answer) in zip(questions, ANSWERS.items(), strict=True):
        assert topic in question
        assert re.search(answer, text(f"docs/{page}")), page


def test_every_public_name_is_in_the_reference() -> None:
    named = {name.rpartition(".")[2] for name in re.findall(r"[\w.]+", text("docs/reference.md"))}
    rooms = [
        ast.literal_eval(node.value)
        for room in (ROOT / "cxr_noise_transforms/study").glob("*/__init__.py")
        for node in ast.parse(room.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(rooms) == 5
    for names in (cxr_noise_transforms.__all__, study.__all__, *rooms):
        assert set(names) <= named


def test_the_constants_of_the_reference_are_where_it_says() -> None:
    constants = re.findall(r"autodata:: ([\w.]+)\.(\w+)", text("docs/reference.md"))
    assert constants
    for module, name in constants:
        assert hasattr(importlib.import_module(module), name), (module, name)


def test_the_tests_that_hold_the_laws_exist() -> None:
    laws = text("docs/tested.md").split("<!-- laws")[1].split("<!-- end of laws -->")[0]
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", laws)
    assert len(named) > 40
    for file, test in named:
        assert f"def {test}(" in text(f"tests/{file}"), (file, test)


def test_the_release_has_one_version() -> None:
    version = cxr_noise_transforms.__version__
    citation, archive = yaml.safe_load(text("CITATION.cff")), json.loads(text(".zenodo.json"))
    assert citation["version"] == archive["version"] == version
    assert citation["title"] == archive["title"]
    assert text("docs/release.md").startswith(f"# Release notes: {version}\n")


@pytest.mark.parametrize("bundle", ["segmentation", "classification"])
@pytest.mark.parametrize("card", ["model", "data"])
def test_a_bundle_has_its_cards_and_the_site_shows_them(bundle: str, card: str) -> None:
    path = f"examples/bundles/{bundle}/docs/{card}_card.md"
    assert text(path).startswith("# ")
    assert path in text(f"docs/cards/{bundle}-{card}.md")


def test_the_notebook_is_the_readmes_tour() -> None:
    script: dict[str, object] = {"__name__": "make_tour", "__file__": str(DOCS / "make_tour.py")}
    exec(text("docs/make_tour.py"), script)  # noqa: S102 (it is no module of a package)
    assert text("docs/tour.ipynb") == script["tour"](text("README.md"))


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(DOCS / "tour.ipynb", as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=place).execute()
    assert (tmp_path / "runs/mine/report.html").is_file()
