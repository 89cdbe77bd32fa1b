"""Settings of the search for a saddle point."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class TSSettings(RecipeSettings):
    """Find the saddle point near a guess, and its normal modes."""

    recipe: ClassVar[str] = "ts"
    function: ClassVar[str] = "dp_sim.recipes.paths.saddle.ts:refine_ts"

    fmax: float = setting(
        0.01,
        "Largest force to be left",
        unit="eV/Å",
        gt=0,
        may_change=True,
        detail="With a soft mode a smaller one: what is left to go by the curvature is at most 0.02 Å.",
    )
    steps: int = setting(
        200,
        "Most steps to take",
        ge=0,
        may_change=True,
        detail="The steps of earlier sessions of a resumed run count.",
    )
    method: str = setting(
        "auto",
        "Search with a full Hessian, or with the lowest mode alone",
        choices=("auto", "hessian", "dimer"),
        may_change=True,
        detail="auto: hessian, but dimer where the Hessian would take more than 300 evaluations or, exact, has more "
        "than 1000 atoms that move.",
    )
