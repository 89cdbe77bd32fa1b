"""dp-sim neb, dp-sim ts, dp-sim irc: from two minima over the saddle point between them, and back down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dp_sim.cli.options import StructureArgument
from dp_sim.cli.recipe_command import RecipeOptions, recipe_command
from dp_sim.cli.structures import read_structure

if TYPE_CHECKING:
    from dp_sim.recipes.results import Result

PANEL = "Reaction paths"

ReactantArgument = Annotated[str, typer.Argument(metavar="REACTANT", help="Structure file.", show_default=False)]
ProductArgument = Annotated[
    str,
    typer.Argument(
        metavar="PRODUCT", help="Structure file: the same atoms in the same order, rearranged.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    add = recipe_command(app, panel=PANEL)
    add(neb, recipe="dp_sim.recipes.neb:find_path")
    add(ts, recipe="dp_sim.recipes.ts:refine_ts")
    add(irc, recipe="dp_sim.recipes.irc:follow_irc")


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
    from dp_sim.recipes.neb import find_path

    return find_path(read_structure(reactant), read_structure(product), options.calculator(), **options.settings)


def ts(
    options: RecipeOptions,
    structure: StructureArgument,
    fmax: Annotated[float | None, typer.Option(help="Largest force to be left, eV/Å.")] = None,
    steps: Annotated[int | None, typer.Option(help="Most steps to take.")] = None,
) -> Result:
    """The saddle point near a guess, and its normal modes."""
    from dp_sim.recipes.ts import refine_ts

    return refine_ts(read_structure(structure), options.calculator(), **options.settings)


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
    from dp_sim.recipes.irc import follow_irc

    return follow_irc(read_structure(structure), options.calculator(), **options.settings)
