"""Tables as CSV: one header line with names and units, one line a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table as CSV.

    Parameters
    ----------
    header
        Name of each column, with its unit.
    rows
        The fields of each line; None is an empty field.

    Returns
    -------
    str
        The file's content; lines end with a line feed.
    """
    return csv_lines([header, *rows])


def csv_lines(rows: Iterable[Sequence[object]]) -> str:
    """Write lines of a table as CSV, without a header: what is added to the end of a file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
