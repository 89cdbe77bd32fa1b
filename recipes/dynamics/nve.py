"""Dynamics at constant energy: how well the time step and the forces conserve it."""

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
from dp_sim.recipes.dynamics.result import DynamicsResult
from dp_sim.recipes.dynamics.settings import NVESettings
from dp_sim.recipes.results.quantities import Estimate, Quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: One eV/ps in meV/ns.
EV_PER_PS_IN_MEV_PER_NS = 1e6


@dataclass(frozen=True, kw_only=True)
class NVEResult(DynamicsResult):
    """The conservation of energy.

    Attributes
    ----------
    drift_meV_per_atom_ns
        Slope of the total energy, by least squares, meV/atom/ns.
    energy_fluctuation_meV_per_atom
        Standard deviation of the total energy, meV/atom; None if the run was unstable.
    """

    recipe: ClassVar[str] = "nve"
    title: ClassVar[str] = "Dynamics at constant energy"

    drift_meV_per_atom_ns: Estimate
    energy_fluctuation_meV_per_atom: float | None

    @override
    def quantities(self) -> dict[str, Quantity | Estimate]:
        fluctuation = self.energy_fluctuation_meV_per_atom
        return {
            "drift": self.drift_meV_per_atom_ns,
            "energy_fluctuation": Quantity(fluctuation, "meV/atom", self.cause if fluctuation is None else ""),
            **self.run_quantities(),
        }

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
        The drift of the total energy (meV/atom/ns) and its fluctuation (meV/atom). `converged` is false when the run
        became unstable or is too short for the drift.

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
    drift = production.estimate(
        "meV/atom/ns",
        lambda: estimators.slope(
            production.series("time_ps"),
            production.series("total_eV") * EV_PER_PS_IN_MEV_PER_NS / n_atoms,
            unit="meV/atom/ns",
            what="the total energy",
            steps_per_sample=production.steps_per_sample,
        ),
    )
    fluctuation = None if production.unusable else float(production.series("total_eV").std()) * 1000.0 / n_atoms
    return NVEResult(
        **production.common_fields(plan, {"the drift": drift}),
        drift_meV_per_atom_ns=drift,
        energy_fluctuation_meV_per_atom=fluctuation,
    )
