"""dp-sim analyse: structure and transport from a finished run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dp_sim.cli.support.config_file import ConfigOption, naming_config
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
from dp_sim.recipes.analysis.settings import AnalyseSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(AnalyseSettings.recipe, help=AnalyseSettings.__doc__)(with_options(run, AnalyseSettings))


def run(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="Directory of a run of nve, nvt or npt, or a trajectory file of another program.",
            show_default=False,
        ),
    ],
    *,
    out: OutOption = None,
    config: ConfigOption = None,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **own: Any,
) -> None:
    """Check, analyse and end."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.output_directory import check_output, naming_output, output_directory
    from dp_sim.recipes.analysis.analyse import analyse

    own["seed"] = seed
    directory = output_directory(out, source.rstrip("/"), AnalyseSettings.recipe, again=overwrite)
    with naming_config(context):
        AnalyseSettings.check(own)
        check_output(directory, overwrite=overwrite, resume=False)
        with naming_output(out, directory, resumable=AnalyseSettings.resumable, quiet=quiet):
            result = analyse(source, out=directory, overwrite=overwrite, progress=not quiet, **own)
    end(result, directory, quiet=quiet)
