"""dp-sim eos: energy against volume of one crystal."""

from __future__ import annotations

import typer

from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.crystals.settings import EosSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    add_recipe(app, EosSettings)
