"""dp-sim nve: dynamics at constant energy."""

from __future__ import annotations

import typer

from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.dynamics.settings import NVESettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    add_recipe(app, NVESettings)
