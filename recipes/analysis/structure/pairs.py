"""Distances between atoms, frame by frame, as histograms for each pair of species."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import KDTree

Array = NDArray[np.float64]


def smallest_height(atoms: Atoms) -> float:
    """Return the smallest distance between opposite faces of the cell, Angstrom."""
    return float(1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1).max())


class _Trees(NamedTuple):
    """Atoms of a species as trees: those in the cell, and with them the images that are near enough to count."""

    own: KDTree
    images: KDTree


class PairHistogram:
    """Counts of distances for each pair of species.

    Parameters
    ----------
    species
        (N,) name of the species of each atom.
    r_max
        Longest distance, Angstrom.
    bin_width
        Angstrom; the last bin ends at or below `r_max`.

    Attributes
    ----------
    pairs
        (A, B) of each row of the histogram, A before B in order of first appearance.
    edges
        (K + 1,) of the bins, Angstrom.
    """

    def __init__(self, species: NDArray[np.str_], r_max: float, bin_width: float) -> None:
        names = list(dict.fromkeys(species.tolist()))
        self.pairs = list(itertools.combinations_with_replacement(names, 2))
        self._atoms = {name: np.flatnonzero(species == name) for name in names}
        self.counts = {name: len(atoms) for name, atoms in self._atoms.items()}
        self.edges = np.arange(int(r_max / bin_width + 1e-9) + 1) * bin_width

    def of_frame(self, atoms: Atoms) -> Array:
        """Count the distances of one frame, (pairs, bins): each pair of atoms once, with every periodic image."""
        trees = self._trees(atoms)
        counts = np.empty((len(self.pairs), len(self.edges) - 1))
        for row, (a, b) in enumerate(self.pairs):
            found = trees[a].own.count_neighbors(trees[b].images, self.edges, cumulative=False)
            counts[row] = found[1:] / (2 if a == b else 1)  # found[0]: each atom and itself; then (i, j) and (j, i)
        return counts

    def _trees(self, atoms: Atoms) -> dict[str, _Trees]:
        cell = atoms.cell.array
        scaled = np.linalg.solve(cell.T, atoms.positions.T).T % 1.0
        scaled[scaled >= 1.0] = 0.0  # of a tiny negative number
        lengths = np.diag(cell)
        reach = self.edges[-1] * np.linalg.norm(atoms.cell.reciprocal(), axis=1)  # in scaled coordinates
        is_box = np.array_equal(cell, np.diag(lengths)) and (lengths > 0).all()
        # A tree in a box knows the nearest image alone; a cell that a barostat has made smaller has two within reach.
        if is_box and (reach < 0.5 + 1e-6).all():
            boxed = {name: KDTree(scaled[own] * lengths, boxsize=lengths) for name, own in self._atoms.items()}
            return {name: _Trees(tree, tree) for name, tree in boxed.items()}
        turns = np.array(list(itertools.product(*(range(-n, n + 1) for n in np.ceil(reach).astype(int)))))
        trees = {}
        for name, own in self._atoms.items():
            images = (scaled[own] + turns[:, None]).reshape(-1, 3)
            near = ((images > -reach - 1e-9) & (images < 1 + reach + 1e-9)).all(axis=1)
            trees[name] = _Trees(KDTree(scaled[own] @ cell), KDTree(images[near] @ cell))
        return trees

    def n_pairs(self, a: str, b: str) -> float:
        """Return the number of pairs of different atoms: an ideal gas of so many atoms has g = 1 exactly."""
        n_a, n_b = self.counts[a], self.counts[b]
        return n_a * (n_a - 1) / 2 if a == b else n_a * n_b
