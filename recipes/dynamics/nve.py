"""Dynamics at constant energy: how well the time step and the forces conserve it, and the heat capacity."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.plan import Plan, run_dynamics
from dp_sim.recipes.dynamics.production import Production
from dp_sim.recipes.dynamics.remarks import drift_words, turns_freely
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.dynamics.settings import NVESettings
from dp_sim.recipes.results.quantities import Estimate, Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class NVEResult(DynamicsResult):
    """The conservation of energy.

    Attributes
    ----------
    drift_meV_per_atom_ns
        Slope of the total energy, by least squares, meV/atom/ns.
    energy_fluctuation_meV_per_atom
        Standard deviation of the total energy, meV/atom; None if the run was unstable.
    heat_capacity_kB, heat_capacity_kB_per_atom
        C_V, k_B, from the fluctuations of the kinetic energy in the equilibrated part (Lebowitz, Percus and Verlet),
        without the centre of mass where that rests: of the whole system, and divided by the number of atoms.
    """

    recipe: ClassVar[str] = "nve"
    title: ClassVar[str] = "Dynamics at constant energy"

    drift_meV_per_atom_ns: Estimate
    energy_fluctuation_meV_per_atom: float | None
    heat_capacity_kB: Estimate
    heat_capacity_kB_per_atom: Estimate

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        fluctuation = self.energy_fluctuation_meV_per_atom
        return {
            "drift": self.drift_meV_per_atom_ns,
            "drift_judged": Quantity(drift_words(self.drift_meV_per_atom_ns)),
            "energy_fluctuation": Quantity(fluctuation, "meV/atom", self.cause if fluctuation is None else ""),
            "heat_capacity": self.heat_capacity_kB,
            "heat_capacity_per_atom": self.heat_capacity_kB_per_atom,
            **self.with_centre_of_mass(
                heat_capacity=(self.heat_capacity_kB, 1.5),
                heat_capacity_per_atom=(self.heat_capacity_kB_per_atom, 1.5 / len(self.atoms)),
            ),
            **self.run_quantities(),
        }

    @property
    @override
    def target_temperature_K(self) -> float | None:
        return None  # temperature_K is that of the first velocities

    @override
    def headline(self) -> tuple[str, ...]:
        return ("drift", "energy_fluctuation", "heat_capacity_per_atom")

    @override
    def labels(self) -> dict[str, str]:
        return {"heat_capacity": "heat capacity C_V", "heat_capacity_per_atom": "heat capacity C_V per atom"}

    @override
    def figures(self) -> dict[str, Figure]:
        if not self.rows:
            return super().figures()
        return {"total_energy": self.trace("total_eV", "total energy (eV)"), **super().figures()}


@documented(NVESettings)
def run_nve(
    atoms: Atoms,
    calc: Any,
    *,
    steps: int,
    temperature_K: float | None = None,
    timestep_fs: float | None = None,
    engine: str = "ase",
    sample_every: int = 10,
    frame_every: int = 100,
    trajectory: Sequence[str] = ("extxyz",),
    velocities: bool = False,
    backend: str | None = None,
    platform: str | None = None,
    ranks: int | None = None,
    rigid_bonds: str | None = None,
    max_force_uncertainty_eV_A: float | None = None,
    when_uncertain: str = "save",
    stages: str | os.PathLike[str] | None = None,
    relax: bool = False,
    relax_cell: bool = False,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> NVEResult:
    """Run dynamics in the microcanonical ensemble: velocity Verlet in ASE, leap-frog in OpenMM.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure, of any periodicity (with engine="openmm": none or all three axes). Fixed atoms (FixAtoms) stay.
    calc : Calculator, path or sequence of paths
        An ASE calculator, or a model file or files; with engine="openmm" a dp-sim model.

    Returns
    -------
    NVEResult
        The drift of the total energy (meV/atom/ns), its fluctuation (meV/atom) and C_V (k_B). `converged` is false when
        the run became unstable or is too short for the drift.

    Raises
    ------
    InputError
        A setting out of range, no velocities and no temperature, a structure or calculator that the engine cannot use,
        an occupied output directory.
    """
    return run_dynamics(NVESettings, analyse, locals())


def analyse(recorded: Recorded, plan: Plan) -> NVEResult:
    """Make the estimates from the table of a run; every sample counts, from the first step."""
    production = Production(recorded, plan, watched={})
    n_atoms = len(recorded.atoms)
    drift = production.estimate("meV/atom/ns", lambda: production.drift("total_eV", "the total energy"))
    fluctuation = None if production.unusable else float(production.series("total_eV").std()) * 1000.0 / n_atoms
    return NVEResult(
        **production.common_fields(plan, {"the drift": drift}),
        drift_meV_per_atom_ns=drift,
        energy_fluctuation_meV_per_atom=fluctuation,
        heat_capacity_kB=_heat_capacity(recorded, plan, "k_B", 1),
        heat_capacity_kB_per_atom=_heat_capacity(recorded, plan, "k_B/atom", n_atoms),
    )


def _heat_capacity(recorded: Recorded, plan: Plan, unit: str, divide_by: int) -> Estimate:
    """Estimate C_V from the equilibrated part of the run."""
    if turns_freely(recorded.atoms):
        return Estimate.withheld(
            unit, "a free molecule conserves its angular momentum too, and its motions do not share their energy: nvt"
        )
    production = Production(recorded, plan, watched={"potential_eV": "potential energy"})
    return production.estimate(
        unit,
        lambda: estimators.heat_capacity_at_constant_energy(
            production.series("kinetic_eV"),
            degrees_of_freedom=recorded.degrees_of_freedom,
            divide_by=divide_by,
            steps_per_sample=production.steps_per_sample,
        ),
    )
