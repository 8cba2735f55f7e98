"""Sphinx configuration: MyST pages, furo, every example a doctest, and no network needed to build."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "safemem"
author = "The safemem authors"
project_copyright = "2026, the safemem authors"
release = version = metadata.version("safemem")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

html_theme = "furo"
html_title = f"safemem {release}"
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "groupwise"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Only our own names must resolve: the inventories of other projects would make the build depend on the network.
nitpick_ignore_regex = [("py:.*", r"(?!safemem\b).*")]

# Docstring examples are run by pytest, each docstring by itself; here only the pages' own are.
doctest_test_doctest_blocks = ""


def _run_examples(_app: Sphinx, doctree: nodes.document) -> None:
    """Let the doctest builder run `pycon` fences, which GitHub and editors highlight too."""
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") == "pycon":
            block["testnodetype"] = "doctest"
            block["groups"] = ["default"]
            block["options"] = {}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what this file adds."""
    app.connect("doctree-read", _run_examples)
    return {"parallel_read_safe": True}
