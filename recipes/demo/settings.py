"""Settings of the demo."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings


class DemoSettings(RecipeSettings):
    """Train on the shipped water data, relax and vibrate a molecule, run the liquid in OpenMM; one HTML page."""

    recipe: ClassVar[str] = "demo"
    function: ClassVar[str] = "dp_sim.recipes.demo.water:run_demo"
    resumable: ClassVar[bool] = False
