"""Settings of the recipes on reaction paths."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class NEBSettings(RecipeSettings):
    """Find the minimum-energy path between two structures and its barrier: nudged elastic band, climbing image."""

    recipe: ClassVar[str] = "neb"
    function: ClassVar[str] = "dp_sim.recipes.paths.band.find:find_path"

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
