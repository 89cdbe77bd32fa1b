"""The end of a command: what is printed, and the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


#: Exit status of a run that finished without reaching what it was asked for.
NOT_CONVERGED = 3


def end(result: Result, *, quiet: bool = False) -> None:
    """Print the result (not with -q) and, where it is not converged, the cause; then exit with the right status."""
    from rich.console import Console

    if not quiet:
        Console().print(_table(result))
    if not result.converged:
        typer.echo(f"not converged: {result.cause}", err=True)
        raise typer.Exit(NOT_CONVERGED)


def _table(result: Result) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=result.title, title_justify="left", title_style="bold", show_header=False, box=box.SIMPLE)
    for name, quantity in result.quantities().items():
        table.add_row(name.replace("_", " "), Text(str(quantity)))
    return table
