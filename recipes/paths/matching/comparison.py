"""Whether two structures are the same one, wherever they lie and however their atoms are numbered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.recipes.paths.matching.bond_graph import bond_matrix, changed_bonds, equal_graphs
from dp_sim.recipes.paths.matching.relabelling import Matching, best_matching, given_matching

#: Structures that differ by less, Angstrom (root mean square), are the same: what two relaxations to one minimum leave.
SAME_A = 0.1


@dataclass(frozen=True)
class Comparison:
    """Two structures laid on each other.

    Attributes
    ----------
    rmsd_A
        Root-mean-square distance of the atoms, with the best relabelling, Angstrom.
    permutation
        (N,) atom `permutation[k]` of the second structure stands for atom k of the first.
    same_bonds
        Whether both have the same bonds, up to the numbers of like atoms.
    broken, formed
        Bonds that only the first, or only the second has, with this relabelling; numbered as in the first.
    """

    rmsd_A: float
    permutation: NDArray[np.intp]
    same_bonds: bool
    broken: tuple[tuple[int, int], ...]
    formed: tuple[tuple[int, int], ...]

    @property
    def same(self) -> bool:
        """Whether they are one structure: the same bonds, and within `SAME_A` of each other."""
        return self.same_bonds and self.rmsd_A < SAME_A


def same_structure(first: Atoms, second: Atoms, *, relabel: bool = True) -> Comparison:
    """Lay two structures on each other and compare them.

    Isolated molecules are turned and moved, but not mirrored: a molecule and its mirror image have the same bonds and
    lie apart. Of periodic structures each atom goes to its nearest image, and the whole is moved. Structures with
    constraints stay where they are.

    Parameters
    ----------
    first, second
        The same atoms, in the same cell.
    relabel
        Find the best relabelling of like atoms; False: the atoms are in the same order.

    Raises
    ------
    InputError
        `composition-differs`, `matching-too-large`.
    """
    found = _nearest(first, second) if relabel else given_matching(first, second)
    bonds = (bond_matrix(first), bond_matrix(second))
    broken, formed = changed_bonds(*bonds, found.permutation)
    same = not broken and not formed
    if relabel and not same:
        same = equal_graphs((first.numbers, second.numbers), bonds)
    return Comparison(found.rmsd_A, found.permutation, same, tuple(broken), tuple(formed))


def _nearest(first: Atoms, second: Atoms) -> Matching:
    """Take the relabelling that keeps most bonds, unless one that moves atoms less makes them the same structure."""
    keeping = best_matching(first, second)
    if not keeping.n_changed_bonds or first.pbc.any():
        return keeping
    moving = best_matching(first, second, keep_bonds=False)
    return moving if moving.rmsd_A < SAME_A else keeping
