"""Settings of the recipes on reaction paths."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class NEBSettings(RecipeSettings):
    """Find the minimum-energy path between two structures and its barrier: nudged elastic band, climbing image."""

    recipe: ClassVar[str] = "neb"
    function: ClassVar[str] = "dp_sim.recipes.paths.neb:find_path"

    images: int = setting(9, "Structures on the path, both ends included", ge=3)
    fmax: float = setting(
        0.05,
        "Largest force to be left on the band",
        unit="eV/Å",
        ge=1e-6,
        detail="Perpendicular to the path, on one atom.",
    )
    steps: int = setting(500, "Most steps to take", ge=0, may_change=True, detail="Both stages together.")
    interpolation: str = setting(
        "idpp",
        "First path",
        choices=("idpp", "linear", "geodesic"),
        detail="geodesic: for isolated molecules, with the package geodesic-interpolate.",
    )
    relax_ends: bool = setting(
        True, "Relax reactant and product first", detail="The constraints of the reactant hold for all images."
    )
    align: bool = setting(
        True,
        "Turn an isolated product onto the reactant",
        detail="False where orientation or place matters.",
    )


class TSSettings(RecipeSettings):
    """Find the saddle point near a guess, and its normal modes."""

    recipe: ClassVar[str] = "ts"
    function: ClassVar[str] = "dp_sim.recipes.paths.ts:refine_ts"
    resumable: ClassVar[bool] = False

    fmax: float = setting(0.01, "Largest force to be left", unit="eV/Å", gt=0)
    steps: int = setting(200, "Most steps to take", ge=0)


class IRCSettings(RecipeSettings):
    """Follow the reaction coordinate from a saddle point down to the minima on both sides."""

    recipe: ClassVar[str] = "irc"
    function: ClassVar[str] = "dp_sim.recipes.paths.irc:follow_irc"
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
