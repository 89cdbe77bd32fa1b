"""Settings of the recipes on one structure without dynamics."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError


class EvalSettings(RecipeSettings):
    """Energy, forces and stress of one structure; with several models their spread."""

    recipe: ClassVar[str] = "eval"
    function: ClassVar[str] = "dp_sim.recipes.static.evaluation:evaluate"
    resumable: ClassVar[bool] = False


class OptSettings(RecipeSettings):
    """Relax the positions, and the cell if asked, until no force exceeds fmax."""

    recipe: ClassVar[str] = "opt"
    function: ClassVar[str] = "dp_sim.recipes.static.opt:optimize"

    fmax: float = setting(
        0.01,
        "Largest force to be left",
        unit="eV/Å",
        gt=0,
        may_change=True,
        detail="With `cell` the bound holds for the generalised forces on the cell too.",
    )
    steps: int = setting(
        500,
        "Most steps to take",
        ge=0,
        may_change=True,
        detail="The steps of earlier sessions of a resumed run count.",
    )
    optimizer: str = setting(
        "bfgs",
        "Optimiser",
        choices=("bfgs", "lbfgs", "fire"),
        may_change=True,
        detail="bfgs goes downhill even where the curvature is negative; lbfgs is cheaper for thousands of atoms.",
    )
    cell: bool = setting(
        False, "Relax the cell too", detail="In the exponential map of `ase.filters.FrechetCellFilter`."
    )
    pressure_GPa: float = setting(0.0, "Pressure on the cell", unit="GPa", flags=("--pressure",))

    @model_validator(mode="after")
    def _pressure_needs_a_cell(self) -> Self:
        if self.pressure_GPa and not self.cell:
            raise InputError(
                "pressure-without-cell",
                f"pressure_GPa={self.pressure_GPa} acts on the cell, which is kept; set cell to true, or leave it out",
            )
        return self


class VibSettings(RecipeSettings):
    """Normal modes, frequencies and zero-point energy of a relaxed structure."""

    recipe: ClassVar[str] = "vib"
    function: ClassVar[str] = "dp_sim.recipes.static.vib:vibrations"

    hessian: str = setting(
        "auto",
        "How the Hessian is computed: exactly, or by differences of the forces",
        choices=("auto", "exact", "differences"),
        detail="auto: exact if the calculator has `get_hessian(atoms)`; `hessian_source` of the result says which.",
    )
    # Below, the rounding of the forces counts; above, the next order of the energy.
    delta: float = setting(0.005, "Displacement of the differences", unit="Å", ge=1e-4, le=0.1)
    fmax: float = setting(
        0.02,
        "Largest force of a relaxed structure",
        unit="eV/Å",
        gt=0,
        may_change=True,
        detail="Above it the result is not converged: away from a stationary point the frequencies depend on the "
        "coordinates, and rotations do not separate.",
    )
