"""The end of a command: what is printed, and the exit status."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dp_sim.cli.support.output_directory import print_paths

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


#: Exit status of a run that finished without reaching what it was asked for.
NOT_CONVERGED = 3


def end(result: Result, place: Path | None, *, quiet: bool = False) -> None:
    """Print the result and where its files are (not with -q), and why it is not converged; exit with the right status.

    Parameters
    ----------
    result
        What the recipe returned.
    place
        Directory of the run; None: it wrote no files.
    quiet
        Print nothing but the cause.
    """
    from rich.console import Console
    from rich.text import Text

    from dp_sim.recipes.results.quantity_table import tables_of

    if not quiet:
        console, content = Console(), result.to_dict()
        console.print(_numbers(result, content))
        for table in tables_of(content):
            # Not rich's own table, which breaks numbers where the terminal is narrow.
            console.print(Text(table.text()), soft_wrap=True)
            console.print()
        if place is not None:
            print_paths(place)
    if not result.converged:
        typer.echo(f"not converged: {result.cause}", err=True)
        raise typer.Exit(NOT_CONVERGED)


def _numbers(result: Result, content: Mapping[str, Any]) -> Any:
    """Make the list of the numbers that no table shows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from dp_sim.recipes.results.formatting import typeset_unit
    from dp_sim.recipes.results.quantity_table import rows_of

    table = Table(title=result.title, title_justify="left", title_style="bold", show_header=False, box=box.SIMPLE)
    numbers = result.quantities()
    for words, name in rows_of(content):
        table.add_row(words, Text(typeset_unit(str(numbers[name]))))
    return table
