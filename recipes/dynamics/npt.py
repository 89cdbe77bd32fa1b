"""Dynamics at constant pressure and temperature: volume, density, compressibility, thermal expansion, heat capacity."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from typing_extensions import override

from dp_sim.config.recipe import documented
from dp_sim.recipes.dynamics import estimators
from dp_sim.recipes.dynamics.elasticity.constants import StrainFluctuations, elastic_constants_of
from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.plan import Plan, run_dynamics
from dp_sim.recipes.dynamics.production import Production
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.dynamics.settings import NPTSettings
from dp_sim.recipes.results.figures import COLOURS, new_figure
from dp_sim.recipes.results.quantities import Estimate, Quantity
from dp_sim.units import EV_PER_A3_IN_BAR, KB_EV_PER_K

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Relative range of a density that is drawn as one bar.
STILL_DENSITY = 1e-6


@dataclass(frozen=True, kw_only=True)
class NPTResult(DynamicsResult):
    """Estimates at constant pressure and temperature.

    Attributes
    ----------
    volume_A3, density_g_cm3
        Means, Angstrom^3 and g/cm^3.
    compressibility_per_GPa
        Isothermal, kappa_T = Var(V) / (k_B T <V>), 1/GPa.
    thermal_expansion_per_K
        Of the volume, at constant pressure, 1/K.
    bulk_modulus_GPa
        K_T = 1 / kappa_T, GPa.
    enthalpy_eV
        <U> + <K> + p <V>, with the barostat's p and the kinetic energy f k_B T / 2 of the thermostat, eV.
    heat_capacity_kB, heat_capacity_kB_per_atom
        C_p, k_B, with all momenta: of the whole system, and divided by the number of atoms.
    heat_capacity_difference_kB, heat_capacity_at_constant_volume_kB
        C_p - C_V = T V alpha^2 / kappa_T, and C_V from it, of the whole system, k_B.
    thermal_pressure_bar_per_K
        gamma_V = (dp/dT)_V = alpha / kappa_T, bar/K.
    pressure_bar
        Mean of the instantaneous pressure, bar: agrees with the barostat's in equilibrium.
    elastic
        Elastic constants, GPa, of a run with cell_change="flexible"; else None.
    """

    recipe: ClassVar[str] = "npt"
    title: ClassVar[str] = "Dynamics at constant pressure and temperature"
    of_the_bath: ClassVar[frozenset[str]] = DynamicsResult.of_the_bath | {"pressure_bar"}

    volume_A3: Estimate
    density_g_cm3: Estimate
    compressibility_per_GPa: Estimate
    thermal_expansion_per_K: Estimate
    bulk_modulus_GPa: Estimate
    enthalpy_eV: Estimate
    heat_capacity_kB: Estimate
    heat_capacity_kB_per_atom: Estimate
    heat_capacity_difference_kB: Estimate
    heat_capacity_at_constant_volume_kB: Estimate
    thermal_pressure_bar_per_K: Estimate
    pressure_bar: Estimate
    elastic: StrainFluctuations | None = None

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        return {
            "density": self.density_g_cm3,
            "volume": self.volume_A3,
            "compressibility": self.compressibility_per_GPa,
            "bulk_modulus": self.bulk_modulus_GPa,
            "thermal_expansion": self.thermal_expansion_per_K,
            "thermal_pressure_coefficient": self.thermal_pressure_bar_per_K,
            "enthalpy": self.enthalpy_eV,
            "heat_capacity": self.heat_capacity_kB,
            "heat_capacity_per_atom": self.heat_capacity_kB_per_atom,
            "heat_capacity_Cp_minus_CV": self.heat_capacity_difference_kB,
            "heat_capacity_CV": self.heat_capacity_at_constant_volume_kB,
            **self.with_centre_of_mass(
                heat_capacity=(self.heat_capacity_kB, 1.5),
                heat_capacity_per_atom=(self.heat_capacity_kB_per_atom, 1.5 / len(self.atoms)),
                heat_capacity_CV=(self.heat_capacity_at_constant_volume_kB, 1.5),
            ),
            "pressure": self.pressure_bar,
            **(self.elastic.quantities() if self.elastic else {}),
            **self.run_quantities(),
        }

    @override
    def headline(self) -> tuple[str, ...]:
        return ("density", "compressibility", "heat_capacity_per_atom")

    @override
    def captions(self) -> dict[str, str]:
        words = "Densities of the part after equilibration: one hump, as of a system in one phase."
        return super().captions() | {"density_histogram": words}

    @override
    def labels(self) -> dict[str, str]:
        return {
            "heat_capacity": "heat capacity C_p",
            "heat_capacity_per_atom": "heat capacity C_p per atom",
            "heat_capacity_Cp_minus_CV": "C_p − C_V",
            "heat_capacity_CV": "heat capacity C_V",
        }

    @override
    def write_data(self, path: Callable[[str], Path]) -> None:
        super().write_data(path)
        if self.elastic is not None:
            self.elastic.write(path)

    @override
    def figures(self) -> dict[str, Figure]:
        if not self.rows:
            return super().figures()
        return {
            "density": self.trace("density_g_cm3", "density (g/cm³)"),
            **({} if self.unusable else {"density_histogram": self._density_histogram()}),
            "volume": self.trace("volume_A3", "volume (Å³)"),
            **super().figures(),
        }

    def _density_histogram(self) -> Figure:
        figure, axes = new_figure("density (g/cm³)", "probability density")
        values = self.series("density_g_cm3")[self.production_start :]
        # Where the barostat has accepted nothing, rounding is all that differs: too little for forty bins.
        pad = STILL_DENSITY * values.mean() if np.ptp(values) < STILL_DENSITY * values.mean() else 0.0
        bounds = (values.min() - pad, values.max() + pad)
        axes.hist(values, bins=40, range=bounds, density=True, color=COLOURS[0])
        return figure


@documented(NPTSettings)
def run_npt(
    atoms: Atoms,
    calc: Any,
    *,
    temperature_K: float,
    steps: int,
    pressure_bar: float = 1.0,
    cell_change: str = "isotropic",
    barostat_time_fs: float | None = None,
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
) -> NPTResult:
    """Run dynamics in the isothermal-isobaric ensemble; `cell_change` says what of the cell the pressure changes.

    Parameters
    ----------
    atoms : ase.Atoms
        The structure, periodic along all three axes, without constraints.
    calc : Calculator, path or sequence of paths
        An ASE calculator that gives the stress, or a model file or files; with engine="openmm" a dp-sim model.

    Returns
    -------
    NPTResult
        Density (g/cm^3), compressibility (1/GPa), thermal expansion (1/K) and heat capacity (k_B), each an `Estimate`;
        with a flexible cell elastic constants (GPa) too.
        The part before equilibration is found and left out. `converged` is false when the run became unstable, missed
        the temperature, or is too short for density or compressibility; an estimate that it does not support is
        withheld, with the number of steps that it would take.

    Raises
    ------
    InputError
        A setting out of range, a structure or calculator that the engine cannot use, an occupied output directory.

    Notes
    -----
    The barostat in ASE is a Langevin piston (J. Chem. Phys. 120, 11432 (2004)), or Martyna, Tobias and Klein's with
    thermostat="nose-hoover" (J. Chem. Phys. 101, 4177 (1994)); in OpenMM it is Monte Carlo, which moves molecules
    whole. With "nose-hoover" the centre of mass rests, and an ideal gas has <V> = N k_B T / p in place of
    (N + 1) k_B T / p. A cell whose shape changes is shown upright: a along a of the start, b in its plane of a and b.
    Nothing holds the shape of a fluid: its flexible cell drifts until the run is stopped.
    """
    return run_dynamics(NPTSettings, analyse, locals())


def analyse(recorded: Recorded, plan: Plan) -> NPTResult:
    """Make the estimates from the table of a run."""
    temperature_K, pressure_bar = plan.conditions.temperature_K, plan.conditions.pressure_bar
    assert temperature_K is not None
    assert pressure_bar is not None
    production = Production(recorded, plan, {"potential_eV": "potential energy", "volume_A3": "volume"})
    every = production.steps_per_sample

    def volume() -> NDArray[np.float64]:
        return production.series("volume_A3")

    def enthalpy() -> NDArray[np.float64]:
        """U + p V of each sample (eV), with the barostat's pressure p; without the kinetic energy."""
        return whole(production.series("potential_eV"))

    def mean_of_members(name: str) -> estimators.Computed:
        return lambda _, weights: estimators.average(production.series(name), weights)

    def kappa(_: NDArray[np.float64], weights: NDArray[np.float64] | None) -> estimators.Statistic:
        return estimators.compressibility_statistic(volume(), temperature_K, weights)

    def whole(potential: NDArray[np.float64]) -> NDArray[np.float64]:
        """U + p V of each sample with another U."""
        return potential + pressure_bar / EV_PER_A3_IN_BAR * volume()

    def of_both(statistic: Callable[..., estimators.Statistic]) -> estimators.Computed:
        """Compute a statistic of volume and enthalpy for a member."""
        return lambda potential, weights: statistic(volume(), whole(potential), temperature_K, weights)

    density = production.with_model_error(
        production.mean("density_g_cm3", "g/cm^3", "density"), mean_of_members("density_g_cm3")
    )
    compressibility = production.with_model_error(
        production.estimate(
            "1/GPa", lambda: estimators.compressibility(volume(), temperature_K, steps_per_sample=every)
        ),
        kappa,
    )
    expansion = production.with_model_error(
        production.estimate(
            "1/K", lambda: estimators.thermal_expansion(volume(), enthalpy(), temperature_K, steps_per_sample=every)
        ),
        of_both(estimators.expansion_statistic),
    )
    heat_capacity, per_atom = production.heat_capacities(enthalpy, "the enthalpy")
    freedom = recorded.degrees_of_freedom
    kinetic_eV = freedom / 2 * KB_EV_PER_K * temperature_K

    def at_constant_volume(which: int) -> Callable[[], Estimate]:
        return lambda: estimators.heat_capacity_at_constant_volume(
            volume(), enthalpy(), temperature_K, degrees_of_freedom=freedom, steps_per_sample=every
        )[which]

    def capacity_at_constant_volume(
        potential: NDArray[np.float64], weights: NDArray[np.float64] | None
    ) -> estimators.Statistic:
        c_p = estimators.heat_capacity_statistic(whole(potential), temperature_K, freedom, 1, weights)
        return c_p - of_both(estimators.capacity_difference_statistic)(potential, weights)

    return NPTResult(
        **production.common_fields(plan, {"the density": density, "the compressibility": compressibility}),
        volume_A3=production.with_model_error(
            production.mean("volume_A3", "A^3", "volume"), mean_of_members("volume_A3")
        ),
        density_g_cm3=density,
        compressibility_per_GPa=compressibility,
        thermal_expansion_per_K=expansion,
        bulk_modulus_GPa=production.with_model_error(
            production.estimate(
                "GPa", lambda: estimators.bulk_modulus(volume(), temperature_K, steps_per_sample=every)
            ),
            lambda energy, weights: 1.0 / kappa(energy, weights),
        ),
        enthalpy_eV=production.with_model_error(
            production.estimate(
                "eV",
                lambda: estimators.mean(
                    enthalpy() + kinetic_eV, unit="eV", what="the enthalpy", steps_per_sample=every
                ),
            ),
            lambda potential, weights: estimators.average(whole(potential), weights),
        ),
        heat_capacity_difference_kB=production.with_model_error(
            production.estimate("k_B", at_constant_volume(0)), of_both(estimators.capacity_difference_statistic)
        ),
        heat_capacity_at_constant_volume_kB=production.with_model_error(
            production.estimate("k_B", at_constant_volume(1)), capacity_at_constant_volume
        ),
        thermal_pressure_bar_per_K=production.with_model_error(
            production.estimate(
                "bar/K",
                lambda: estimators.expansion_over_compressibility(
                    volume(), enthalpy(), temperature_K, steps_per_sample=every
                ),
            ),
            of_both(estimators.thermal_pressure_statistic),
        ),
        heat_capacity_kB=heat_capacity,
        heat_capacity_kB_per_atom=per_atom,
        pressure_bar=production.mean("pressure_bar", "bar", "pressure"),
        elastic=elastic_constants_of(production, plan),
    )
