"""dp-sim report: the page of a run, written again, or one page that compares several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import QuietOption, ReplaceOption, VerboseOption, check_target, set_up
from dp_sim.errors import InputError


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(report)


def report(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Directories of runs.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="The page of several runs (default: comparison.html)."),
    ] = None,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Write the page of a run again; of several runs, one page that compares them."""
    set_up(verbose, quiet)
    if len(directories) == 1:
        if out is not None:
            raise InputError(
                "option-unused", f"the page of one run is {directories[0]}/report.html; leave -o out, or give more runs"
            )
        from dp_sim.recipes.results.page.html import rebuild_report

        page = rebuild_report(directories[0])
    else:
        from dp_sim.recipes.results.page.comparison import compare_runs

        page = Path("comparison.html") if out is None else out
        check_target(page, directories[0] / "result.json", overwrite)
        table = compare_runs(directories, page)
        if not quiet:
            typer.echo(table.text())
    if not quiet:
        typer.echo(f"page: {page}")
