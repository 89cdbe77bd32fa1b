"""Settings of the walk along a reaction coordinate."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class IRCSettings(RecipeSettings):
    """Follow the reaction coordinate from a saddle point down to the minima on both sides."""

    recipe: ClassVar[str] = "irc"
    function: ClassVar[str] = "dp_sim.recipes.paths.irc.follow:follow_irc"
    resumable: ClassVar[bool] = False

    step: float | None = setting(
        None,
        "Length of one step; by default 0.1 Å along the imaginary mode",
        unit="amu^1/2 Å",
        gt=0,
    )
    fmax: float = setting(
        0.05,
        "Force at which a side of the path ends",
        unit="eV/Å",
        gt=0,
        detail="The start must have no larger one; the last point of a side is relaxed further.",
    )
    steps: int = setting(200, "Most steps to take on each side", ge=1)
