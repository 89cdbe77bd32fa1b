"""Settings of the walk along a reaction coordinate."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class IRCSettings(RecipeSettings):
    """Follow the reaction coordinate from a saddle point down to the minima on both sides."""

    recipe: ClassVar[str] = "irc"
    function: ClassVar[str] = "dp_sim.recipes.paths.irc.follow:follow_irc"

    step: float | None = setting(
        None,
        "Length of one step; by default 0.1 Å along the imaginary mode",
        unit="amu^1/2 Å",
        gt=0,
        detail="Shorter where the path bends sharply.",
    )
    fmax: float = setting(
        0.05,
        "Force at which a side of the path ends",
        unit="eV/Å",
        gt=0,
        detail="The start must have no larger one; the last point of a side is relaxed further.",
    )
    steps: int = setting(200, "Most steps to take on each side", ge=1, may_change=True)
    reactant: str | None = setting(
        None,
        "Structure that one end should be",
        is_path=True,
        may_change=True,
        metavar="FILE[@INDEX]",
        detail="A file (its last structure, or that of the index), or in Python a structure. Compared by bonds and "
        "distances, with the best relabelling of like atoms; the other end is then called the product.",
    )
    product: str | None = setting(
        None, "Structure that the other end should be", is_path=True, may_change=True, metavar="FILE[@INDEX]"
    )
