"""How Sphinx builds the documentation: `make docs`. It reaches no network, neither here nor in the reader's browser."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))

import command_line  # noqa: E402 (found by the line above)
import figures  # noqa: E402
import notebooks  # noqa: E402
import setting_tables  # noqa: E402

project = "dp-sim"
author = "the dp-sim developers"
version = release = installed_version("dp-sim")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "mathml"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["reference/generated"]  # included by pages
html_static_path = ["_static"]
smartquotes_action = "qe"  # no dashes of the -- of options
html_theme = "furo"
html_title = f"dp-sim {release}"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_css_files = ["pages.css"]

#: Of docstrings: numpydoc, with types as they are written there.
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_default_options = {"show-inheritance": False}


def _generate(app: Any) -> None:
    """Write what comes from the program itself: options of commands, settings, figures, what notebooks show."""
    generated = HERE / "reference" / "generated"
    generated.mkdir(exist_ok=True)
    (generated / "command-line.md").write_text(command_line.text(), encoding="utf-8")
    (generated / "settings.md").write_text(setting_tables.text(), encoding="utf-8")
    figures.draw(HERE / "pictures" / "generated")
    notebooks.write(HERE / "notebooks" / "generated")


def setup(app: Any) -> None:
    """Connect the pages that are generated."""
    app.connect("builder-inited", _generate)
