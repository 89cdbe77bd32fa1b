"""By how much structures differ, told by the distances between their atoms.

Neither the place of a structure nor the numbers of like atoms matter, and mirror images are the same. Two ends of a
path are compared together: atom k of the one is atom k of the other, so each pair of atoms has a distance in both, and
it is the pairs of distances that must be found again. A methyl group that turns and a proton that moves between two
equal places both lead from a molecule to the same molecule; their pairs of distances differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]

#: Two relaxed copies of one minimum differ in no distance by more than this, Angstrom: soft motions are relaxed to some
#: hundredths, other minima differ by more than half an Angstrom in some distance.
SAME_DISTANCES_A = 0.3
#: Distances beyond this (Angstrom) of a large or periodic structure are left out: they tell nothing new.
FAR_A = 6.0
#: Structures of more atoms than this are large.
LARGE = 40


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
        if largest <= SAME_DISTANCES_A or found[0].pbc.any():
            return largest
    return _matched(found[0].numbers, ours, given[0].numbers, theirs)


def _distances(structures: Sequence[Atoms]) -> list[Array]:
    return [atoms.get_all_distances(mic=bool(atoms.pbc.any())) for atoms in structures]


def _matched(numbers: NDArray[np.int_], ours: list[Array], others: NDArray[np.int_], theirs: list[Array]) -> float:
    """Match the pairs of like atoms of both, and return the largest difference left."""
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
