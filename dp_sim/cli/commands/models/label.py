"""dp-sim label: structures in, labelled structures out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dp_sim.cli.support.calculator_choice import CalculatorChoice
from dp_sim.cli.support.ending import NOT_CONVERGED
from dp_sim.cli.support.options import (
    RUN,
    CalculatorArgOption,
    CalculatorOption,
    DeviceOption,
    DtypeOption,
    ModelOption,
    QuietOption,
    ReplaceOption,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.setting_options import with_options
from dp_sim.recipes.models.settings import LabelSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command = with_options(label, LabelSettings)
    app.command(LabelSettings.recipe, help=LabelSettings.__doc__)(command)


def label(
    structures: Annotated[
        list[str],
        typer.Argument(metavar="STRUCTURES", help="Files that ASE reads; FILE@INDEX picks.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="Extended XYZ file for the labels.", show_default=False),
    ],
    *,
    calculator: CalculatorOption = None,
    calculator_arg: CalculatorArgOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    threads: ThreadsOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished FILE.", rich_help_panel=RUN)
    ] = False,
    overwrite: ReplaceOption = False,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
    **own: Any,
) -> None:
    """Read the structures, label them, and say which were left out."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.structure_files import read_structures
    from dp_sim.recipes.models.label import label_structures, unfinished_file

    frames = [atoms for name in structures for atoms in read_structures(name)]
    choice = CalculatorChoice(model, calculator, calculator_arg, device, dtype, may_import=True)
    try:
        labelled = label_structures(
            frames, choice.make(), out, overwrite=overwrite, resume=resume, progress=not quiet, **own
        )
    except KeyboardInterrupt:
        if unfinished_file(out).exists():
            typer.echo(f"interrupted: the same command with --resume goes on with {out}", err=True)
        raise
    if not quiet:
        earlier = f" ({labelled.continued} of them before)" if labelled.continued else ""
        typer.echo(f"{len(labelled.frames)} of {len(frames)} structures labelled{earlier}: {out}")
        typer.echo(labelled.words)
    for reason in labelled.failed.values():
        typer.echo(f"left out: {reason}", err=True)
    if labelled.failed:
        raise typer.Exit(NOT_CONVERGED)
