"""The campaign as one table: a row for each task, from the result.json of its run."""

from __future__ import annotations

import csv
import io
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dp_sim.recipes.campaigns.plan import Task
from dp_sim.recipes.campaigns.task import state_of
from dp_sim.recipes.results.result_file import read_result_json


@dataclass(frozen=True)
class Row:
    """What became of a task.

    Attributes
    ----------
    task
        Of the plan.
    state
        done, not converged, failed, interrupted, running or waiting.
    cause
        Why it is not done, as a sentence; else empty.
    outcome
        What the recipe found, in its words.
    attempts, wall_s
        Of its command; working time of the run's own sessions where it says so.
    headline
        Names of the numbers that the recipe puts first.
    values
        Entries of its result.json.
    """

    task: Task
    state: str
    cause: str
    outcome: str
    attempts: int
    wall_s: float | None
    headline: tuple[str, ...]
    values: Mapping[str, Mapping[str, Any]]


def rows_of(tasks: Sequence[Task], folders: Sequence[Path]) -> list[Row]:
    """Read how every task stands."""
    return [_row(task, folder) for task, folder in zip(tasks, folders, strict=True)]


def _row(task: Task, folder: Path) -> Row:
    state = state_of(folder)
    attempts = 0 if state.ended is None else state.ended.attempts
    wall_s = None if state.ended is None else state.ended.wall_s
    file = folder / "run" / "result.json"
    if not file.is_file():
        cause = "" if state.ended is None or state.word in ("done", "running") else state.ended.cause
        return Row(task, state.word, cause, "", attempts, wall_s, (), {})
    content = read_result_json(file)
    return Row(
        task,
        state.word,
        content["cause"],
        content.get("outcome", ""),
        attempts,
        content["provenance"].get("wall_s", wall_s),
        tuple(content.get("headline", ())),
        content["values"],
    )


def columns_of(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the table by columns: task, what varies, state, then every single number with its errors."""
    varied = list(dict.fromkeys(key for row in rows for key in row.task.varied))
    table: dict[str, list[Any]] = {
        "task": [row.task.name for row in rows],
        "recipe": [row.task.recipe for row in rows],
        "input": [" ".join(Path(one).name for one in row.task.inputs) for row in rows],
        **{key: [row.task.varied.get(key) for row in rows] for key in varied},
        "state": [row.state for row in rows],
        "cause": [row.cause for row in rows],
        "outcome": [row.outcome for row in rows],
        "attempts": [row.attempts for row in rows],
        "wall_s": [row.wall_s for row in rows],
    }
    for name, unit in _single_numbers(rows).items():
        for part in ("value", "error", "model_error"):
            column = [row.values.get(name, {}).get(part) for row in rows]
            if part == "value" or any(one is not None for one in column):
                words = name if part == "value" else f"{name}_{part}"
                table[f"{words} ({unit})" if unit else words] = column
    return table


def _single_numbers(rows: Sequence[Row]) -> dict[str, str]:
    """Return the names of all quantities that are one number, or none that is known, with their units."""
    return {
        name: entry["unit"]
        for row in rows
        for name, entry in row.values.items()
        if isinstance(entry["value"], numbers.Real) and not isinstance(entry["value"], bool)
    }


def csv_text(table: Mapping[str, list[Any]]) -> str:
    """Write a table as CSV: a header, and nothing where nothing is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return out.getvalue()
