"""Parts of a structure: molecules, which bonds hold together, and fragments, which touch.

Fragments that do not touch drift, and a soft mode that moves them is no reaction's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii, vdw_alvarez
from ase.geometry import get_distances
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dp_sim.recipes.dynamics.molecules import components, find_bonds

Array = NDArray[np.float64]

#: Atoms touch up to this times the sum of their van der Waals radii.
TOUCHING = 1.25
#: Radius of an element without a known one: its covalent radius and this, Angstrom.
BEYOND_COVALENT_A = 0.8
#: A mode is the drift of fragments where they move as rigid bodies with more than this share of it, and it is softer
#: than this, cm^-1: what holds apart things more stiffly is a field, or a calculator with long arms.
DRIFT, SOFT_CM1 = 0.5, 100.0


def molecules(atoms: Atoms) -> list[NDArray[np.intp]]:
    """Find the groups of atoms that bonds hold together, in the order of their first atoms."""
    labels = components(len(atoms), find_bonds(atoms))
    return [np.flatnonzero(labels == number) for number in range(labels.max() + 1)]


def fragments(atoms: Atoms) -> list[NDArray[np.intp]]:
    """Find the groups of atoms that touch, directly or through others; the largest first."""
    radii = vdw_alvarez.vdw_radii[atoms.numbers]
    radii = TOUCHING * np.where(np.isnan(radii), covalent_radii[atoms.numbers] + BEYOND_COVALENT_A, radii)
    i, j = neighbor_list("ij", atoms, list(radii))
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(atoms), len(atoms)))
    number, labels = connected_components(graph, directed=False)
    return sorted((np.flatnonzero(labels == one) for one in range(number)), key=len, reverse=True)


def gap_words(atoms: Atoms, parts: list[NDArray[np.intp]]) -> str:
    """Name the fragments and say how far the second is from the others: `C2H4 and H2, 5.1 Angstrom apart`."""
    names = [atoms[part].get_chemical_formula() for part in parts]
    others = np.concatenate([parts[0], *parts[2:]])
    _, distances = get_distances(atoms.positions[parts[1]], atoms.positions[others], cell=atoms.cell, pbc=atoms.pbc)
    return f"{', '.join(names[:-1])} and {names[-1]}, {distances.min():.1f} Angstrom apart"


class Drift(NamedTuple):
    """How much of a mode moves whole fragments: its share, and the fragments in words."""

    share: float
    words: str


def drift(atoms: Atoms, mode: Array) -> Drift:
    """Measure how much of a mode (N, 3) moves fragments as rigid bodies; nothing where all atoms hold together."""
    parts = fragments(atoms)
    if len(parts) < 2:
        return Drift(0.0, "")
    root = np.sqrt(atoms.get_masses())[:, None]
    columns = []
    for part in parts:
        arms = atoms.positions[part] - atoms.positions[part].mean(axis=0)
        for axis in np.eye(3):
            for motion in (np.tile(axis, (len(part), 1)), np.cross(axis, arms)):
                column = np.zeros((len(atoms), 3))
                column[part] = motion
                columns.append((root * column).ravel())
    vectors, values, _ = np.linalg.svd(np.array(columns).T, full_matrices=False)
    basis = vectors[:, values > 1e-6 * values[0]]
    weighted = (root * mode).ravel()
    share = float(np.sum((basis.T @ weighted) ** 2) / (weighted @ weighted))
    return Drift(share, gap_words(atoms, parts))
