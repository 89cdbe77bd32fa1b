"""Settings of the recipes on one structure without dynamics."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from dp_sim.config.recipe import RecipeSettings, setting
from dp_sim.errors import InputError
from dp_sim.recipes.inputs.temperatures import check_temperatures

#: Ways to count vibrations in thermochemistry; see `dp_sim.recipes.static.thermochemistry`.
THERMO_METHODS = ("auto", "ideal-gas", "quasi-rrho", "raised", "harmonic")


class EvalSettings(RecipeSettings):
    """Compute energy, forces and stress of one structure; with several models their spread."""

    recipe: ClassVar[str] = "eval"
    function: ClassVar[str] = "dp_sim.recipes.static.evaluation:evaluate"
    resumable: ClassVar[bool] = False


class OptSettings(RecipeSettings):
    """Relax the positions, and the cell if asked, until forces and stress are below their bounds."""

    recipe: ClassVar[str] = "opt"
    function: ClassVar[str] = "dp_sim.recipes.static.opt:optimize"
    takes_several: ClassVar[bool] = True

    fmax: float = setting(0.01, "Largest force on an atom to be left", unit="eV/Å", gt=0, may_change=True)
    steps: int = setting(
        500,
        "Most steps to take",
        ge=0,
        may_change=True,
        detail="The steps of earlier sessions of a resumed run count.",
    )
    optimizer: str = setting(
        "auto",
        "Optimiser",
        choices=("auto", "bfgs", "lbfgs", "precon-lbfgs", "fire", "fire2"),
        may_change=True,
        detail="auto: bfgs, which goes downhill even where the curvature is negative, or lbfgs above 100 atoms. "
        "precon-lbfgs takes the fewest evaluations of crystals, but needs energies as good as its forces.",
    )
    cell: bool = setting(False, "Relax the cell too, along its periodic axes")
    cell_mask: tuple[str, ...] = setting(
        (),
        "Components of the strain that may change, all if not given",
        choices=("xx", "yy", "zz", "yz", "xz", "xy"),
        detail="Of xx, yy, zz, yz, xz and xy, as a list or separated by commas.",
    )
    keep_shape: bool = setting(
        False, "Keep the shape of the cell", detail="The lengths that may change keep their ratio."
    )
    keep_volume: bool = setting(
        False, "Keep the volume of the cell", detail="Where it is periodic along two axes, their area."
    )
    pressure_GPa: float = setting(0.0, "Pressure on the cell", unit="GPa", flags=("--pressure",))
    max_stress_GPa: float | None = setting(
        None,
        "Largest stress to be left, beside the pressure; found from fmax if not given",
        unit="GPa",
        gt=0,
        flags=("--max-stress",),
        may_change=True,
        detail="Of what the cell may relax: not of what cell_mask, keep_shape or keep_volume hold. If not given: "
        "fmax N / V, and 0.05 GPa at most.",
    )
    symmetry: bool = setting(
        False,
        "Keep the space group",
        detail="The structure is moved onto it first. The constraint is that of this run: the structures written are "
        "free of it, unless they came with one.",
    )
    symprec_A: float | None = setting(
        None, "Tolerance of the space group; 0.01 if not given", unit="Å", gt=0, flags=("--symprec",)
    )
    check_minimum: bool = setting(
        False,
        "Compute the normal modes at the end; from a saddle point go on downhill",
        may_change=True,
        detail="At most three times. The cell is not part of this check.",
    )

    @model_validator(mode="after")
    def _settings_of_a_cell(self) -> Self:
        if self.pressure_GPa and not self.cell:
            raise InputError(
                "pressure-without-cell",
                f"pressure_GPa={self.pressure_GPa} acts on the cell, which is kept; set cell to true, or leave it out",
            )
        for name in ("cell_mask", "keep_shape", "keep_volume", "max_stress_GPa"):
            if getattr(self, name) and not self.cell:
                raise InputError(
                    "setting-without-cell",
                    f"{name}={getattr(self, name)} is about a cell that relaxes, and it is kept; set cell to true, or "
                    "leave it out",
                )
        if self.pressure_GPa and self.keep_volume:
            raise InputError(
                "pressure-without-volume",
                f"pressure_GPa={self.pressure_GPa} acts on the volume, which keep_volume holds; leave one of them out",
            )
        if self.symprec_A and not self.symmetry:
            raise InputError(
                "setting-without-symmetry",
                f"symprec_A={self.symprec_A} is the tolerance of a symmetry that is not asked for; set symmetry to "
                "true, or leave it out",
            )
        return self


class VibSettings(RecipeSettings):
    """Compute normal modes: minimum or saddle point, frequencies, infrared spectrum, thermochemistry."""

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
    processes: int = setting(
        1,
        "Processes that share the differences, each with a calculator of its own",
        ge=1,
        may_change=True,
        detail="For calculators that a SPEC names, or that can be pickled; a model of dp-sim needs none.",
    )
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
        check_temperatures(self.temperature_min_K, self.temperature_max_K, self.temperature_step_K)
        return self
