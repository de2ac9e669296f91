"""The site: ``nox -s docs`` makes it from these pages, the docstrings and the gallery."""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx_gallery.sorting import ExplicitOrder

from cxr_noise_transforms import __version__

project = "cxr_noise_transforms"
author = "The cxr_noise_transforms developers"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery", "sg_execution_times.rst"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
autosummary_ignore_module_all = False
maximum_signature_line_length = 80
napoleon_custom_sections = ["Shapes"]
napoleon_use_ivar = True

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": ExplicitOrder(
        ["noises.py", "severities.py", "domains.py", "replay.py", "calibration.py", "toy_model.py"]
    ),
    "capture_repr": (),
    "show_memory": False,
    "min_reported_time": 3600,
    "download_all_examples": False,
    "abort_on_example_error": True,
    "remove_config_comments": True,
}


def setup(app: Sphinx) -> None:
    """Links that hold in the repository hold on the site."""
    app.connect(
        "source-read", lambda _app, _page, source: source.insert(0, _on_the_site(source.pop()))
    )


def _on_the_site(text: str) -> str:
    return text.replace("](../benchmarks/README.md)", "](benchmarks.md)")


html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme = "pydata_sphinx_theme"
html_title = "cxr_noise_transforms"
html_theme_options = {
    "logo": {"text": "cxr noise"},
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "header_links_before_dropdown": 7,
}
html_show_sourcelink = False
copyright = "Apache-2.0, not for clinical use"  # noqa: A001 (Sphinx's name)
