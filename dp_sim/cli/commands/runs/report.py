"""dp-sim report: the page of a run, written again from its result.json and plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import QuietOption, VerboseOption, set_up
from dp_sim.cli.support.panels import REPORTS


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=REPORTS)(report)


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run.", show_default=False)],
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Write report.html of a run again."""
    set_up(verbose, quiet)
    from dp_sim.recipes.results.page.html import rebuild_report

    page = rebuild_report(directory)
    if not quiet:
        typer.echo(page)
