"""Heavier hydrogens for longer time steps: mass moved from each heavy atom to the hydrogens bonded to it."""

from __future__ import annotations

import math

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray

from dp_sim.errors import InputError, shown
from dp_sim.recipes.dynamics.molecules import BOND_FACTOR


def with_hydrogen_mass(atoms: Atoms, hydrogen_mass_amu: float) -> Atoms:
    """Copy a structure with heavier hydrogens; their mass is taken from the nearest heavier atom.

    Classical averages of positions, and with them energy, heat capacity, density and compressibility, do not depend on
    masses. The motion does: vibrations slow down, and the time step can grow with them (K. A. Feenstra et al., J.
    Comput. Chem. 20, 786 (1999)).

    Parameters
    ----------
    atoms
        The structure. Hydrogens that weigh so much already stay as they are.
    hydrogen_mass_amu
        The new mass of the hydrogens; the total mass stays the same.

    Raises
    ------
    InputError
        A hydrogen without a bonded heavier atom, or one that would be left lighter than its hydrogens.
    """
    if isinstance(hydrogen_mass_amu, bool) or not 1.0 <= hydrogen_mass_amu < math.inf:
        raise InputError(
            "setting-out-of-range",
            f"hydrogen_mass_amu must be a finite number of at least 1, got {shown(hydrogen_mass_amu)}",
        )
    atoms = atoms.copy()
    masses = atoms.get_masses()
    light = np.flatnonzero((atoms.numbers == 1) & (np.abs(masses - hydrogen_mass_amu) > 1e-9))
    nearest = _nearest_heavy_atoms(atoms, light)
    for hydrogen, heavy in nearest.items():
        masses[heavy] -= hydrogen_mass_amu - masses[hydrogen]
        masses[hydrogen] = hydrogen_mass_amu
    for heavy in set(nearest.values()):
        if masses[heavy] < min(hydrogen_mass_amu, atoms.get_masses()[heavy]):
            raise InputError(
                "hydrogen-mass-impossible",
                f"hydrogen_mass_amu={hydrogen_mass_amu:g} would leave atom {heavy} ({atoms.symbols[heavy]}) "
                f"{masses[heavy]:.1f} amu, less than its hydrogens; choose a smaller mass",
            )
    atoms.set_masses(masses)
    return atoms


def _nearest_heavy_atoms(atoms: Atoms, hydrogens: NDArray[np.int_]) -> dict[int, int]:
    """Find the heavier atom that each of the hydrogens is bonded to."""
    wanted = set(hydrogens.tolist())
    first, second, distances = neighbor_list("ijd", atoms, natural_cutoffs(atoms, mult=BOND_FACTOR))
    nearest: dict[int, int] = {}
    for pair in np.argsort(distances, kind="stable"):
        i, j = int(first[pair]), int(second[pair])
        if i in wanted and atoms.numbers[j] > 1:
            nearest.setdefault(i, j)
    for hydrogen in sorted(wanted - nearest.keys()):
        raise InputError(
            "hydrogen-mass-impossible",
            f"atom {hydrogen} (H) has no heavier atom bonded to it to take mass from; leave out hydrogen_mass_amu",
        )
    return nearest
