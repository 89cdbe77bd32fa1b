"""Several runs side by side: their numbers with the differences, the settings in which they differ, their plots."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dp_sim.errors import InputError
from dp_sim.files import write_text
from dp_sim.recipes.results.formatting import (
    format_estimate,
    format_quantity,
    format_value,
    plain,
    readable,
    typeset_unit,
)
from dp_sim.recipes.results.page.html import Image
from dp_sim.recipes.results.page.rendering import render
from dp_sim.recipes.results.quantity_table import Cells
from dp_sim.recipes.results.result_file import read_result_json

Run = Mapping[str, Any]


def compare_runs(directories: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Cells:
    """Write a page with the numbers of several finished runs side by side.

    Parameters
    ----------
    directories
        Two or more.
    out
        The page.

    Returns
    -------
    Cells
        The table of numbers, as a terminal shows it.

    Raises
    ------
    InputError
        A directory holds no result, one is given twice, or the runs have no number in common.
    """
    places = [Path(one) for one in directories]
    if len({one.resolve() for one in places}) < len(places):
        raise InputError("run-twice", f"a run is given twice: {', '.join(map(str, places))}; give each once")
    runs = {str(place): read_result_json(place / "result.json") for place in places}
    names = _common_first(runs)
    if not any(all(name in run["values"] for run in runs.values()) for name in names):
        found = ", ".join(f"{place} ({run['recipe']})" for place, run in runs.items())
        raise InputError("runs-unlike", f"the runs have no number in common: {found}; give runs of one recipe")
    numbers = _numbers(runs, names)
    figures: dict[str, list[Image]] = {}
    for place in places:
        for file in sorted(place.glob("*.png")):
            figures.setdefault(file.stem, []).append(Image(file.stem, file.read_bytes(), str(place)))
    frame = {
        "content": {"title": f"{len(runs)} runs side by side", "recipe": "report"},
        "by": "",
        "date": "",
        "notes": [],
        "origin": {},
    }
    page = render("comparison.html", runs=runs, numbers=numbers, differing=_settings(runs), figures=figures, **frame)
    write_text(Path(out), page)
    return numbers


def _common_first(runs: Mapping[str, Run]) -> list[str]:
    """Return the names of all numbers: first those that the first run was asked for, last those that a run lacks."""
    first = next(iter(runs.values()))
    every = list(
        dict.fromkeys([*first.get("headline", []), *(name for run in runs.values() for name in run["values"])])
    )
    return sorted(every, key=lambda name: not all(name in run["values"] for run in runs.values()))


def _numbers(runs: Mapping[str, Run], names: Sequence[str]) -> Cells:
    labels = {name: words for run in runs.values() for name, words in run.get("labels", {}).items()}
    both = len(runs) == 2
    rows = []
    for name in names:
        entries = [run["values"].get(name) for run in runs.values()]
        units = {entry["unit"] for entry in entries if entry}
        unit = typeset_unit(units.pop()) if len(units) == 1 else "units differ"
        row = [labels.get(name, readable(name)), unit, *map(_field, entries)]
        rows.append([*row, difference(*entries)] if both else row)
    header = ["", "unit", *runs, *(["difference"] if both else [])]
    return Cells("comparison", "Numbers of the runs, side by side.", header, rows)


def _field(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    value = entry["value"]
    if value is None:
        return "not given"
    if isinstance(value, list):
        known = [one for one in value if isinstance(one, float)]
        return f"{len(value)} values" + (f", {min(known):.4g} to {max(known):.4g}" if known else "")
    return (
        format_quantity(value, entry["unit"])
        if entry.get("error") is None
        else format_estimate(value, entry["error"], entry["unit"])
    )


def difference(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> str:
    """Say how far the second of two numbers is from the first.

    Of estimates in standard errors too, which count as independent; of lists of one length the mean and the largest of
    the differences. Empty where there is no difference to be formed.
    """
    if first is None or second is None or first["unit"] != second["unit"]:
        return ""
    a, b = first["value"], second["value"]
    if _are_numbers(a, b):
        if first.get("error") is None or second.get("error") is None:
            return "" if isinstance(a, bool) or a == b else f"{b - a:+.4g}"
        error = math.hypot(first["error"], second["error"])
        if not error:
            return f"{b - a:+.4g}"
        return f"{format_estimate(b - a, error, first['unit'])} ({abs(b - a) / error:.1f} σ)"
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b) and a and all(map(_are_numbers, a, b)):
        apart = [abs(y - x) for x, y in zip(a, b, strict=True)]
        return f"mean {sum(apart) / len(apart):.3g}, largest {max(apart):.3g}"
    return ""


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in values)


def _settings(runs: Mapping[str, Run]) -> list[list[str]]:
    """Return the settings in which the runs differ: a row each, the name first."""
    given = [run["provenance"].get("settings", {}) for run in runs.values()]
    names = dict.fromkeys(name for one in given for name in one)
    rows = [[readable(name), *(_text(one.get(name)) for one in given)] for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def _text(value: Any) -> str:
    return "" if value is None else format_value(plain(value))
