"""dp-sim eval: one evaluation of a structure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dp_sim.cli.support.options import (
    DeviceOption,
    DtypeOption,
    ModelArgument,
    OutOption,
    OverwriteOption,
    QuietOption,
    StructureArgument,
    ThreadsOption,
    VerboseOption,
    set_up,
)
from dp_sim.cli.support.panels import MODELS


def register(app: typer.Typer) -> None:
    app.command("eval", rich_help_panel=MODELS)(evaluate)


def evaluate(
    model: ModelArgument,
    structure: StructureArgument,
    more: Annotated[
        list[Path] | None, typer.Option("-m", "--model", metavar="FILE", help="Further members of a committee.")
    ] = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    out: OutOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    verbose: VerboseOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Energy, forces and stress of one structure; with several models their spread."""
    set_up(verbose, quiet, threads)
    from dp_sim.cli.support.ending import end
    from dp_sim.cli.support.structures import naming, read_structure
    from dp_sim.recipes.inputs.calculators import as_calculator
    from dp_sim.recipes.static.evaluation import evaluate as evaluate_structure

    atoms = read_structure(structure)
    calculator = as_calculator([model, *(more or [])], device=device, dtype=dtype)
    with naming(structure):
        result = evaluate_structure(atoms, calculator, out=out, overwrite=overwrite)
    end(result, quiet=quiet)
