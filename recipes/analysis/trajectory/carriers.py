"""What diffuses: single atoms, or molecules as their centres of mass."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dp_sim.recipes.dynamics.molecules import find_molecules, has_broken_bond

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Carriers:
    """A partition of the atoms.

    Attributes
    ----------
    species
        (M,) name of the species of each carrier: an element or a molecule's formula.
    weights
        (M, N) share of each atom in its carrier's mass.
    levels
        Bonds (parents, children) to walk over, in order, to make every molecule whole.
    bonds
        The same bonds as (i, j).
    """

    species: NDArray[np.str_]
    weights: csr_array
    levels: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]
    bonds: list[tuple[int, int]]

    @property
    def are_atoms(self) -> bool:
        """Whether every carrier is one atom."""
        return not self.bonds

    def positions(self, atoms: Atoms) -> Array:
        """Return the carriers' positions, (M, 3) Angstrom, molecules made whole across the boundary."""
        return np.asarray(self.weights @ self._whole(atoms))

    def velocities(self, velocities: Array) -> Array:
        """Return the carriers' velocities, (M, 3), from those of the atoms."""
        return np.asarray(self.weights @ velocities)

    def shares_of_mass(self, masses: Array) -> Array:
        """Return the share of each carrier in the mass of all, (M,), from the masses (N,) of the atoms."""
        own = np.asarray((self.weights != 0).astype(np.float64) @ masses)
        return own / own.sum()

    def have_reacted(self, atoms: Atoms) -> bool:
        """Tell whether a bond of the first frame has broken in this one."""
        whole = atoms.copy()
        whole.positions = self._whole(atoms)
        return has_broken_bond(whole, self.bonds)

    def _whole(self, atoms: Atoms) -> Array:
        """Return the atoms' positions with every molecule in one piece."""
        positions: Array = atoms.get_positions()
        for parents, children in self.levels:
            step = positions[children] - positions[parents]
            positions[children] = positions[parents] + nearest_image(step, atoms.cell.array, atoms.pbc)
        return positions


def single_atoms(atoms: Atoms) -> Carriers:
    """Let every atom be a carrier."""
    each = np.arange(len(atoms))
    identity = csr_array((np.ones(len(atoms)), (each, each)))
    return Carriers(np.array(atoms.get_chemical_symbols()), identity, (), [])


def molecules(atoms: Atoms) -> Carriers:
    """Let every molecule be a carrier, and every atom that is in none."""
    bonds, _ = find_molecules(atoms)
    owner, depth = np.arange(len(atoms)), np.zeros(len(atoms), dtype=int)
    by_depth: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for parent, child in bonds:  # as a tree, parents first
        owner[child], depth[child] = owner[parent], depth[parent] + 1
        by_depth[int(depth[child])].append((parent, child))
    _, number = np.unique(owner, return_inverse=True)
    masses = atoms.get_masses()
    total = np.bincount(number, weights=masses)
    weights = csr_array((masses / total[number], (number, np.arange(len(atoms)))), shape=(len(total), len(atoms)))
    members: dict[int, list[int]] = defaultdict(list)
    for atom, one in enumerate(number.tolist()):
        members[one].append(atom)
    species = np.array([atoms.symbols[members[one]].get_chemical_formula("hill") for one in range(len(total))])
    levels = tuple((np.array([p for p, _ in level]), np.array([c for _, c in level])) for level in by_depth.values())
    return Carriers(species, weights, levels, bonds)


def nearest_image(steps: Array, cell: Array, pbc: NDArray[np.bool_]) -> Array:
    """Return the periodic image of each vector that is nearest in scaled coordinates, (M, 3) Angstrom.

    In a triclinic cell it is the shortest one as long as it is below half the smallest height.
    """
    if not pbc.any():
        return steps
    scaled = np.linalg.solve(cell.T, steps.T).T if pbc.all() else steps @ np.linalg.pinv(cell)
    return steps - np.where(pbc, np.round(scaled), 0.0) @ cell
