"""dp-sim neb: the minimum-energy path between two structures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.support.panels import PATHS
from dp_sim.cli.support.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.support.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results.result import Result
ReactantArgument = Annotated[str, typer.Argument(metavar="REACTANT", help="Structure file.", show_default=False)]
ProductArgument = Annotated[
    str,
    typer.Argument(
        metavar="PRODUCT", help="Structure file: the same atoms in the same order, rearranged.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    recipe_command(app, panel=PATHS)(neb, recipe="dp_sim.recipes.paths.neb:find_path")


def neb(
    options: RecipeOptions,
    reactant: ReactantArgument,
    product: ProductArgument,
    images: Annotated[int | None, typer.Option(help="Structures on the path, both ends included.")] = None,
    fmax: Annotated[float | None, typer.Option(help="Largest force to be left on the band, eV/Å.")] = None,
    steps: Annotated[int | None, typer.Option(help="Most steps to take.")] = None,
    interpolation: Annotated[str | None, typer.Option(help="First path: idpp, linear or geodesic.")] = None,
    relax_ends: Annotated[
        bool | None, typer.Option("--relax-ends/--no-relax-ends", help="Relax reactant and product first.")
    ] = None,
    align: Annotated[
        bool | None, typer.Option("--align/--no-align", help="Turn an isolated product onto the reactant.")
    ] = None,
) -> Result:
    """The minimum-energy path between two structures and its barrier: nudged elastic band, climbing image."""
    from dp_sim.recipes.paths.neb import find_path

    return find_path(read_structure(reactant), read_structure(product), options.calculator(), **options.settings)
