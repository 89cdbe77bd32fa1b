"""Starting velocities and the count of the degrees of freedom that move, for every engine alike."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.md.velocitydistribution import Stationary, thermalize_momenta

from dp_sim.errors import InputError
from dp_sim.recipes.dynamics.engines.conserved_motions import (
    ConservedMotions,
    find_conserved_motions,
    translations,
)
from dp_sim.recipes.dynamics.engines.protocol import Conditions
from dp_sim.recipes.dynamics.rigid_bonds.bonds import RigidBonds, take_stretch_away
from dp_sim.structures.stated import add_note

#: Nose-Hoover chains of fewer degrees of freedom are told to be doubtful.
FEW_DEGREES_OF_FREEDOM = 100


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


def start_motion(
    atoms: Atoms, conditions: Conditions, rng: np.random.Generator, rigid_bonds: RigidBonds | None = None
) -> tuple[int, tuple[str, ...]]:
    """Give `atoms` momenta; what a thermostat that scales all of them alike cannot drive is found from the forces.

    Parameters
    ----------
    atoms
        The structure, whose momenta are set; with its calculator where the thermostat is not Langevin's.
    conditions
        What is held constant.
    rng
        Generator of the momenta.
    rigid_bonds
        Bonds that are held; None: none are.

    Returns
    -------
    degrees_of_freedom
        Number of momenta that count.
    notes
        What of the ensemble is not sampled, as sentences.

    Raises
    ------
    InputError
        As for `start_velocities`; the calculator cannot evaluate a distorted structure.
    """
    if conditions.temperature_K is None or conditions.thermostat == "langevin":
        return start_velocities(atoms, conditions, rng, rigid_bonds=rigid_bonds), ()
    # Distortions of their own: the velocities of a seed are those of the other thermostats.
    distortions = np.random.default_rng(conditions.seed)
    conserved = find_conserved_motions(
        atoms, fixed_atoms(atoms), distortions, rotations=conditions.pressure_bar is None
    )
    degrees_of_freedom = start_velocities(atoms, conditions, rng, conserved, rigid_bonds)
    return degrees_of_freedom, tuple(_remarks(conditions.thermostat, degrees_of_freedom, conserved.count))


def _remarks(thermostat: str, degrees_of_freedom: int, conserved: int) -> list[str]:
    """Say what of the ensemble a thermostat that scales all momenta alike does not sample."""
    remarks = []
    if conserved > 3:
        remarks.append(
            f"thermostat='{thermostat}' conserves the angular momentum of what nothing hinders from turning: it is "
            f"zero, and {degrees_of_freedom} degrees of freedom count; thermostat='langevin' turns it as well"
        )
    if thermostat == "nose-hoover" and degrees_of_freedom < FEW_DEGREES_OF_FREEDOM:
        remarks.append(
            f"a Nose-Hoover chain need not sample {degrees_of_freedom} degrees of freedom, nor a nearly harmonic "
            "solid, ergodically: compare with thermostat='langevin'"
        )
    return remarks


def start_velocities(
    atoms: Atoms,
    conditions: Conditions,
    rng: np.random.Generator,
    conserved: ConservedMotions | None = None,
    rigid_bonds: RigidBonds | None = None,
) -> int:
    """Give `atoms` momenta and return the number of degrees of freedom.

    A structure that comes from a stage before keeps its momenta.

    Constant temperature: momenta are drawn from the Maxwell-Boltzmann distribution. A Langevin thermostat drives the
    centre of mass as well, so all 3 N components (less those of fixed atoms) are drawn and counted. The others scale
    all momenta alike: what the forces conserve is removed and not counted. Constant energy: momenta that the structure
    carries are kept; without any they are drawn at `start_temperature_K`. The motion of the centre of mass is
    conserved then, so it is removed, and its 3 degrees of freedom are not counted.

    Bonds that are held take one degree of freedom each, and the momenta that would stretch them. Motions of the whole
    stretch nothing, so that either can be removed before the other.

    Parameters
    ----------
    atoms
        The structure, whose momenta are set.
    conditions
        What is held constant.
    rng
        Generator of the momenta.
    conserved
        What the forces conserve; None: the total momentum, unless atoms are fixed.
    rigid_bonds
        Bonds that are held; no atom of theirs is fixed.

    Raises
    ------
    InputError
        All momenta are conserved, so that the thermostat has nothing to drive.
    """
    fixed = fixed_atoms(atoms)
    degrees_of_freedom = 3 * (len(atoms) - len(fixed)) - (0 if rigid_bonds is None else len(rigid_bonds))
    drawn_at = None if conditions.keeps_momenta else conditions.temperature_K or conditions.start_temperature_K
    if drawn_at is not None:
        thermalize_momenta(atoms, drawn_at, rng=rng)
    if rigid_bonds is not None:
        take_stretch_away(atoms, rigid_bonds)
    if conditions.temperature_K is not None:
        if conditions.thermostat == "langevin":
            return degrees_of_freedom
        if conserved is None:
            conserved = translations(0 if fixed else len(atoms))
        return _rest(atoms, conditions.thermostat, degrees_of_freedom, conserved)
    if fixed or len(atoms) == 1:
        return degrees_of_freedom
    Stationary(atoms, preserve_temperature=False)
    return degrees_of_freedom - 3


def _rest(atoms: Atoms, thermostat: str, degrees_of_freedom: int, conserved: ConservedMotions) -> int:
    """Take away the momenta of conserved motions, and return the number of those that are left."""
    left = degrees_of_freedom - conserved.count
    if left < 1:
        raise InputError(
            "thermostat-nothing-to-drive",
            f"thermostat='{thermostat}' scales all momenta alike, and the {degrees_of_freedom} of this structure are "
            "conserved: nothing is left to drive; use thermostat='langevin'",
        )
    if conserved.count:
        atoms.set_momenta(conserved.without(atoms.get_momenta(), atoms.get_masses()))
    return left
