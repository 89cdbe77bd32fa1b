"""Settings of the recipes on one structure without dynamics."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError

#: Ways to count vibrations in thermochemistry; see `dp_sim.recipes.static.thermochemistry`.
THERMO_METHODS = ("auto", "ideal-gas", "quasi-rrho", "raised", "harmonic")


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
    check_minimum: bool = setting(
        False,
        "Compute the normal modes at the end; from a saddle point go on downhill",
        may_change=True,
        detail="At most three times. The cell is not part of this check.",
    )

    @model_validator(mode="after")
    def _pressure_needs_a_cell(self) -> Self:
        if self.pressure_GPa and not self.cell:
            raise InputError(
                "pressure-without-cell",
                f"pressure_GPa={self.pressure_GPa} acts on the cell, which is kept; set cell to true, or leave it out",
            )
        return self


class VibSettings(RecipeSettings):
    """Normal modes: minimum or saddle point, frequencies, infrared spectrum, thermochemistry."""

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
    relax: bool = setting(False, "Relax the structure first, to a tenth of fmax")
    isotopes: tuple[str, ...] = setting(
        (),
        "Isotopes: element or index of an atom, and name or mass",
        flags=("--isotope",),
        metavar="H=D|3=13C|O=17.999",
        may_change=True,
        detail="Masses in amu, indices from 0; later ones override earlier ones.",
    )
    thermo: str = setting(
        "auto",
        "Thermochemistry",
        choices=THERMO_METHODS,
        may_change=True,
        detail="auto: ideal-gas of a molecule that moves and turns freely, harmonic of anything else.",
    )
    temperature_min_K: float = setting(
        100.0, "First temperature of its table", unit="K", gt=0, flags=("--temperature-min",), may_change=True
    )
    temperature_max_K: float = setting(
        1000.0,
        "Last temperature of its table",
        unit="K",
        gt=0,
        flags=("--temperature-max",),
        may_change=True,
        detail="The table has 298.15 K too.",
    )
    temperature_step_K: float = setting(
        100.0, "Step between its temperatures", unit="K", ge=0.1, flags=("--temperature-step",), may_change=True
    )
    pressure_bar: float = setting(
        1.0, "Pressure of the ideal gas", unit="bar", gt=0, flags=("--pressure",), may_change=True
    )
    symmetry_number: int | None = setting(
        None, "Symmetry number of the molecule; found from the structure if not given", ge=1, may_change=True
    )
    spin_multiplicity: int | None = setting(
        None,
        "Spin multiplicity 2 S + 1; the lowest that the number of electrons allows if not given",
        ge=1,
        may_change=True,
    )
    width_cm1: float = setting(
        10.0,
        "Full width at half maximum of infrared lines",
        unit="cm⁻¹",
        gt=0,
        flags=("--width",),
        may_change=True,
        detail="There is a spectrum where the calculator gives dipoles.",
    )

    @model_validator(mode="after")
    def _temperatures_rise(self) -> Self:
        if self.temperature_max_K < self.temperature_min_K:
            raise InputError(
                "setting-out-of-range",
                f"temperature_max_K ({self.temperature_max_K:g}) is below temperature_min_K "
                f"({self.temperature_min_K:g}); exchange them",
            )
        return self
