"""dp-sim bench: the speed of a model on this machine."""

from __future__ import annotations

import typer

from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.speed.settings import BenchSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    add_recipe(app, BenchSettings)
