"""dp-sim opt: relax one structure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.support.options import StructureArgument
from dp_sim.cli.support.panels import STATIC
from dp_sim.cli.support.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.support.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result


def register(app: typer.Typer) -> None:
    recipe_command(app, panel=STATIC)(opt, recipe="dp_sim.recipes.static.opt:optimize")


def opt(
    options: RecipeOptions,
    structure: StructureArgument,
    fmax: Annotated[float | None, typer.Option(help="Largest force to be left, eV/Å.")] = None,
    steps: Annotated[int | None, typer.Option(help="Most steps to take.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="bfgs, lbfgs or fire.")] = None,
    cell: Annotated[bool | None, typer.Option("--cell/--no-cell", help="Relax the cell too.")] = None,
    pressure_GPa: Annotated[float | None, typer.Option("--pressure", help="Pressure on the cell, GPa.")] = None,
) -> Result:
    """Relax the positions, and the cell if asked, until no force exceeds fmax."""
    from dp_sim.recipes.static.opt import optimize

    return optimize(read_structure(structure), options.calculator(), **options.settings)
