"""report.html: one file, no network: what came out of a run, how sure it is, and where it came from.

The pages are Jinja templates in the folder `templates/`, filled with the content of result.json. Every value is escaped
(`autoescape`), so that a name or a message with markup in it stays text.
"""

from __future__ import annotations

import io
import json
import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dp_sim.files import write_text
from dp_sim.recipes.results.formatting import (
    format_estimate,
    format_interval,
    format_quantity,
    format_value,
    readable,
    typeset_unit,
)
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.recipes.results.quantity_table import rows_of, tables_of
from dp_sim.recipes.results.result_file import read_result_json

if TYPE_CHECKING:
    from jinja2 import Environment
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


@cache
def _environment() -> Environment:
    """Load the templates, with the filters that they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dp_sim.recipes.results.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"value": format_value, "unit": typeset_unit, "readable": readable}
    environment.globals |= {
        "estimate": format_estimate,
        "interval": format_interval,
        "quantity": format_quantity,
        "tables_of": tables_of,
        "rows_of": rows_of,
    }
    return environment


def _render(template: str, **variables: Any) -> str:
    return _environment().get_template(template).render(variables)


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
    return _render("report.html", images=images, settings=texts, moving=_moving(animation), **_frame(content))


def _moving(animation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Collect what the template of the viewer takes."""
    if animation is None:
        return None
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
        {"heading": heading, "sentence": sentence, "content": result.to_dict(), "images": _images(result)}
        for heading, (sentence, result) in parts.items()
    ]
    not_converged = [heading for heading, (_, result) in parts.items() if not result.converged]
    return _render("collected.html", sections=sections, not_converged=not_converged, **_frame(content))


def result_fragment(result: Shown) -> str:
    """Make the verdict, numbers and plots of a result for a notebook cell, which brings its own style."""
    return _render("cell.html", content=result.to_dict(), images=_images(result))


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
    return {"content": content, "date": date, "origin": _setting_texts(origin), "notes": provenance.get("notes", [])}


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
    return [Image(name, _png(figure), captions.get(name, "")) for name, figure in result.figures().items()]


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
