"""A structure that turns, or plays its frames or modes, as an object that a notebook shows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from dp_sim.files import write_text
from dp_sim.recipes.results.page.rendering import render

#: Height of the frame, pixels.
HEIGHT = 620


@dataclass(frozen=True)
class View:
    """The viewer of the pages by itself: one page that loads nothing.

    Attributes
    ----------
    html
        The page.
    """

    html: str

    def frame(self) -> str:
        """Return it as a frame inside another page."""
        return f'<iframe srcdoc="{escape(self.html)}" width="100%" height="{HEIGHT}" style="border:0"></iframe>'

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        return self.frame()

    def __repr__(self) -> str:
        return f"<View: {len(self.html) / 1e6:.2f} MB of HTML; a notebook shows it, save(FILE) writes it>"

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write it as a page for any browser."""
        write_text(Path(file), self.html)


def view_of(title: str, animation: Mapping[str, Any]) -> View:
    """Make the view of what moves on a page.

    Parameters
    ----------
    title
        Of the page.
    animation
        The data of `templates/viewer.js`.
    """
    return View(render("view.html", title=title, moving=moving_parts(animation)))


def moving_parts(animation: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what the template of the viewer takes."""
    return {
        "modes": "displacements" in animation,
        "frames": len(animation.get("labels", [])),
        "note": animation["note"],
        "still": animation.get("still", ""),
        # "</script>" in a text must not end the script that holds the data.
        "data": json.dumps({k: v for k, v in animation.items() if k != "still"}, separators=(",", ":")).replace(
            "<", "\\u003c"
        ),
    }
