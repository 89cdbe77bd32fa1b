"""dp-sim irc: the reaction coordinate from a saddle point."""

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
    recipe_command(app, panel=PATHS)(irc, recipe="dp_sim.recipes.paths.irc:follow_irc")


def irc(
    options: RecipeOptions,
    structure: StructureArgument,
    step: Annotated[
        float | None, typer.Option(help="Length of one step, amu^1/2 Å (default: 0.1 Å of motion).")
    ] = None,
    fmax: Annotated[float | None, typer.Option(help="Force at which a side of the path ends, eV/Å.")] = None,
    steps: Annotated[int | None, typer.Option(help="Most steps to take on each side.")] = None,
) -> Result:
    """The reaction coordinate from a saddle point down to the minima on both sides."""
    from dp_sim.recipes.paths.irc import follow_irc

    return follow_irc(read_structure(structure), options.calculator(), **options.settings)
