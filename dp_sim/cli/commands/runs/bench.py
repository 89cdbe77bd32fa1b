"""dp-sim bench: the speed of a model on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.support.options import StructureArgument
from dp_sim.cli.support.panels import MODELS
from dp_sim.cli.support.recipe_command import RecipeOptions, recipe_command

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


def register(app: typer.Typer) -> None:
    recipe_command(app, panel=MODELS)(bench, recipe="dp_sim.recipes.speed.measurement:measure_speed")


def bench(
    options: RecipeOptions,
    structure: StructureArgument,
    repeat: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Repeat a periodic structure N times along each axis; repeatable."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(help="Timed steps of each size.")] = None,
    timestep_fs: Annotated[float | None, typer.Option("--timestep", metavar="FS", help="For ns/day.")] = None,
    deepmd: Annotated[
        str | None,
        typer.Option(metavar="PYTHON", help="Interpreter of an environment with deepmd-kit, to compare with."),
    ] = None,
    deepmd_model: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="What runs there: a frozen model, or one of ours, exported (default: MODEL)."
        ),
    ] = None,
) -> Result:
    """Microseconds per atom and step of a model, its parts and memory, beside the machine's own arithmetic rate."""
    from dp_sim.cli.support.structures import read_structure
    from dp_sim.recipes.speed.measurement import measure_speed

    return measure_speed(read_structure(structure), options.calculator(), **options.settings)
