"""Settings of the recipes on reaction paths."""

from __future__ import annotations

from typing import ClassVar

from dp_sim.config.recipe import RecipeSettings, setting


class NEBSettings(RecipeSettings):
    """Find the minimum-energy path between two structures and its barrier: nudged elastic band, climbing image."""

    recipe: ClassVar[str] = "neb"
    function: ClassVar[str] = "dp_sim.recipes.paths.band.find:find_path"

    images: int | None = setting(
        None,
        "Structures on the path, both ends included; found from the path if not given",
        ge=3,
        detail="If not given: more for a longer path, and more where it bends.",
    )
    fmax: float = setting(
        0.05,
        "Largest force to be left on the highest image and those beside it",
        unit="eV/Å",
        ge=1e-6,
        detail="Perpendicular to the path, on one atom; of the highest image the whole force. The barrier of the band "
        "is as good as this: 0.25 is enough where dp-sim ts follows, as in dp-sim rate.",
    )
    band_fmax: float | None = setting(
        None,
        "Largest force to be left on all other images; 5 times fmax if not given",
        unit="eV/Å",
        ge=1e-6,
        detail="Perpendicular to the path, on one atom.",
    )
    method: str = setting(
        "springs",
        "What keeps the images apart",
        choices=("springs", "string"),
        detail="springs: nudged elastic band; string: the images are spread evenly over a spline after each step.",
    )
    steps: int = setting(500, "Most steps to take", ge=0, may_change=True, detail="All stages together.")
    interpolation: str = setting(
        "auto",
        "First path",
        choices=("auto", "geodesic", "idpp", "linear"),
        detail="auto: geodesic of molecules of up to 60 atoms, with the package geodesic-interpolate; else idpp.",
    )
    match_atoms: bool = setting(
        False,
        "Relabel like atoms of the product, so that the fewest bonds change and atoms move least",
        detail="Where there is a better order than that given, the page says so in any case.",
    )
    relax_ends: bool = setting(
        True, "Relax reactant and product first", detail="The constraints of the reactant hold for all images."
    )
    align: bool = setting(
        True,
        "Turn an isolated product onto the reactant",
        detail="False where orientation or place matters.",
    )
