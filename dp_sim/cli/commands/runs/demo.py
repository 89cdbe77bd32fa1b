"""dp-sim demo: the whole way on a shipped example."""

from __future__ import annotations

from pathlib import Path

import typer

from dp_sim.cli.support.options import (
    OutOption,
    OverwriteOption,
    QuietOption,
    SeedOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.panels import START


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(rich_help_panel=START)(demo)


def demo(
    out: OutOption = None,
    seed: SeedOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Train on the shipped water data, relax and vibrate a molecule, run the liquid in OpenMM; one HTML page."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.run_place import check_place, saying_where
    from dp_sim.recipes.demo import run_demo

    directory = out or Path("demo")
    check_place(directory, overwrite=overwrite, resume=False)
    say = (lambda sentence: None) if quiet else typer.echo
    with saying_where(out, directory, resumable=False, quiet=quiet):
        result = run_demo(out=directory, overwrite=overwrite, progress=not quiet, seed=seed or 0, on_part=say)
    end(result, directory, quiet=quiet)
