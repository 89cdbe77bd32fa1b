"""dp-sim neb: the minimum-energy path between two structures."""

from __future__ import annotations

import typer

from dp_sim.cli.support.options import structure_argument
from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.paths.band.settings import NEBSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    ends = {
        "reactant": structure_argument("REACTANT", "Structure file."),
        "product": structure_argument("PRODUCT", "Structure file: the same atoms in the same order, rearranged."),
    }
    add_recipe(app, NEBSettings, arguments=ends)
