"""The best relabelling of like atoms: the fewest bonds change, and then the atoms move least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from dp_sim.errors import InputError
from dp_sim.recipes.paths.matching.bond_graph import bond_matrix, isomorphisms
from dp_sim.recipes.paths.matching.superposition import Array, Frame

#: Orientations that the search of a molecule starts from, beside the one given, and relabellings that keep all bonds.
ORIENTATIONS = 60
ISOMORPHISMS = 500
#: More atoms of one element than this are not searched: the assignment takes a matrix of their squares.
MOST_ATOMS = 2000
#: Up to so many pairs of like atoms are exchanged one by one at the end.
_MOST_EXCHANGES = 3000
#: Sums of squares that differ by less than this, Angstrom^2, are equal.
_EQUAL_A2 = 1e-8


@dataclass(frozen=True)
class Matching:
    """A relabelling of the second structure.

    Attributes
    ----------
    permutation
        (N,) atom `permutation[k]` of the second structure stands for atom k of the first.
    rmsd_A
        Root-mean-square distance of the atoms, laid on each other, Angstrom.
    n_changed_bonds
        Bonds that only one of the two has.
    """

    permutation: NDArray[np.intp]
    rmsd_A: float
    n_changed_bonds: int

    @property
    def is_identity(self) -> bool:
        """Whether the atoms keep their numbers."""
        return bool((self.permutation == np.arange(len(self.permutation))).all())


def best_matching(first: Atoms, second: Atoms, *, keep_bonds: bool = True) -> Matching:
    """Find which atom of the second structure is best taken for which of the first.

    Parameters
    ----------
    first, second
        The same number of atoms of each element, in the same cell.
    keep_bonds
        Change as few bonds as possible, and among these move atoms least; False: move atoms least.

    Raises
    ------
    InputError
        `composition-differs`; `matching-too-large`: more than `MOST_ATOMS` of one element.

    Notes
    -----
    Isotopes are not exchanged for each other.
    Assignments (Hungarian method) from many orientations, relabellings that keep all bonds where there are such, and
    exchanges of two atoms at the end. No proof that nothing better exists.
    """
    return _Search(first, second, keep_bonds=keep_bonds).best()


def given_matching(first: Atoms, second: Atoms) -> Matching:
    """Measure the numbers that the atoms have: atom k stands for atom k, which must be of the same element."""
    search = _Search(first, second, keep_bonds=True)
    return search.measured(np.arange(len(first)))


def _check(first: Atoms, second: Atoms) -> None:
    if sorted(first.numbers) != sorted(second.numbers):
        raise InputError(
            "composition-differs",
            f"atoms of {first.get_chemical_formula()} and {second.get_chemical_formula()} cannot be matched; "
            "give two structures of the same atoms",
        )


def _labels(first: Atoms, second: Atoms) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """Give atoms of one element and one mass (to 0.1 amu) one label (N,); of one element where the masses differ."""
    labels = [100_000 * one.numbers + np.rint(10 * one.get_masses()).astype(int) for one in (first, second)]
    if not np.array_equal(np.sort(labels[0]), np.sort(labels[1])):
        return first.numbers, second.numbers
    return labels[0], labels[1]


class _Search:
    def __init__(self, first: Atoms, second: Atoms, *, keep_bonds: bool) -> None:
        _check(first, second)
        self.frame, self.keep_bonds = Frame(first), keep_bonds
        self.target, self.moving = first.positions, second.positions
        self.numbers = _labels(first, second)
        self.bonds = (bond_matrix(first), bond_matrix(second))
        self.groups = [
            (np.flatnonzero(self.numbers[0] == label), np.flatnonzero(self.numbers[1] == label))
            for label in np.unique(self.numbers[0])
        ]

    def measured(self, permutation: NDArray[np.intp]) -> Matching:
        laid = self.frame.laid(self.target, self.moving[permutation])
        changed = int((self.bonds[0] != self.bonds[1][np.ix_(permutation, permutation)]).sum()) // 2
        squares = ((laid - self.target) ** 2).sum(axis=1)
        return Matching(permutation, float(np.sqrt(squares.mean())), changed)

    def best(self) -> Matching:
        largest = max(len(group) for group, _ in self.groups)
        if largest > MOST_ATOMS:
            raise InputError(
                "matching-too-large",
                f"{largest} atoms of one element are too many to be matched, at most {MOST_ATOMS}; "
                "put the atoms of both structures in the same order",
            )
        best: Matching | None = None
        for permutation in self._candidates():
            found = self._settled(permutation)
            if best is None or self._is_better(found, best):
                best = found
        assert best is not None
        return self._exchanged(best)

    def _is_better(self, one: Matching, other: Matching) -> bool:
        if self.keep_bonds and one.n_changed_bonds != other.n_changed_bonds:
            return one.n_changed_bonds < other.n_changed_bonds
        return len(self.target) * (one.rmsd_A**2 - other.rmsd_A**2) < -_EQUAL_A2

    def _candidates(self) -> Iterator[NDArray[np.intp]]:
        """Yield relabellings to begin with: the one given (where it is one) first, so that it wins over equal ones."""
        if np.array_equal(*self.numbers):
            yield np.arange(len(self.target))
        yield self._assigned(self._centred())
        if not self.frame.turns:
            return
        # Only graphs of molecules: in a crystal the neighbours of an atom are no bonds that tell it apart.
        yield from isomorphisms(self.numbers, self.bonds, ISOMORPHISMS)
        centre = self.target.mean(axis=0)
        turned = self.moving - self.moving.mean(axis=0)
        for rotation in Rotation.random(ORIENTATIONS, rng=np.random.default_rng(0)):
            yield self._assigned(rotation.apply(turned) + centre)

    def _centred(self) -> Array:
        if not self.frame.turns:
            return np.asarray(self.moving)
        return np.asarray(self.moving - self.moving.mean(axis=0) + self.target.mean(axis=0))

    def _assigned(self, moving: Array) -> NDArray[np.intp]:
        """Assign to each atom one of the same element, so that the sum of squared distances is least."""
        permutation = np.empty(len(self.target), dtype=np.intp)
        for here, there in self.groups:
            rows, columns = linear_sum_assignment(self.frame.squared_distances(self.target[here], moving[there]))
            permutation[here[rows]] = there[columns]
        return permutation

    def _settled(self, permutation: NDArray[np.intp]) -> Matching:
        """Superpose and assign in turn, as long as that is better."""
        best = self.measured(permutation)
        while True:
            laid = np.empty_like(self.moving)
            laid[best.permutation] = self.frame.laid(self.target, self.moving[best.permutation])
            found = self.measured(self._assigned(laid))
            if not self._is_better(found, best):
                return best
            best = found

    def _exchanged(self, best: Matching) -> Matching:
        """Exchange two like atoms at a time, as long as that is better."""
        pairs = [pair for here, _ in self.groups for pair in combinations(here, 2)]
        if len(pairs) > _MOST_EXCHANGES:
            return best
        improved = True
        while improved:
            improved = False
            for i, j in pairs:
                permutation = best.permutation.copy()
                permutation[[i, j]] = permutation[[j, i]]
                found = self.measured(permutation)
                if self._is_better(found, best):
                    best, improved = self._settled(found.permutation), True
        return best
