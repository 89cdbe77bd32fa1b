"""dp-sim demo: the whole way on a shipped example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
from dp_sim.cli.support.setting_options import with_options
from dp_sim.recipes.demo.settings import DemoSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_options(demo, DemoSettings)
    app.command(DemoSettings.recipe, help=DemoSettings.__doc__)(command)


def demo(
    *,
    out: OutOption = None,
    seed: SeedOption = DemoSettings.model_fields["seed"].default,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **own: Any,
) -> None:
    """Run the demo in `out`, by default in the directory `demo`."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.output_directory import check_output, naming_output

    settings = DemoSettings.check({"seed": seed, **own})
    directory = out or Path("demo")
    check_output(directory, overwrite=overwrite, resume=False)
    from dp_sim.recipes.demo.water import run_demo

    say = (lambda sentence: None) if quiet else typer.echo
    with naming_output(out, directory, resumable=DemoSettings.resumable, quiet=quiet):
        result = run_demo(
            out=directory, on_part=say, overwrite=overwrite, progress=not quiet, seed=settings.seed, **own
        )
    end(result, directory, quiet=quiet)
