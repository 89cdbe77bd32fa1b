"""Dynamics at constant volume and temperature: heat capacity, mean energy, and the pressure of a bulk system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ase import Atoms
from typing_extensions import override

from dp_sim.recipes.dynamics.loop import Recorded
from dp_sim.recipes.dynamics.plan import Plan, carry_out, make_plan
from dp_sim.recipes.dynamics.production import Production
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.results.quantities import Estimate, Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class NVTResult(DynamicsResult):
    """heat_capacity_kB            C_V of the whole system (k_B), vibrations and kinetic energy, all momenta counted
    heat_capacity_kB_per_atom   the same divided by the number of atoms
    pressure_bar                mean pressure (bar); withheld unless periodic along three axes with a stress
    """

    recipe: ClassVar[str] = "nvt"
    title: ClassVar[str] = "Dynamics at constant volume and temperature"

    heat_capacity_kB: Estimate
    heat_capacity_kB_per_atom: Estimate
    pressure_bar: Estimate

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        pressure = {"pressure": self.pressure_bar} if self.atoms.pbc.all() else {}
        return {
            "heat_capacity": self.heat_capacity_kB,
            "heat_capacity_per_atom": self.heat_capacity_kB_per_atom,
            **pressure,
            **self.run_quantities(),
        }

    @override
    def figures(self) -> dict[str, Figure]:
        figures = super().figures()
        if self.rows and self.rows[0].pressure_bar is not None:
            figures["pressure"] = self.trace("pressure_bar", "pressure (bar)")
        return figures


def run_nvt(
    atoms: Atoms,
    calc: Any,
    *,
    temperature_K: float,
    steps: int,
    timestep_fs: float | None = None,
    engine: str = "ase",
    friction_per_ps: float = 5.0,
    hydrogen_mass_amu: float | None = None,
    sample_every: int = 10,
    frame_every: int = 100,
    backend: str | None = None,
    platform: str | None = None,
    out: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = True,
    seed: int = 0,
) -> NVTResult:
    """Langevin dynamics in the canonical ensemble.

    Parameters
    ----------
    atoms: the structure, of any periodicity (with engine="openmm": none or all three axes); FixAtoms is respected
    calc: an ASE calculator, or a model file or files; with engine="openmm" a dp-sim model
    temperature_K: of the thermostat
    steps: time steps in all, those of an earlier session counted when a run is resumed
    timestep_fs: None: 0.5 fs with hydrogen below 3 amu, 1 fs with other atoms below 20 amu, else 2 fs
    engine: "ase" or "openmm"
    friction_per_ps: of the thermostat; averages do not depend on it, the speed of sampling and the dynamics do
    hydrogen_mass_amu: mass of each hydrogen, taken from its heavy atom: averages stay, time steps may double at 4 amu
    sample_every, frame_every: steps between lines of thermo.csv and between frames of trajectory.extxyz
    backend, platform: of OpenMM: "torchscript", "python" or "auto"; "CUDA", "CPU", "Reference", ...

    The part before equilibration is found and left out. `converged` is false when the run became unstable, missed the
    temperature, or is too short for the heat capacity, which is then withheld with the number of steps it would take.
    A resumed run repeats an uninterrupted one to the last digit, on the same machine.

    Raises
    ------
    InputError
        A setting out of range, a structure or calculator that the engine cannot use, an occupied output directory.
    """
    plan = make_plan(
        atoms,
        calc,
        temperature_K=temperature_K,
        steps=steps,
        timestep_fs=timestep_fs,
        engine=engine,
        friction_per_ps=friction_per_ps,
        hydrogen_mass_amu=hydrogen_mass_amu,
        sample_every=sample_every,
        frame_every=frame_every,
        backend=backend,
        platform=platform,
        seed=seed,
    )
    return carry_out("nvt", plan, analyse, out=out, overwrite=overwrite, resume=resume, progress=progress)


def analyse(recorded: Recorded, plan: Plan) -> NVTResult:
    """The estimates from the table of a run."""
    production = Production(recorded, plan, {"potential_eV": "potential energy"})
    heat_capacity, per_atom = production.heat_capacities(
        lambda: production.series("potential_eV"), "the potential energy"
    )
    return NVTResult(
        **production.common_fields(plan, {"the heat capacity": heat_capacity}),
        heat_capacity_kB=heat_capacity,
        heat_capacity_kB_per_atom=per_atom,
        pressure_bar=production.mean("pressure_bar", "bar", "pressure"),
    )
