"""Bonds and molecules found by distance: for barostats that move molecules whole, and for PDB files."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import find_mic
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

#: Two atoms closer than this times the sum of their covalent radii count as bonded: O-H up to 1.16 Angstrom, which
#: holds for a stretched bond and leaves out hydrogen bonds (1.6 and more).
BOND_FACTOR = 1.2
#: Farther apart than this times that sum the bond has broken: 1.9 Angstrom for O-H.
BROKEN_FACTOR = 2.0


def has_broken_bond(atoms: Atoms, bonds: list[tuple[int, int]]) -> bool:
    """Tell whether one of the bonds has broken; positions must be those of whole molecules."""
    if not bonds:
        return False
    pairs = np.array(bonds)
    lengths = np.linalg.norm(atoms.positions[pairs[:, 0]] - atoms.positions[pairs[:, 1]], axis=1)
    return bool((lengths > BROKEN_FACTOR * covalent_radii[atoms.numbers[pairs]].sum(axis=1)).any())


def find_bonds(atoms: Atoms, factor: float = BOND_FACTOR) -> NDArray[np.int_]:
    """Find the bonds of a structure, those through a periodic boundary too.

    Parameters
    ----------
    atoms
        The structure.
    factor
        Atoms closer than this times the sum of their covalent radii are bonded.

    Returns
    -------
    ndarray
        (M, 2) atoms i < j of each bond, once, in rising order. An atom has no bond with its own image.
    """
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=factor))
    return np.unique(np.column_stack([first, second])[first < second], axis=0)


def components(n_atoms: int, bonds: Sequence[tuple[int, int]] | NDArray[np.int_]) -> NDArray[np.int_]:
    """Give each atom the number of the group that bonds join it to: (N,) from 0, in the order of first atoms."""
    pairs = np.asarray(bonds, dtype=int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_atoms, n_atoms))
    _, labels = connected_components(graph, directed=False)
    _, where, numbers = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(where))[numbers])


def made_whole(
    positions: NDArray[np.float64], tree: list[tuple[int, int]], cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move the second atom of each bond next to the first, by lattice vectors.

    Parameters
    ----------
    positions
        (N, 3).
    tree
        Bonds that join the atoms of a group without a ring, from its first atom outwards: those of `find_molecules`.
    cell
        (3, 3) lattice vectors in rows, periodic along all of them.
    """
    whole = positions.copy()
    for pairs in _levels(tree):
        steps, _ = find_mic(whole[pairs[:, 1]] - whole[pairs[:, 0]], cell)
        whole[pairs[:, 1]] = whole[pairs[:, 0]] + steps
    return whole


def _levels(tree: list[tuple[int, int]]) -> list[NDArray[np.int_]]:
    """Sort the bonds of a tree by their distance from its root."""
    depth: dict[int, int] = {}
    levels: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for first, second in tree:
        depth[second] = depth.get(first, 0) + 1
        levels[depth[second]].append((first, second))
    return [np.array(levels[level]) for level in sorted(levels)]


def find_molecules(atoms: Atoms) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    """Find the molecules of a structure.

    A network that meets its own periodic image (a crystal, a polymer chain through the box) has no centre that could
    be moved: its atoms stay single, where they are.

    Returns
    -------
    bonds
        (i, j) that join the atoms of each finite molecule as a tree.
    positions
        (N, 3) of whole molecules.
    """
    first, second, offset = neighbor_list("ijS", atoms, natural_cutoffs(atoms, mult=BOND_FACTOR))
    partners: dict[int, list[tuple[int, NDArray[np.int_]]]] = defaultdict(list)
    for i, j, shift in zip(first.tolist(), second.tolist(), offset, strict=True):
        partners[i].append((j, shift))
    images: dict[int, NDArray[np.int_]] = {}
    bonds: list[tuple[int, int]] = []
    positions = atoms.positions.copy()
    for start in range(len(atoms)):
        if start in images:
            continue
        tree, members, finite = _spanning_tree(start, partners, images)
        if finite:
            bonds += tree
            positions[members] += np.array([images[atom] for atom in members]) @ atoms.cell.array
    return bonds, positions


def _spanning_tree(
    start: int, partners: dict[int, list[tuple[int, NDArray[np.int_]]]], images: dict[int, NDArray[np.int_]]
) -> tuple[list[tuple[int, int]], list[int], bool]:
    """Walk over the bonds from `start`, entering in `images` the cell that makes each atom adjoin the one before.

    Returns the tree's bonds, its atoms, and whether every other bond agrees with it. If not, the walk has come back to
    an atom in another cell, and the network is infinite.
    """
    images[start] = np.zeros(3, dtype=int)
    tree, members, finite, waiting = [], [start], True, deque([start])
    while waiting:
        atom = waiting.popleft()
        for other, shift in partners[atom]:
            image = images[atom] + shift
            if other not in images:
                images[other] = image
                tree.append((atom, other))
                members.append(other)
                waiting.append(other)
            elif not np.array_equal(images[other], image):
                finite = False
    return tree, members, finite
