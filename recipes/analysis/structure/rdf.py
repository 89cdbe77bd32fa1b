"""Radial distribution functions with error bands, for each pair of species."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from dp_sim.errors import InputError
from dp_sim.recipes.analysis.series import BlockedSeries, standard_errors
from dp_sim.recipes.analysis.structure.coordination import Coordination, coordination
from dp_sim.recipes.analysis.structure.pairs import PairHistogram, smallest_height

Array = NDArray[np.float64]
#: Longest distance that is taken by default, Angstrom: beyond it liquids have no structure, and pairs cost time.
LONGEST = 15.0


@dataclass(frozen=True, kw_only=True)
class PairDistribution:
    """g(r) of one pair of species.

    Attributes
    ----------
    pair
        (A, B).
    r
        (K,) middle of each bin, Angstrom.
    g
        (K,) 1 for an ideal gas of as many atoms.
    error
        (K,) standard error; None with too few frames.
    neighbors
        (K,) average number of B within the end of each bin about an A.
    coordinations
        The number of neighbours up to the first minimum, of B about A and of A about B; one where A is B.
    """

    pair: tuple[str, str]
    r: Array
    g: Array
    error: Array | None
    neighbors: Array
    coordinations: tuple[Coordination, ...]

    @property
    def name(self) -> str:
        """Return the pair as `O-H`."""
        return "-".join(self.pair)


def longest_distance(atoms: Atoms, wanted: float | None) -> float:
    """Decide how far g(r) goes.

    Raises
    ------
    InputError
        `wanted` is beyond half the smallest height of the cell, where a sphere meets its own images.
    """
    half = smallest_height(atoms) / 2
    if wanted is not None and wanted > half * (1 + 1e-6):
        raise InputError(
            "distance-beyond-cell",
            f"r_max_A must be at most half the smallest height of the cell, {half:.3f} Å, got {wanted:g}",
        )
    return min(half, LONGEST) if wanted is None else wanted


class RadialDistribution:
    """Collects histograms of distances over frames.

    Each frame counts with its own volume (NPT):

        g_AB(r) = < V n_AB(r) > / (N_pairs (4/3) pi (r_2^3 - r_1^3))     (Allen and Tildesley, 2nd ed., eq. 8.15)

    with n_AB the pairs found in the bin from r_1 to r_2, exact in the shell's volume, and N_pairs all pairs of
    different atoms: N_A (N_A - 1) / 2 where A is B.

    Parameters
    ----------
    species
        (N,) name of the species of each atom.
    r_max, bin_width
        Angstrom.
    """

    def __init__(self, species: NDArray[np.str_], r_max: float, bin_width: float) -> None:
        self._histogram = PairHistogram(species, r_max, bin_width)
        edges = self._histogram.edges
        n_pairs = np.array([self._histogram.n_pairs(*pair) for pair in self._histogram.pairs])
        shells = 4 / 3 * np.pi * np.diff(edges**3)
        with np.errstate(divide="ignore"):
            self._per_pair = np.where(n_pairs > 0, 1 / n_pairs, 0.0)[:, None] / shells
        self._shape = (len(n_pairs), len(shells))
        self._distribution = BlockedSeries(n_pairs.size * shells.size)
        self._counts = BlockedSeries(n_pairs.size * shells.size)

    def add(self, atoms: Atoms) -> None:
        """Count the pairs of one frame."""
        counts = self._histogram.of_frame(atoms)
        self._counts.add(counts.ravel())
        self._distribution.add((counts * self._per_pair * atoms.get_volume()).ravel())

    def results(self) -> list[PairDistribution]:
        """Average over the frames: one distribution for each pair of species that has pairs."""
        edges: Array = np.asarray(self._histogram.edges, dtype=np.float64)
        middles = (edges[1:] + edges[:-1]) / 2
        g_blocks = self._distribution.blocks().reshape(-1, *self._shape)
        count_blocks = self._counts.blocks().reshape(-1, *self._shape)
        found = []
        for row, pair in enumerate(self._histogram.pairs):
            if not self._histogram.n_pairs(*pair):
                continue
            g, counts = g_blocks[:, row], count_blocks[:, row]
            centers = (pair,) if pair[0] == pair[1] else (pair, pair[::-1])
            sizes = [self._histogram.counts[center] for center, _ in centers]
            per_center = 2.0 if pair[0] == pair[1] else 1.0  # each pair of one species is seen from both its atoms
            found.append(
                PairDistribution(
                    pair=pair,
                    r=middles,
                    g=g.mean(axis=0),
                    error=standard_errors(g),
                    neighbors=per_center * counts.mean(axis=0).cumsum() / sizes[0],
                    coordinations=tuple(
                        coordination(names, edges, g, per_center * counts / size)
                        for names, size in zip(centers, sizes, strict=True)
                    ),
                )
            )
        return found
