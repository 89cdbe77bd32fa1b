"""dp-sim vib: normal modes of one structure."""

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
    recipe_command(app, panel=STATIC)(vib, recipe="dp_sim.recipes.static.vib:vibrations")


def vib(
    options: RecipeOptions,
    structure: StructureArgument,
    hessian: Annotated[str | None, typer.Option(help="auto, exact or differences (of the forces).")] = None,
    delta: Annotated[float | None, typer.Option(help="Displacement of the differences, Å.")] = None,
    fmax: Annotated[float | None, typer.Option(help="Largest force of a relaxed structure, eV/Å.")] = None,
) -> Result:
    """Normal modes, frequencies and zero-point energy of a relaxed structure."""
    from dp_sim.recipes.static.vib import vibrations

    return vibrations(read_structure(structure), options.calculator(), **options.settings)
