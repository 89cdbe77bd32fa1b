"""dp-sim opt, dp-sim vib: what one structure tells without dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.options import StructureArgument
from dp_sim.cli.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results import Result

PANEL = "Structures and vibrations"


def register(app: typer.Typer) -> None:
    add = recipe_command(app, panel=PANEL)
    add(opt, recipe="dp_sim.recipes.opt:optimize")
    add(vib, recipe="dp_sim.recipes.vib:vibrations")


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
    from dp_sim.recipes.opt import optimize

    return optimize(read_structure(structure), options.calculator(), **options.settings)


def vib(
    options: RecipeOptions,
    structure: StructureArgument,
    hessian: Annotated[str | None, typer.Option(help="auto, exact or differences (of the forces).")] = None,
    delta: Annotated[float | None, typer.Option(help="Displacement of the differences, Å.")] = None,
    fmax: Annotated[float | None, typer.Option(help="Largest force of a relaxed structure, eV/Å.")] = None,
) -> Result:
    """Normal modes, frequencies and zero-point energy of a relaxed structure."""
    from dp_sim.recipes.vib import vibrations

    return vibrations(read_structure(structure), options.calculator(), **options.settings)
