"""Bonds as a graph: which ones change between two structures, and whether two structures have the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.linalg import block_diag

from dp_sim.recipes.dynamics.molecules import find_bonds

if TYPE_CHECKING:
    import networkx

#: Two atoms closer than this times the sum of their covalent radii are bonded: H-H up to 0.81 Angstrom, and O-H up to
#: 1.26, where hydrogen bonds have 1.5 and more.
FACTOR = 1.3
#: Up to so many atoms an equality of graphs is proved; beyond, equal Weisfeiler-Lehman hashes count as that.
_MOST_PROVED = 200


def bond_matrix(atoms: Atoms) -> NDArray[np.bool_]:
    """Find which atoms are bonded, (N, N), symmetric, through periodic boundaries too."""
    matrix = np.zeros((len(atoms), len(atoms)), dtype=bool)
    bonds = find_bonds(atoms, FACTOR)
    matrix[bonds[:, 0], bonds[:, 1]] = matrix[bonds[:, 1], bonds[:, 0]] = True
    return matrix


def changed_bonds(
    first: NDArray[np.bool_], second: NDArray[np.bool_], permutation: NDArray[np.intp]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """List the bonds that break and those that form from the first structure to the relabelled second one.

    Returns
    -------
    broken, formed
        Pairs of atoms i < j, numbered as in the first structure.
    """
    after = second[np.ix_(permutation, permutation)]
    broken, formed = np.triu(first & ~after), np.triu(after & ~first)
    return [(int(i), int(j)) for i, j in np.argwhere(broken)], [(int(i), int(j)) for i, j in np.argwhere(formed)]


def equal_graphs(numbers: tuple[NDArray[np.int_], NDArray[np.int_]], bonds: tuple[NDArray[np.bool_], ...]) -> bool:
    """Tell whether two structures have the same bonds, whatever the numbers of their atoms.

    Parameters
    ----------
    numbers
        (N,) atomic numbers of each.
    bonds
        (N, N) of each, from `bond_matrix`.
    """
    import networkx

    if not np.array_equal(_degrees(numbers[0], bonds[0]), _degrees(numbers[1], bonds[1])):
        return False
    graphs = [graph_of(*one) for one in zip(numbers, bonds, strict=True)]
    if len(numbers[0]) > _MOST_PROVED:
        hashes = [networkx.weisfeiler_lehman_graph_hash(graph, node_attr="element") for graph in graphs]
        return bool(hashes[0] == hashes[1])
    return bool(networkx.vf2pp_is_isomorphic(*graphs, node_label="element"))


def graph_of(numbers: NDArray[np.int_], bonds: NDArray[np.bool_]) -> networkx.Graph:
    """Make the graph of bonds (N, N) between atoms, each with its `element`."""
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from((k, {"element": int(number)}) for k, number in enumerate(numbers))
    graph.add_edges_from((int(i), int(j)) for i, j in np.argwhere(np.triu(bonds)))
    return graph


def same_bonds(found: Atoms, given: Sequence[Atoms]) -> bool:
    """Tell whether a structure has the bonds of those given, taken together, whichever like atoms they join."""
    numbers = np.concatenate([atoms.numbers for atoms in given])
    together = block_diag(*(bond_matrix(atoms) for atoms in given)).astype(bool)
    return equal_graphs((found.numbers, numbers), (bond_matrix(found), together))


def same_change(found: Sequence[Atoms], given: Sequence[Atoms]) -> bool:
    """Tell whether the same bonds change from the first to the second of two molecules as in those given.

    Atom k of the one is atom k of the other; one relabelling of like atoms must bring the bonds of both onto those
    given. False where no bond changes: then it is not bonds that tell one motion from another, as where a molecule
    turns inside out or a group turns; and in a crystal, where bonds are a matter of taste.
    """
    if any(atoms.pbc.any() for atoms in (*found, *given)):
        return False
    pairs = [tuple(bond_matrix(atoms) for atoms in pair) for pair in (found, given)]
    if not (pairs[1][0] != pairs[1][1]).any():
        return False
    # A bond becomes a node of its own between its atoms, whose label tells in which of the two structures it is.
    spread = [_with_bonds_as_nodes(pair[0].numbers, *bonds) for pair, bonds in zip((found, given), pairs, strict=True)]
    numbers, joined = zip(*spread, strict=True)
    return bool(len(numbers[0]) == len(numbers[1]) and equal_graphs((numbers[0], numbers[1]), joined))


def _with_bonds_as_nodes(
    numbers: NDArray[np.int_], first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> tuple[NDArray[np.int_], NDArray[np.bool_]]:
    """Label atoms by their elements and bonds by -1, -2, -3: only in the first structure, only in the second, both."""
    ends = np.argwhere(np.triu(first | second))
    labels = -(first[*ends.T] + 2 * second[*ends.T].astype(int))
    n = len(numbers)
    joined = np.zeros((n + len(ends), n + len(ends)), dtype=bool)
    for node, atoms in enumerate(ends, n):
        joined[node, atoms] = joined[atoms, node] = True
    return np.concatenate([numbers, labels]), joined


def isomorphisms(
    numbers: tuple[NDArray[np.int_], NDArray[np.int_]], bonds: tuple[NDArray[np.bool_], ...], most: int
) -> list[NDArray[np.intp]]:
    """List relabellings of the second structure that keep all bonds of the first, at most `most`."""
    import networkx

    graphs = [graph_of(*one) for one in zip(numbers, bonds, strict=True)]
    found = networkx.vf2pp_all_isomorphisms(*graphs, node_label="element")
    return [np.array([mapping[k] for k in range(len(numbers[0]))], dtype=np.intp) for mapping in islice(found, most)]


def _degrees(numbers: NDArray[np.int_], bonds: NDArray[np.bool_]) -> NDArray[np.int_]:
    pairs = np.column_stack([numbers, bonds.sum(axis=1)])
    return np.asarray(pairs[np.lexsort(pairs.T)])
