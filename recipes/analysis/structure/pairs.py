"""Distances between atoms, frame by frame, as histograms for each pair of species."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.compiled.library import register_operators
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.search import NeighborSearch

Array = NDArray[np.float64]


def smallest_height(atoms: Atoms) -> float:
    """Return the smallest distance between opposite faces of the cell, Angstrom."""
    return float(1 / np.linalg.norm(atoms.cell.reciprocal(), axis=1).max())


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
        self.counts = {name: int((species == name).sum()) for name in names}
        self.edges = np.arange(int(r_max / bin_width + 1e-9) + 1) * bin_width
        reach = float(self.edges[-1])
        self._search = NeighborSearch(reach) if register_operators() else CompiledSearch(reach)
        self._of_atom = torch.tensor([names.index(one) for one in species.tolist()])
        row = np.empty((len(names), len(names)), dtype=np.int64)
        for number, (a, b) in enumerate(self.pairs):
            row[names.index(a), names.index(b)] = row[names.index(b), names.index(a)] = number
        self._row = torch.from_numpy(row)
        self._bin_width = bin_width

    def of_frame(self, atoms: Atoms) -> Array:
        """Count the distances of one frame, (pairs, bins): each pair of atoms once, with every periodic image."""
        positions, cell = torch.from_numpy(atoms.get_positions()), torch.from_numpy(atoms.cell.array.copy())
        found = self._search(positions, cell, torch.from_numpy(atoms.pbc.copy()))
        separation = positions[found.neighbor] - positions[found.center] + found.shift @ cell
        bins = (torch.linalg.vector_norm(separation, dim=1) / self._bin_width).to(torch.int64)
        n_bins = len(self.edges) - 1
        row = self._row[self._of_atom[found.center], self._of_atom[found.neighbor]]
        inside = bins < n_bins
        flat = torch.bincount(row[inside] * n_bins + bins[inside], minlength=len(self.pairs) * n_bins)
        return np.asarray(flat.reshape(len(self.pairs), n_bins).numpy() / 2, dtype=np.float64)  # (i, j) and (j, i)

    def n_pairs(self, a: str, b: str) -> float:
        """Return the number of pairs of different atoms: an ideal gas of so many atoms has g = 1 exactly."""
        n_a, n_b = self.counts[a], self.counts[b]
        return n_a * (n_a - 1) / 2 if a == b else n_a * n_b
