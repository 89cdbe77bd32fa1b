"""Stereocentres: which hand they have, and whether a reaction keeps it.

Distances between atoms do not tell a molecule from its mirror image. Where a bond is exchanged at an atom, the new one
forms on the side of the old one (retention) or on the other side (inversion), and from a stereocentre these lead to
mirror images: to different molecules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase import Atoms

from dp_sim.recipes.paths.matching.bond_graph import bond_matrix, graph_of

#: Neighbours of a tetrahedral atom. Three unit vectors to them span a volume of 0.77, and of 0 in a plane with it; a
#: hand is told from the second number on.
TETRAHEDRAL, FLAT = 4, 0.3
#: So many bonds away an atom may differ for a neighbour to be another one.
REACH = 12


def same_hands(found: Sequence[Atoms], given: Sequence[Atoms]) -> bool:
    """Tell whether structures have the stereocentres of those given, or all the mirror images of these.

    Parameters
    ----------
    found, given
        Molecules with the same bonds one by one; all of a row are mirrored together.
    """
    ours, theirs = ([stereocentres(atoms) for atoms in row] for row in (found, given))
    mirrored = [Counter({(kind, -hand): number for (kind, hand), number in one.items()}) for one in theirs]
    return ours in (theirs, mirrored)


def stereocentres(atoms: Atoms) -> Counter[tuple[str, int]]:
    """Count the atoms with four different neighbours, by their place in the bond graph and their hand, +1 or -1."""
    import networkx

    graph = graph_of(atoms.numbers, bond_matrix(atoms))
    # A name for the place of each atom, the same in all molecules with the same bonds.
    names = {
        atom: hashes[-1]
        for atom, hashes in networkx.weisfeiler_lehman_subgraph_hashes(
            graph, node_attr="element", iterations=min(len(atoms), REACH)
        ).items()
    }
    found: Counter[tuple[str, int]] = Counter()
    for centre in graph:
        around = sorted(graph[centre], key=names.__getitem__)
        if len(around) == TETRAHEDRAL and len({names[one] for one in around}) == TETRAHEDRAL:
            found[names[centre], hand(atoms, centre, around[:3])] += 1
    return found


def hand(atoms: Atoms, centre: int, around: Sequence[int] | np.ndarray) -> int:
    """Tell on which side of an atom three others lie, seen in their order: +1 or -1, 0 in a plane with it."""
    arms = atoms.positions[list(around)] - atoms.positions[centre]
    volume = float(np.linalg.det(arms / np.linalg.norm(arms, axis=1)[:, None]))
    return 0 if abs(volume) < FLAT else int(np.sign(volume))


def courses(pair: Sequence[Atoms]) -> Counter[tuple[str, int]]:
    """Count the tetrahedral atoms that exchange a neighbour, by element: with retention, +1, or with inversion, -1.

    Parameters
    ----------
    pair
        Molecules before and after; atom k of the one is atom k of the other.
    """
    before, after = (bond_matrix(atoms) for atoms in pair)
    found: Counter[tuple[str, int]] = Counter()
    for centre in range(len(before)):
        kept = np.flatnonzero(before[centre] & after[centre])
        if len(kept) == TETRAHEDRAL - 1 and before[centre].sum() == after[centre].sum() == TETRAHEDRAL:
            turned = hand(pair[0], centre, kept) * hand(pair[1], centre, kept)
            found[pair[0].symbols[centre], turned] += 1
    return found
