"""dp-sim irc: the reaction coordinate from a saddle point."""

from __future__ import annotations

import typer

from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.paths.irc.settings import IRCSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    add_recipe(app, IRCSettings)
