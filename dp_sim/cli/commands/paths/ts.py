"""dp-sim ts: the saddle point near a guess."""

from __future__ import annotations

import typer

from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.paths.saddle.settings import TSSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    add_recipe(app, TSSettings)
