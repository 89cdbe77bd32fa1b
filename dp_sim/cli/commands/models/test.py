"""dp-sim test: the accuracy of a model on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.support.either_order import ModelFirst, tell_model
from dp_sim.cli.support.options import (
    DeviceOption,
    DtypeOption,
    OutOption,
    OverwriteOption,
    QuietOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.setting_options import with_options
from dp_sim.recipes.models.settings import AccuracySettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_options(measure, AccuracySettings)
    app.command(AccuracySettings.recipe, help=AccuracySettings.__doc__)(command)


def measure(
    model: ModelFirst,
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA...",
            help="Labelled files in any format ASE reads (FILE@INDEX for a part), or DeePMD-kit folders.",
            show_default=False,
        ),
    ] = None,
    more: Annotated[
        list[Path] | None,
        typer.Option("-m", "--model", metavar="FILE", help="The model, or more of a committee."),
    ] = None,
    *,
    out: OutOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **own: Any,
) -> None:
    """Tell the model from the data, and measure."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.output_directory import check_output, naming_output, output_directory
    from dp_sim.recipes.inputs.calculators import as_calculator
    from dp_sim.recipes.models.accuracy import measure_accuracy

    named, sources = tell_model(
        [model, *(data or [])], chosen_by_option=bool(more), needed="test needs a model and labelled data"
    )
    files = [*named, *(str(path) for path in more or ())]
    AccuracySettings.check(own)
    directory = output_directory(out, files[0], AccuracySettings.recipe, again=overwrite)
    check_output(directory, overwrite=overwrite, resume=False)
    calculator = as_calculator(files, device=device, dtype=dtype)
    with naming_output(out, directory, resumable=AccuracySettings.resumable, quiet=quiet):
        result = measure_accuracy(calculator, sources, out=directory, overwrite=overwrite, progress=not quiet, **own)
    end(result, directory, quiet=quiet)
