"""Starting velocities and the count of the degrees of freedom that move, for every engine alike."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.md.velocitydistribution import Stationary, thermalize_momenta

from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.structures.stated import add_note


def fixed_atoms(atoms: Atoms) -> list[int]:
    """List the indices of the atoms that `FixAtoms` holds."""
    fixed = [constraint.get_indices() for constraint in atoms.constraints if isinstance(constraint, FixAtoms)]
    return sorted({int(index) for indices in fixed for index in indices})


def stop_fixed_atoms(atoms: Atoms) -> None:
    """Set the momenta of fixed atoms to zero, in place, with a note: they would count in the temperature."""
    fixed = fixed_atoms(atoms)
    momenta = atoms.arrays.get("momenta")
    if momenta is not None and momenta[fixed].any():
        momenta[fixed] = 0.0
        add_note(atoms, f"{len(fixed)} fixed atoms had momenta in the structure, which were taken away")


def start_velocities(atoms: Atoms, conditions: Conditions, rng: np.random.Generator) -> int:
    """Give `atoms` momenta and return the number of degrees of freedom.

    A structure that comes from a stage before keeps its momenta.

    Constant temperature: momenta are drawn from the Maxwell-Boltzmann distribution. A Langevin thermostat drives the
    centre of mass as well, so all 3 N components (less those of fixed atoms) are drawn and counted. Constant energy:
    momenta that the structure carries are kept; without any they are drawn at `start_temperature_K`. The motion of
    the centre of mass is conserved then, so it is removed, and its 3 degrees of freedom are not counted.
    """
    fixed = fixed_atoms(atoms)
    degrees_of_freedom = 3 * (len(atoms) - len(fixed))
    if conditions.temperature_K is not None and conditions.keeps_momenta:
        return degrees_of_freedom
    if conditions.temperature_K is not None:
        thermalize_momenta(atoms, conditions.temperature_K, rng=rng)
        return degrees_of_freedom
    if conditions.start_temperature_K is not None:
        thermalize_momenta(atoms, conditions.start_temperature_K, rng=rng)
    if fixed or len(atoms) == 1:
        return degrees_of_freedom
    Stationary(atoms, preserve_temperature=False)
    return degrees_of_freedom - 3
