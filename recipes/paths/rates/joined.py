"""Whether two structures are the same, and whether a path joins the ends that were given.

Structures are compared by the distances between their atoms, so that neither their place nor the numbers of like atoms
matter. Two ends of a path are compared together: atom k of the one is atom k of the other, so each pair of atoms has
a distance in both, and it is the pairs of distances that must be found again. A methyl group that turns and a proton
that moves between two equal places both lead from a molecule to the same molecule; their pairs of distances differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.data import covalent_radii, vdw_radii
from numpy.typing import NDArray

from dp_sim.recipes.dynamics.molecules import components, find_bonds

Array = NDArray[np.float64]

#: Two relaxed copies of one minimum differ in no distance by more than this, Angstrom: soft motions are relaxed to some
#: hundredths, other minima differ by more than half an Angstrom in some distance.
SAME_A = 0.3
#: ... and in energy by no more than this, eV.
SAME_EV = 0.02
#: Fragments whose nearest atoms are farther apart than this times the sum of their van der Waals radii do not touch.
CONTACT = 1.2
#: Van der Waals radius of elements for which none is tabulated, in covalent radii.
OTHER_VDW = 1.8
#: Distances beyond this (Angstrom) of a large or periodic structure are left out: they tell nothing new.
FAR_A = 6.0
#: Structures of more atoms than this are large.
LARGE = 40


def fragments(atoms: Atoms) -> list[NDArray[np.intp]]:
    """Find the groups of atoms that bonds hold together: indices of each, in the order of their first atoms."""
    labels = components(len(atoms), find_bonds(atoms))
    return [np.flatnonzero(labels == number) for number in range(labels.max() + 1)]


def gap_between(atoms: Atoms, parts: Sequence[NDArray[np.intp]]) -> float:
    """Compute by how much the loosest fragment is away from all others, in sums of van der Waals radii.

    1 is a contact; of hydrogen bonds it is less.
    """
    radii = np.array([vdw_radii[z] if z < len(vdw_radii) else np.nan for z in atoms.numbers])
    radii = np.where(np.isnan(radii), OTHER_VDW * covalent_radii[atoms.numbers], radii)
    ratio = atoms.get_all_distances(mic=bool(atoms.pbc.any())) / (radii[:, None] + radii[None, :])
    between = np.array([[ratio[np.ix_(one, two)].min() for two in parts] for one in parts])
    # The gaps of the shortest tree that joins all of them: the longest of its edges.
    reached, widest = {0}, 0.0
    while len(reached) < len(parts):
        outside = [number for number in range(len(parts)) if number not in reached]
        nearest = between[np.ix_(sorted(reached), outside)].min(axis=0)
        widest = max(widest, float(nearest.min()))
        reached.add(outside[int(np.argmin(nearest))])
    return widest


def difference(found: Sequence[Atoms], given: Sequence[Atoms]) -> float:
    """Compute by how much structures differ that share the numbering of their atoms, Angstrom.

    Parameters
    ----------
    found, given
        As many structures in the one as in the other; the atoms of `found` may be numbered otherwise than those of
        `given`.

    Returns
    -------
    float
        The largest difference of a distance when pairs of like atoms are matched best; infinite for other elements.
    """
    if sorted(found[0].numbers) != sorted(given[0].numbers):
        return float("inf")
    ours, theirs = _distances(found), _distances(given)
    if (found[0].numbers == given[0].numbers).all():
        largest = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
        if largest <= SAME_A or found[0].pbc.any():
            return largest
    return _matched(found[0].numbers, ours, given[0].numbers, theirs)


def _distances(structures: Sequence[Atoms]) -> list[Array]:
    return [atoms.get_all_distances(mic=bool(atoms.pbc.any())) for atoms in structures]


def _matched(numbers: NDArray[np.int_], ours: list[Array], others: NDArray[np.int_], theirs: list[Array]) -> float:
    """Match the pairs of like atoms of both, and return the largest difference left."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - only where atoms are numbered otherwise

    worst = 0.0
    elements = sorted(set(numbers.tolist()))
    for position, one in enumerate(elements):
        for two in elements[position:]:
            a, b = _pairs(numbers, ours, one, two), _pairs(others, theirs, one, two)
            if len(numbers) > LARGE:
                a, b = (side[np.argsort(side.min(axis=1))] for side in (a, b))
                count = int(max((side.min(axis=1) < FAR_A).sum() for side in (a, b)))
                a, b = a[:count], b[:count]
            if not len(a):
                continue
            apart = np.abs(a[:, None, :] - b[None, :, :]).max(axis=2)
            rows, columns = linear_sum_assignment(apart**2)
            worst = max(worst, float(apart[rows, columns].max()))
    return worst


def _pairs(numbers: NDArray[np.int_], distances: list[Array], one: int, two: int) -> Array:
    """Distances of each pair of atoms of two elements, (pairs, structures)."""
    first, second = np.triu_indices(len(numbers), k=1)
    low, high = np.minimum(numbers[first], numbers[second]), np.maximum(numbers[first], numbers[second])
    chosen = (low == min(one, two)) & (high == max(one, two))
    return np.column_stack([each[first[chosen], second[chosen]] for each in distances])


def same_bonds(found: Atoms, given: Sequence[Atoms]) -> bool:
    """Tell whether a structure has the bonds of those given, whichever like atoms they join."""
    import networkx

    together = networkx.disjoint_union_all([_graph(atoms) for atoms in given])
    return bool(
        networkx.is_isomorphic(
            _graph(found), together, node_match=networkx.algorithms.isomorphism.categorical_node_match("element", 0)
        )
    )


def _graph(atoms: Atoms) -> object:
    import networkx

    graph = networkx.Graph()
    graph.add_nodes_from((number, {"element": int(z)}) for number, z in enumerate(atoms.numbers))
    graph.add_edges_from(map(tuple, find_bonds(atoms).tolist()))
    return graph


def mismatch(end: Atoms, given: Sequence[Atoms], name: str) -> str:
    """Say how an end of a path differs from what was given for it, as a clause; empty where it is the same.

    Parameters
    ----------
    end
        With its energy.
    given
        One structure with its energy, or several that are apart: then each must be found among the fragments of `end`.
    name
        What the sentence calls it.
    """
    if len(given) > 1:
        return "" if same_bonds(end, given) else f"has other bonds than the {name}s given"
    apart = difference([end], given)
    if apart <= SAME_A and abs(rise := _rise(end, given[0])) <= SAME_EV:
        return ""
    if apart <= SAME_A:
        return f"has the shape of the {name} given, but lies {rise:+.3f} eV from it"
    kind = "is another conformer of" if same_bonds(end, given) else "has other bonds than"
    return f"{kind} the {name} given (distances differ by up to {apart:.2f} Angstrom, {_rise(end, given[0]):+.3f} eV)"


def _rise(end: Atoms, given: Atoms) -> float:
    return float(end.get_potential_energy() - given.get_potential_energy())
