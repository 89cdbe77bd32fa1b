"""dp-sim calibrate: what the spread of a committee is worth, and the uncertainty of a single model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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
from dp_sim.recipes.models.settings import CalibrateSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_options(calibrate, CalibrateSettings)
    app.command(CalibrateSettings.recipe, help=CalibrateSettings.__doc__)(command)


def calibrate(
    members: Annotated[
        list[Path],
        typer.Argument(
            metavar="MEMBERS...",
            help="Folder of a committee, its model files (-o DIR is made its folder then), or one model with --train.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[str],
        typer.Option(
            "--data",
            metavar="FILE",
            help="Labelled frames that no member was trained on; repeat it, one for each trajectory.",
            show_default=False,
        ),
    ],
    train: Annotated[
        list[str] | None,
        typer.Option(
            "--train",
            metavar="FILE",
            help="Of a single model the frames that it was trained on; repeat it for more.",
            show_default=False,
        ),
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
    """Open the members, and measure."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.output_directory import check_output, naming_output, output_directory
    from dp_sim.recipes.inputs.calculators import as_calculator
    from dp_sim.recipes.models.calibration.calibrate import calibrate as measure

    CalibrateSettings.check(own)
    directory = output_directory(out, str(members[0]), CalibrateSettings.recipe, again=overwrite)
    check_output(directory, overwrite=overwrite, resume=False)
    calculator = as_calculator([str(one) for one in members], device=device, dtype=dtype)
    with naming_output(out, directory, resumable=CalibrateSettings.resumable, quiet=quiet):
        result = measure(calculator, data, train or None, out=directory, overwrite=overwrite, progress=not quiet, **own)
    end(result, directory, quiet=quiet)
