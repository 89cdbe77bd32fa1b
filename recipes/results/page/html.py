"""report.html: one file, no network: what came out of a run, how sure it is, and where it came from.

The pages are Jinja templates in the folder `templates/`, filled with the content of result.json. Every value is escaped
(`autoescape`), so that a name or a message with markup in it stays text.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dp_sim.files import write_text
from dp_sim.recipes.results.formatting import format_value
from dp_sim.recipes.results.page.rendering import render
from dp_sim.recipes.results.page.viewing import moving_parts, view_of
from dp_sim.recipes.results.png import png_of
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.result_file import read_result_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: File beside the page with what moves on it.
ANIMATION = "animation.json"


class Shown(Protocol):
    """What a page shows of a result (`dp_sim.recipes.results.result.Result`)."""

    @property
    def title(self) -> str:
        """The headline."""

    @property
    def converged(self) -> bool:
        """Whether the recipe reached what it was asked for."""

    def quantities(self) -> dict[str, Quantity | Estimate]:
        """Return the numbers by name."""

    def figures(self) -> dict[str, Figure]:
        """Draw the figures by name."""

    def captions(self) -> dict[str, str]:
        """Return their captions."""

    def animation(self) -> dict[str, Any] | None:
        """Return what moves."""

    def to_dict(self) -> dict[str, Any]:
        """Return the content of result.json."""


@dataclass(frozen=True)
class Image:
    """A plot inside a page.

    Parameters
    ----------
    name
        Name of the figure.
    png
        Content of the PNG file.
    caption
        What is to be seen in it, as a sentence; empty: its name is the caption.
    """

    name: str
    png: bytes
    caption: str = ""

    @property
    def base64(self) -> str:
        """The file as text, for a `data:` address."""
        return b64encode(self.png).decode("ascii")

    @property
    def width(self) -> int:
        """Width where no style says another, as in a notebook, pixels: 2/3 of its own, bytes 16 to 19 of a PNG."""
        return int.from_bytes(self.png[16:20], "big") * 2 // 3

    @property
    def is_wide(self) -> bool:
        """Whether it is wider than one panel (`new_panels`), and takes the whole width of a page."""
        return self.width > 700


def report_html(
    content: Mapping[str, Any], plots: Mapping[str, bytes], animation: Mapping[str, Any] | None = None
) -> str:
    """Make the page of one run.

    Parameters
    ----------
    content
        The content of its result.json.
    plots
        Name -> content of a PNG file.
    animation
        What moves on the page: the data of `templates/viewer.js`.
    """
    settings = {name: value for name, value in content["provenance"].get("settings", {}).items() if name != "recipe"}
    captions = content.get("captions", {})
    images = [Image(name, png, captions.get(name, "")) for name, png in plots.items()]
    texts = _setting_texts(settings)
    moving = None if animation is None else moving_parts(animation)
    return render("report.html", images=images, settings=texts, moving=moving, **_frame(content))


def collected_html(content: Mapping[str, Any], parts: Mapping[str, tuple[str, Shown]]) -> str:
    """Make the page of a run that consists of several.

    Parameters
    ----------
    content
        The content of its result.json: the common numbers, shown first.
    parts
        Heading -> a sentence and the result of each part.
    """
    sections = [
        {
            "heading": heading,
            "sentence": sentence,
            "content": result.to_dict(),
            "view": None if (moving := result.animation()) is None else view_of(heading, moving).frame(),
            "images": _images(result),
        }
        for heading, (sentence, result) in parts.items()
    ]
    not_converged = [heading for heading, (_, result) in parts.items() if not result.converged]
    return render("collected.html", sections=sections, not_converged=not_converged, **_frame(content))


def result_fragment(result: Shown) -> str:
    """Make the verdict, numbers and plots of a result for a notebook cell, which brings its own style."""
    return render("cell.html", content=result.to_dict(), images=_images(result))


def rebuild_report(directory: str | os.PathLike[str]) -> Path:
    """Write report.html again from result.json, the PNG files and the animation beside it.

    Parameters
    ----------
    directory
        The directory of a run that has ended.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        No result.json there, or one that is damaged or of another schema.
    """
    directory = Path(directory)
    content = read_result_json(directory / "result.json")
    plots = {file.stem: file.read_bytes() for file in sorted(directory.glob("*.png"))}
    moving = directory / ANIMATION
    animation = json.loads(moving.read_text(encoding="utf-8")) if moving.is_file() else None
    write_text(directory / "report.html", report_html(content, plots, animation))
    return directory / "report.html"


def _frame(content: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what every whole page needs: the content, the date (UTC, to the minute) and the provenance."""
    provenance = content["provenance"]
    origin = {name: value for name, value in provenance.items() if name not in ("settings", "notes")}
    date = str(provenance.get("date", ""))[:16].replace("T", " ")
    return {
        "content": content,
        "by": _calculator_words(provenance.get("settings", {})),
        "date": date,
        "origin": _setting_texts(origin),
        "notes": provenance.get("notes", []),
    }


def _calculator_words(settings: Mapping[str, Any]) -> str:
    """Name the calculator or model of a run, without the folders it lies in; empty where settings have neither."""
    models = settings.get("model") or []
    if not isinstance(models, list):  # `model` of a training are the settings of one
        return ""
    if len(models) > 1:
        return f"{len(models)} models"
    return Path(models[0]).name if models else str(settings.get("calculator") or "")


def _setting_texts(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write each setting as one text; leave out those without a value (None, an empty list or section)."""
    texts = {}
    for name, value in settings.items():
        if value is None or value in ([], {}):
            continue
        if isinstance(value, dict):
            texts[name] = ", ".join(f"{key} {format_value(item)}" for key, item in value.items())
        else:
            texts[name] = format_value(value)
    return texts


def _images(result: Shown) -> list[Image]:
    captions = result.captions()
    return [Image(name, png_of(figure), captions.get(name, "")) for name, figure in result.figures().items()]
