"""Settings of the search for a saddle point."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class TSSettings(RecipeSettings):
    """Find the saddle point near a guess, and its normal modes."""

    recipe: ClassVar[str] = "ts"
    function: ClassVar[str] = "dp_sim.recipes.paths.saddle.ts:refine_ts"
    resumable: ClassVar[bool] = False

    fmax: float = setting(0.01, "Largest force to be left", unit="eV/Å", gt=0)
    steps: int = setting(200, "Most steps to take", ge=0)
