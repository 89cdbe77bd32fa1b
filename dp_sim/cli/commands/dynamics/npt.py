"""dp-sim npt: dynamics at constant pressure and temperature."""

from __future__ import annotations

import typer

from dp_sim.cli.support.recipe_command import add_recipe
from dp_sim.recipes.dynamics.settings import NPTSettings


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    add_recipe(app, NPTSettings)
