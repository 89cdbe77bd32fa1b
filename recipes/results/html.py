"""report.html: one file, no network, that says what came out of a run, how sure it is, and where it came from."""

from __future__ import annotations

import io
import json
import os
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Protocol

from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.recipes.results.formatting import format_estimate, format_value
from dp_sim.recipes.results.quantities import Estimate, Quantity

#: Of result.json.
SCHEMA_VERSION = 1
STYLE = """
:root { color-scheme: light dark; --text: #1d2530; --soft: #5b6675; --page: #f5f6f8; --card: #fff; --line: #dfe3e8;
  --good: #0a7a4b; --good-back: #e3f5ec; --bad: #9a4b00; --bad-back: #fdf0df; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --soft: #9aa5b4; --page: #14181d; --card: #1d2329;
  --line: #333b45; --good: #6fdcab; --good-back: #14352a; --bad: #ffbf7a; --bad-back: #3b2a14; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2.2rem 1.2rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.05rem; margin: 0 0 .7rem; }
.lead { color: var(--soft); margin: 0 0 1.2rem; overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.1rem 1.3rem;
  margin: 1.1rem 0; overflow-x: auto; }
.verdict { border-radius: 10px; padding: .8rem 1.1rem; margin: 0; font-weight: 600; }
.good { color: var(--good); background: var(--good-back); }
.bad { color: var(--bad); background: var(--bad-back); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .42rem .8rem .42rem 0; vertical-align: top; border-top: 1px solid var(--line); }
tr:first-child > * { border-top: 0; }
th { font-weight: 500; color: var(--soft); width: 14rem; min-width: 9rem; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
td small, .withheld { color: var(--soft); }
.withheld { font-style: italic; }
figure { margin: 0 0 1rem; }
figure img { display: block; max-width: 100%; background: #fff; border-radius: 6px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .3rem; }
code { font: .86em/1.5 ui-monospace, monospace; }
"""


class Shown(Protocol):
    """What a page shows of a result (`dp_sim.recipes.results.result.Result`)."""

    @property
    def title(self) -> str: ...
    @property
    def converged(self) -> bool: ...
    def quantities(self) -> dict[str, Quantity | Estimate]: ...
    def figures(self) -> dict[str, Any]: ...
    def to_dict(self) -> dict[str, Any]: ...


def report_html(content: Mapping[str, Any], plots: Mapping[str, bytes]) -> str:
    """The page for the content of a result.json and its plots (name -> PNG file content)."""
    provenance = content["provenance"]
    settings = {name: value for name, value in provenance.get("settings", {}).items() if name != "recipe"}
    origin = {name: value for name, value in provenance.items() if name != "settings"}
    sections = [
        ("Results", _numbers_table(content["values"])),
        ("Plots", "".join(_figure(name, png) for name, png in plots.items())),
        ("Settings", _settings_table(settings)),
        ("Provenance", _settings_table(origin)),
    ]
    body = "".join(f"<section><h2>{name}</h2>{inner}</section>" for name, inner in sections if inner)
    return _page(content, body, _verdict(content))


def collected_html(content: Mapping[str, Any], parts: Mapping[str, tuple[str, Shown]]) -> str:
    """The page of a run made of several: heading -> a sentence and the result of each part, then the common numbers."""
    sections = []
    for heading, (sentence, result) in parts.items():
        figures = "".join(_figure(name, _png(figure)) for name, figure in result.figures().items())
        part = result.to_dict()
        inner = f'<p class="lead">{escape(sentence)}</p>{_verdict(part)}{_numbers_table(part["values"])}{figures}'
        sections.append(f"<section><h2>{escape(heading)}</h2>{inner}</section>")
    origin = {name: value for name, value in content["provenance"].items() if name != "settings"}
    summary = f"<section><h2>In short</h2>{_numbers_table(content['values'])}</section>"
    provenance = f"<section><h2>Provenance</h2>{_settings_table(origin)}</section>"
    return _page(content, summary + "".join(sections) + provenance, _verdict_on_parts(parts))


def _verdict_on_parts(parts: Mapping[str, tuple[str, Shown]]) -> str:
    """All parts have run; those that did not reach what they were asked for are named."""
    short = [heading for heading, (_, result) in parts.items() if not result.converged]
    if not short:
        return '<p class="verdict good">✓ All parts ran and converged</p>'
    names = escape("; ".join(short))
    return f'<p class="verdict bad">All parts ran. Not converged, with the cause given below: {names}</p>'


def _page(content: Mapping[str, Any], body: str, verdict: str) -> str:
    """Headline, verdict, and the sections of `body`."""
    title = escape(content["title"])
    provenance = content["provenance"]
    date = str(provenance.get("date", ""))[:16].replace("T", " ")
    when = escape(f"dp-sim {content['recipe']}" + (f" · {date} UTC" if date else ""))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{title}</h1><p class="lead">{when}</p>{verdict}{body}</main></body></html>\n'
    )


def result_fragment(result: Shown) -> str:
    """Verdict, numbers and plots of a result as HTML for a notebook cell, which brings its own style."""
    content = result.to_dict()
    figures = "".join(_figure(name, _png(figure)) for name, figure in result.figures().items())
    return f"<h4>{escape(result.title)}</h4>{_verdict(content)}{_numbers_table(content['values'])}{figures}"


def rebuild_report(directory: str | os.PathLike[str]) -> Path:
    """Write report.html again from result.json and the PNG files beside it; returns its path.

    Raises
    ------
    InputError
        No result.json there, or one that is damaged or of another schema.
    """
    directory = Path(directory)
    content = read_result_json(directory / "result.json")
    plots = {file.stem: file.read_bytes() for file in sorted(directory.glob("*.png"))}
    write_text(directory / "report.html", report_html(content, plots))
    return directory / "report.html"


def read_result_json(file: Path) -> dict[str, Any]:
    """The content of a result.json, checked for the keys that every recipe writes."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("file-missing", f"there is no {file}; give the directory of a run that has ended") from None
    except (OSError, ValueError) as error:
        raise InputError(
            "file-unreadable", f"{file} cannot be read ({error}); run the recipe again with --overwrite"
        ) from error
    needed = ("recipe", "title", "converged", "cause", "values", "provenance")
    if (
        not isinstance(content, dict)
        or content.get("schema") != SCHEMA_VERSION
        or any(k not in content for k in needed)
    ):
        raise InputError(
            "result-invalid", f"{file} is not a result of this dp-sim (schema {SCHEMA_VERSION}); run the recipe again"
        )
    return content


def _verdict(content: Mapping[str, Any]) -> str:
    if content["converged"]:
        return '<p class="verdict good">✓ Converged</p>'
    return f'<p class="verdict bad">Not converged: {escape(content["cause"])}</p>'


def _numbers_table(values: Mapping[str, Mapping[str, Any]]) -> str:
    rows = "".join(f"<tr><th>{escape(readable(name))}</th>{_number_cell(value)}</tr>" for name, value in values.items())
    return f"<table>{rows}</table>"


def _number_cell(entry: Mapping[str, Any]) -> str:
    if entry["value"] is None:
        return f'<td class="withheld">not given: {escape(entry["cause"])}</td>'
    if entry["error"] is None:
        return f"<td>{escape(format_value(entry['value']))} {escape(typeset_unit(entry['unit']))}</td>"
    low, high = entry["ci95"]
    samples = entry.get("n_effective")
    note = f"95 % interval {low:.6g} to {high:.6g}" + (f", {samples:.0f} independent samples" if samples else "")
    number = escape(f"{format_estimate(entry['value'], entry['error'])} {typeset_unit(entry['unit'])}")
    return f"<td>{number}<br><small>{note}</small></td>"


def _settings_table(settings: Mapping[str, Any]) -> str:
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {format_value(item)}" for key, item in value.items())
        elif value is None or value in ([], {}):
            continue
        rows.append(f"<tr><th>{escape(readable(name))}</th><td><code>{escape(format_value(value))}</code></td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _figure(name: str, png: bytes) -> str:
    data = b64encode(png).decode("ascii")
    caption = escape(readable(name))
    # Bytes 16 to 19 of a PNG are its width; at 1.5 pixels a point, figures of one and of two panels have like letters.
    width = int.from_bytes(png[16:20], "big") * 2 // 3
    image = f'<img alt="{caption}" width="{width}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def typeset_unit(unit: str) -> str:
    """`eV/Angstrom^2` -> `eV/Å²`, `cm^-1` -> `cm⁻¹`: result.json keeps to ASCII, people need not."""
    for plain_text, symbol in (("Angstrom", "Å"), ("^-1", "⁻¹"), ("^2", "²"), ("^3", "³")):
        unit = unit.replace(plain_text, symbol)
    return unit


def readable(name: str) -> str:
    """`mean_energy` -> `mean energy`; a unit at the end stays, because the number's own unit stands beside it."""
    return name.replace("_", " ")
