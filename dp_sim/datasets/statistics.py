"""Statistics of neighbours in data, before training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols

from dp_sim.datasets.findings import bond_share
from dp_sim.datasets.frames import Frame
from dp_sim.neighbors.pairs import find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import species_index

#: Width of the bins of distance histograms, Angstrom.
BIN = 0.05


@dataclass(frozen=True)
class NeighborStatistics:
    """Neighbours of all atoms of the data. Axes: T species of the centre, T species of the neighbour.

    Attributes
    ----------
    species
        Chemical symbols, by atomic number.
    cutoff
        Neighbours are counted within it, Angstrom.
    reach
        Pairs are searched within it, Angstrom; at least the cutoff.
    atoms
        (T,) atoms of each species over all frames.
    closest
        (T, T) shortest distance, Angstrom; NaN if no pair is within `reach`.
    counts
        (T, T, K) atoms of species a that have k neighbours of species b within the cutoff.
    histogram
        (T, T, B) pairs by distance, in bins of BIN Angstrom up to `reach`.
    volume
        Angstrom^3 of all frames together; None if a frame is not periodic along all axes.
    """

    species: tuple[str, ...]
    cutoff: float
    reach: float
    atoms: np.ndarray
    closest: np.ndarray
    counts: np.ndarray
    histogram: np.ndarray
    volume: float | None

    @property
    def largest(self) -> np.ndarray:
        """(T, T) largest number of neighbours of species b within the cutoff of an atom of species a."""
        ks = np.arange(self.counts.shape[2])
        return np.where(self.counts > 0, ks, 0).max(axis=2)

    @property
    def mean(self) -> np.ndarray:
        """(T, T) mean number of neighbours of species b within the cutoff of an atom of species a."""
        return self.counts @ np.arange(self.counts.shape[2]) / self.atoms[:, None]

    def mean_within(self, radius: float) -> float:
        """Compute the mean number of neighbours of any species within `radius` (Angstrom, up to `reach`) of an atom."""
        return float(self.histogram[:, :, : round(radius / BIN)].sum() / self.atoms.sum())

    def density(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the density of neighbours of species b around species a.

        Returns
        -------
        tuple of arrays
            Centres of the bins (B,), Angstrom, and densities (T, T, B), 1/Angstrom^3.
        """
        edges = BIN * np.arange(self.histogram.shape[2] + 1)
        shells = 4 * np.pi / 3 * np.diff(edges**3)
        return 0.5 * (edges[1:] + edges[:-1]), self.histogram / (self.atoms[:, None, None] * shells)

    def radial_distribution(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute g(r); all frames must have a volume.

        Returns
        -------
        tuple of arrays
            Centres of the bins (B,), Angstrom, and g(r) (T, T, B).
        """
        assert self.volume is not None
        centers, density = self.density()
        return centers, density / (self.atoms / self.volume)[None, :, None]


class NeighborCounter:
    """Counts the neighbours of every atom, periodic images included, one frame at a time.

    Parameters
    ----------
    cutoff
        Neighbours are counted within it, Angstrom.
    reach
        Distances are collected up to the larger of `cutoff` and `reach`, Angstrom.
    """

    def __init__(self, cutoff: float = 6.0, reach: float = 0.0) -> None:
        self.cutoff, self.reach = cutoff, max(cutoff, reach)
        self._bins = int(np.ceil(self.reach / BIN))
        self._search = NeighborSearch(self.reach)
        self._species: tuple[str, ...] = ()  # in the order in which they come
        self._atoms = np.zeros(0, dtype=int)
        self._closest = np.zeros((0, 0))
        self._counts, self._histogram = np.zeros((0, 0, 1), dtype=int), np.zeros((0, 0, self._bins), dtype=int)
        self._volume: float | None = 0.0

    def add(self, frame: Frame) -> float:
        """Count one frame.

        Returns
        -------
        float
            Its shortest distance over the sum of covalent radii; infinite without pairs.

        Raises
        ------
        InputError
            Two atoms are at the same position.
        """
        self._grow(frame)
        t = len(self._species)
        pairs = find_pairs(frame, species_index(frame.numbers, self._species, frame.name), self._search, frame.name)
        own, other = pairs.species[pairs.center].numpy(), pairs.species[pairs.neighbor].numpy()
        distances = torch.linalg.vector_norm(pairs.vectors, dim=1).numpy()
        kind = own * t + other
        bin_index = np.minimum((distances / BIN).astype(int), self._bins - 1)
        self._histogram += np.bincount(kind * self._bins + bin_index, minlength=t * t * self._bins).reshape(t, t, -1)
        np.minimum.at(self._closest, (own, other), distances)
        centers = pairs.species.numpy()
        self._count(centers, pairs.center.numpy()[distances < self.cutoff], other[distances < self.cutoff])
        self._atoms += np.bincount(centers, minlength=t)
        if self._volume is not None:
            self._volume = self._volume + float(abs(np.linalg.det(frame.cell))) if np.all(frame.pbc) else None
        return bond_share(pairs, self._species)

    def _grow(self, frame: Frame) -> None:
        """Extend the arrays for species that appear for the first time."""
        new = [chemical_symbols[n] for n in np.unique(frame.numbers) if chemical_symbols[n] not in self._species]
        if new:
            self._species += tuple(new)
            more = (0, len(new))
            self._atoms = np.pad(self._atoms, more)
            self._closest = np.pad(self._closest, (more, more), constant_values=np.inf)
            self._counts = np.pad(self._counts, (more, more, (0, 0)))
            self._histogram = np.pad(self._histogram, (more, more, (0, 0)))

    def _count(self, centers: np.ndarray, near: np.ndarray, species: np.ndarray) -> None:
        """Count atoms by the number of their neighbours of each species; `near` (P,) holds centres of near pairs."""
        t, n = len(self._species), len(centers)
        per_atom = np.bincount(near * t + species, minlength=n * t).reshape(n, t)
        missing = per_atom.max(initial=0) + 1 - self._counts.shape[2]
        if missing > 0:
            self._counts = np.pad(self._counts, ((0, 0), (0, 0), (0, missing)))
        np.add.at(self._counts, (centers[:, None], np.arange(t), per_atom), 1)

    def statistics(self) -> NeighborStatistics:
        """Return the statistics so far, with species by atomic number."""
        order = sorted(range(len(self._species)), key=lambda i: atomic_numbers[self._species[i]])
        square = np.ix_(order, order)
        closest = np.where(np.isinf(self._closest), np.nan, self._closest)[square]
        species = tuple(self._species[i] for i in order)
        return NeighborStatistics(
            species,
            self.cutoff,
            self.reach,
            self._atoms[order],
            closest,
            self._counts[square],
            self._histogram[square],
            self._volume,
        )


def neighbor_statistics(frames: Iterable[Frame], cutoff: float = 6.0, reach: float = 0.0) -> NeighborStatistics:
    """Count the neighbours of every atom of all frames.

    Parameters
    ----------
    frames
        The data.
    cutoff, reach
        As for `NeighborCounter`, Angstrom.

    Raises
    ------
    InputError
        Two atoms of a frame are at the same position.
    """
    counter = NeighborCounter(cutoff, reach)
    for frame in frames:
        counter.add(frame)
    return counter.statistics()
