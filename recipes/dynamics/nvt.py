"""Dynamics at constant volume and temperature: heat capacity, mean energy, and the pressure of a bulk system."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.plan import Plan, run_dynamics
from dp_sim.recipes.dynamics.production import Production
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.dynamics.settings import NVTSettings
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class NVTResult(DynamicsResult):
    """Estimates at constant volume and temperature.

    Attributes
    ----------
    heat_capacity_kB, heat_capacity_kB_per_atom
        C_V, k_B, with all momenta: of the whole system, and divided by the number of atoms.
    pressure_bar
        Mean pressure, bar; withheld unless periodic along three axes with a stress.
    thermal_pressure_bar_per_K
        gamma_V = (dp/dT)_V = alpha / kappa_T, bar/K; withheld as the pressure is.
    """

    recipe: ClassVar[str] = "nvt"
    title: ClassVar[str] = "Dynamics at constant volume and temperature"

    heat_capacity_kB: Estimate
    heat_capacity_kB_per_atom: Estimate
    pressure_bar: Estimate
    thermal_pressure_bar_per_K: Estimate

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        bulk = {"pressure": self.pressure_bar, "thermal_pressure_coefficient": self.thermal_pressure_bar_per_K}
        return {
            "heat_capacity": self.heat_capacity_kB,
            "heat_capacity_per_atom": self.heat_capacity_kB_per_atom,
            **(bulk if self.atoms.pbc.all() else {}),
            **self.with_centre_of_mass(**self._without_centre_of_mass()),
            **self.run_quantities(),
        }

    @override
    def headline(self) -> tuple[str, ...]:
        return ("heat_capacity_per_atom", "potential_energy", "pressure")

    @override
    def labels(self) -> dict[str, str]:
        return {"heat_capacity": "heat capacity C_V", "heat_capacity_per_atom": "heat capacity C_V per atom"}

    def _without_centre_of_mass(self) -> dict[str, tuple[Estimate, float]]:
        """Return what a centre of mass at rest makes smaller, and by how much."""
        found = {
            "heat_capacity": (self.heat_capacity_kB, 1.5),
            "heat_capacity_per_atom": (self.heat_capacity_kB_per_atom, 1.5 / len(self.atoms)),
        }
        if self.atoms.pbc.all() and self.temperature_K.value is not None:
            per_K = KB_EV_PER_K / self.atoms.get_volume() * EV_PER_A3_IN_BAR
            found["pressure"] = (self.pressure_bar, per_K * self.temperature_K.value)
            found["thermal_pressure_coefficient"] = (self.thermal_pressure_bar_per_K, per_K)
        return found

    @override
    def figures(self) -> dict[str, Figure]:
        figures = super().figures()
        if self.rows and self.rows[0].pressure_bar is not None:
            figures["pressure"] = self.trace("pressure_bar", "pressure (bar)")
        return figures


@documented(NVTSettings)
def run_nvt(
    atoms: Atoms,
    calc: Any,
    *,
    temperature_K: float,
    steps: int,
    timestep_fs: float | None = None,
    engine: str = "ase",
    thermostat: str = "langevin",
    friction_per_ps: float | None = None,
    thermostat_time_fs: float | None = None,
    replicas: int = 1,
    members: str = "reweighted",
    hydrogen_mass_amu: float | None = None,
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
) -> NVTResult:
    """Run dynamics in the canonical ensemble.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure, of any periodicity (with engine="openmm": none or all three axes). Fixed atoms (FixAtoms) stay.
    calc : Calculator, path or sequence of paths
        An ASE calculator, or a model file or files; with engine="openmm" a dp-sim model.

    Returns
    -------
    NVTResult
        The heat capacity (k_B), and the pressure (bar) of a bulk system, each an `Estimate`. The part before
        equilibration is found and left out. `converged` is false when the run became unstable, missed the temperature,
        or is too short for the heat capacity, which is then withheld with the number of steps that it would take.

    Raises
    ------
    InputError
        A setting out of range, a structure or calculator that the engine cannot use, an occupied output directory.

    Notes
    -----
    Langevin dynamics drive all 3 N momenta and sample every system; their friction slows diffusion down and damps
    correlations in time. Bussi's thermostat (J. Chem. Phys. 126, 014101 (2007)) and Nose-Hoover chains (J. Chem. Phys.
    97, 2635 (1992)) multiply all momenta by one factor: dynamics stay nearly those of constant energy, momenta that the
    forces conserve rest and do not count in temperature and C_V, and a harmonic crystal is not sampled.

    On the same machine a resumed run repeats an uninterrupted one to the last digit.
    """
    return run_dynamics(NVTSettings, analyse, locals())


def analyse(recorded: Recorded, plan: Plan) -> NVTResult:
    """Make the estimates from the table of a run."""
    production = Production(recorded, plan, {"potential_eV": "potential energy"})
    heat_capacity, per_atom = production.heat_capacities(
        lambda: production.series("potential_eV"), "the potential energy"
    )
    return NVTResult(
        **production.common_fields(plan, {"the heat capacity": heat_capacity}),
        heat_capacity_kB=heat_capacity,
        heat_capacity_kB_per_atom=per_atom,
        pressure_bar=production.with_model_error_of_pressures(
            production.mean("pressure_bar", "bar", "pressure"),
            lambda _, pressure, weights: estimators.average(pressure, weights),
        ),
        thermal_pressure_bar_per_K=_thermal_pressure(production, recorded, plan),
    )


def _thermal_pressure(production: Production, recorded: Recorded, plan: Plan) -> Estimate:
    """Estimate gamma_V, where there is a pressure."""
    temperature_K = plan.conditions.temperature_K
    assert temperature_K is not None

    momenta = recorded.degrees_of_freedom
    if plan.rigid_bonds is not None:  # the pressure is that of the centres of groups
        momenta -= plan.rigid_bonds.inner_momenta

    def volume_A3() -> float:
        return float(production.series("volume_A3")[0])

    def virial_part(pressure: NDArray[np.float64]) -> NDArray[np.float64]:
        if plan.rigid_bonds is not None:
            return pressure - production.series("kinetic_pressure_bar")
        return pressure - 2 * production.series("kinetic_eV") / (3 * volume_A3()) * EV_PER_A3_IN_BAR

    def coefficient() -> Estimate:
        return estimators.pressure_coefficient(
            production.series("potential_eV"),
            virial_part(production.series("pressure_bar")),
            volume_A3(),
            temperature_K,
            degrees_of_freedom=momenta,
            steps_per_sample=production.steps_per_sample,
        )

    return production.with_model_error_of_pressures(
        production.estimate_of("pressure_bar", "bar/K", "pressure", coefficient),
        lambda potential, pressure, weights: estimators.pressure_coefficient_statistic(
            potential, virial_part(pressure), volume_A3(), temperature_K, momenta, weights
        ),
    )
