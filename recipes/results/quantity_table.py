"""Quantities with a value for each mode, temperature, ... side by side: on the page, on the terminal, as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dp_sim.recipes.results.formatting import readable, typeset_unit

#: Rows of a longer table that a terminal shows, at its start and at its end.
FIRST, LAST = 24, 6


@dataclass(frozen=True)
class QuantityTable:
    """Which of a result's quantities are shown side by side, a column each.

    Attributes
    ----------
    caption
        What the table holds, as a sentence.
    columns
        Name of a quantity -> its header, and decimals. A single number stands in every row; the rows of a matrix stand
        in as many columns as its header has parts, `xx|yy|zz`. Where the model's errors of the values are known, they
        have a column beside it.
    numbered
        What a row is called, where rows are numbered from 1; else empty.
    """

    caption: str
    columns: Mapping[str, tuple[str, int]]
    numbered: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of result.json."""
        return {
            "caption": self.caption,
            "columns": {name: list(how) for name, how in self.columns.items()},
            "numbered": self.numbered,
        }


@dataclass(frozen=True)
class Cells:
    """A table as texts: the header, and as many fields in each row."""

    name: str
    caption: str
    header: list[str]
    rows: list[list[str]]

    def shortened(self) -> list[list[str]]:
        """Return the rows that a terminal shows: of a long table the first and the last, with dots between them."""
        if len(self.rows) <= FIRST + LAST + 1:
            return self.rows
        return [*self.rows[:FIRST], ["…"] * len(self.header), *self.rows[-LAST:]]

    def text(self) -> str:
        """Return the table as lines of text, columns aligned on the right."""
        rows = [self.header, *self.shortened()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(field.rjust(width) for field, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([self.caption, *("  " + line for line in lines)])


def tables_of(content: Mapping[str, Any]) -> list[Cells]:
    """Fill the tables of a result.json with its values.

    Parameters
    ----------
    content
        The content of a result.json; without "tables" there are none.
    """
    return [_filled(name, entry, content["values"]) for name, entry in content.get("tables", {}).items()]


def values_apart(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a result.json's values that are not a column of a table."""
    columns = {name for entry in content.get("tables", {}).values() for name in entry["columns"]}
    return {name: entry for name, entry in content["values"].items() if not (name in columns and _is_list(entry))}


def rows_of(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the list of numbers: what each is called in words, and the name of its entry.

    Numbers withheld for the same cause share a row, so that it is read once.
    """
    labels = content.get("labels", {})
    rows: list[tuple[list[str], str]] = []
    withheld: dict[str, list[str]] = {}
    for name, entry in values_apart(content).items():
        words = labels.get(name, readable(name))
        if entry["value"] is None and entry["cause"] in withheld:
            withheld[entry["cause"]].append(words)
            continue
        rows.append(([words], name))
        if entry["value"] is None:
            withheld[entry["cause"]] = rows[-1][0]
    return [(", ".join(words), name) for words, name in rows]


def _filled(name: str, entry: Mapping[str, Any], values: Mapping[str, Any]) -> Cells:
    header, fields = [], []
    shown = {column: how for column, how in entry["columns"].items() if column in values}
    n_rows = max((len(values[column]["value"]) for column in shown if _is_list(values[column])), default=0)
    if entry["numbered"]:
        header.append(entry["numbered"])
        fields.append([str(number + 1) for number in range(n_rows)])
    for column, (title, decimals) in shown.items():
        unit = typeset_unit(values[column]["unit"])
        if "|" in title:
            header.extend(f"{part} ({unit})" if unit else part for part in title.split("|"))
            fields.extend(_column(list(one), decimals, n_rows) for one in zip(*values[column]["value"], strict=True))
            continue
        header.append(f"{title} ({unit})" if unit else title)
        fields.append(_column(values[column]["value"], decimals, n_rows))
        if _is_list(values[column]) and "model_error" in values[column]:
            header.append(f"± ({unit})" if unit else "±")
            fields.append(_column(values[column]["model_error"], decimals, n_rows))
    return Cells(name, entry["caption"], header, [list(row) for row in zip(*fields, strict=True)])


def _is_list(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry["value"], list)


def _column(value: Any, decimals: int, n_rows: int) -> list[str]:
    values = value if isinstance(value, list) else [value] * n_rows
    return [_field(one, decimals) for one in values]


def _field(value: float | str | None, decimals: int) -> str:
    """Write a number with its decimals, a very large one as a power of ten; a text as it is, nothing where none is."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, float) and abs(value) >= 1e7:
        return f"{value:.3e}"
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no -0.00
