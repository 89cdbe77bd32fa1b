"""Forces of OpenMM whose ensembles are known in closed form, and a recipe run on them in place of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openmm as mm
from ase import Atoms
from systems_dynamics import ElasticBox, dimers

from dp_sim.recipes.dynamics import npt, nve, nvt
from dp_sim.recipes.dynamics.engines.openmm_engine import OpenMMEngine
from dp_sim.recipes.dynamics.loop import simulate
from dp_sim.recipes.dynamics.plan import make_plan
from dp_sim.recipes.dynamics.rigid_bonds.search import find_rigid_bonds
from dp_sim.recipes.dynamics.settings import NPTSettings, NVESettings, NVTSettings
from dp_sim.recipes.run.directory import RunDirectory
from dp_sim.units import EV_IN_KJ_PER_MOL, EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM

#: Module of a recipe -> its settings.
SETTINGS = {npt: NPTSettings, nve: NVESettings, nvt: NVTSettings}


def springs(sites: np.ndarray, topology=None):
    """An OpenMM force like `systems_dynamics.EinsteinCrystal`."""
    force = mm.CustomExternalForce("0.5*k*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
    force.addGlobalParameter("k", 5.0 * EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM / 0.1)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for index, site in enumerate(sites):
        force.addParticle(index, site * 0.1)
    return force


def no_force(topology=None):
    return mm.CustomExternalForce("0*periodicdistance(x,y,z,0,0,0)")


def run_with(
    recipe, atoms, calculator, make_force, out: Path | None = None, resume: bool = False, seed: int = 0,
    platform: str = "Reference", **settings,
):  # fmt: skip
    """The recipe with a force of ours in place of a model's; the calculator gives the stress of the same forces."""
    held = settings.pop("rigid_bonds", None)  # a setting of OpenMM, for which `make_plan` wants a model
    plan = make_plan(SETTINGS[recipe].check({"seed": seed, **settings}), atoms, calculator)
    plan = replace(plan, rigid_bonds=find_rigid_bonds(atoms) if held else None)
    with RunDirectory.of(
        plan.settings, out, structures=[atoms], calculator=calculator, overwrite=False, resume=resume
    ) as directory:
        engine = OpenMMEngine(
            plan.atoms, make_force, plan.conditions, calculator=plan.calculator, platform=platform,
            rigid_bonds=plan.rigid_bonds,
        )  # fmt: skip
        recorded = simulate(engine, directory, plan.settings, plan.conditions, progress=False)
        return recipe.analyse(recorded, plan)


def gas_of_molecules(n: int, bond: float, edge: float) -> tuple[Atoms, Callable[..., mm.Force]]:
    """`systems_dynamics.dimers`, with the same springs for OpenMM."""
    atoms, calculator = dimers(n, bond, edge)

    def bonds(topology=None):
        force = mm.HarmonicBondForce()
        force.setUsesPeriodicBoundaryConditions(True)
        for index in range(n):
            force.addBond(
                2 * index, 2 * index + 1, bond * 0.1, calculator.spring * EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM / 0.1
            )
        return force

    return atoms, bonds


def ase_force(atoms: Atoms, calculator: Any) -> Callable[..., mm.Force]:
    """Make the force of any ASE calculator, evaluated in OpenMM's axes."""
    moved = atoms.copy()
    moved.set_constraint()
    moved.calc = calculator

    def compute(state: mm.State) -> tuple[float, np.ndarray]:
        moved.positions = state.getPositions(asNumpy=True)._value * 10
        if moved.pbc.all():
            moved.set_cell(state.getPeriodicBoxVectors(asNumpy=True)._value * 10)
        energy, forces = moved.get_potential_energy(), moved.get_forces()
        return energy * EV_IN_KJ_PER_MOL, forces * EV_PER_ANGSTROM_IN_KJ_PER_MOL_NM

    def force(topology=None):
        made = mm.PythonForce(compute)
        made.setUsesPeriodicBoundaryConditions(bool(moved.pbc.all()))
        return made

    return force


def rubber(calculator: ElasticBox, topology=None) -> mm.Force:
    """Make the energy of an `ElasticBox` without atoms: K V0 |eta|^2 / 2 of the box alone."""
    force = mm.CustomVolumeForce(
        "k * (xx^2 + yy^2 + zz^2 + 2 * (xy^2 + xz^2 + yz^2)) / 2;"
        "xx = (ax^2 / e2 - 1) / 2; yy = ((bx^2 + by^2) / e2 - 1) / 2; zz = ((cx^2 + cy^2 + cz^2) / e2 - 1) / 2;"
        "xy = ax * bx / e2 / 2; xz = ax * cx / e2 / 2; yz = (bx * cx + by * cy) / e2 / 2"
    )
    force.addGlobalParameter("k", calculator.modulus * calculator.edge**3 * EV_IN_KJ_PER_MOL)
    force.addGlobalParameter("e2", (calculator.edge * 0.1) ** 2)
    return force
