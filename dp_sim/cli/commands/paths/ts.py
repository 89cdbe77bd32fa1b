"""dp-sim ts: the saddle point near a guess."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.support.options import StructureArgument
from dp_sim.cli.support.panels import PATHS
from dp_sim.cli.support.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.support.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


def register(app: typer.Typer) -> None:
    recipe_command(app, panel=PATHS)(ts, recipe="dp_sim.recipes.paths.ts:refine_ts")


def ts(
    options: RecipeOptions,
    structure: StructureArgument,
    fmax: Annotated[float | None, typer.Option(help="Largest force to be left, eV/Å.")] = None,
    steps: Annotated[int | None, typer.Option(help="Most steps to take.")] = None,
) -> Result:
    """The saddle point near a guess, and its normal modes."""
    from dp_sim.recipes.paths.ts import refine_ts

    return refine_ts(read_structure(structure), options.calculator(), **options.settings)
