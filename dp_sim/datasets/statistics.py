"""What data hold before anything is trained: neighbours within a cutoff, and labels with their range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dp_sim.datasets.frames import Frame
from dp_sim.neighbors.pairs import find_pairs
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.species import species_index

#: Width of the bins of distance histograms, Angstrom.
BIN = 0.05


@dataclass(frozen=True)
class NeighborStatistics:
    """Neighbours of every atom of the data. Axes: T species of the centre, T species of the neighbour.

    species     element symbols, by atomic number
    cutoff      Angstrom, within which neighbours are counted
    reach       Angstrom, within which pairs were looked for; at least the cutoff
    atoms       (T,) atoms of each species over all frames
    closest     (T, T) shortest distance, Angstrom; NaN where no pair lies within `reach`
    counts      (T, T, K) atoms of species a that have k neighbours of species b within the cutoff
    histogram   (T, T, B) pairs by distance, in bins of BIN Angstrom up to `reach`
    volume      Angstrom^3 of all frames together; None where a frame is not periodic along all axes
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
        """(T, T) most neighbours of species b that an atom of species a has within the cutoff."""
        ks = np.arange(self.counts.shape[2])
        return np.where(self.counts > 0, ks, 0).max(axis=2)

    @property
    def mean(self) -> np.ndarray:
        """(T, T) neighbours of species b within the cutoff of an atom of species a, on average."""
        return self.counts @ np.arange(self.counts.shape[2]) / self.atoms[:, None]

    def mean_within(self, radius: float) -> float:
        """Neighbours of any species within `radius` (Angstrom, up to `reach`), averaged over all atoms."""
        return float(self.histogram[:, :, : round(radius / BIN)].sum() / self.atoms.sum())

    def density(self) -> tuple[np.ndarray, np.ndarray]:
        """Bin centres (B,) Angstrom and density of neighbours of species b around species a (T, T, B), 1/Angstrom^3."""
        edges = BIN * np.arange(self.histogram.shape[2] + 1)
        shells = 4 * np.pi / 3 * np.diff(edges**3)
        return 0.5 * (edges[1:] + edges[:-1]), self.histogram / (self.atoms[:, None, None] * shells)

    def radial_distribution(self) -> tuple[np.ndarray, np.ndarray]:
        """Bin centres (B,) Angstrom and g(r) (T, T, B); only where all frames have a volume."""
        assert self.volume is not None
        centers, density = self.density()
        return centers, density / (self.atoms / self.volume)[None, :, None]


def neighbor_statistics(frames: Sequence[Frame], cutoff: float = 6.0, reach: float = 0.0) -> NeighborStatistics:
    """Count the neighbours of every atom of every frame, images included.

    Distances are collected up to the larger of `cutoff` and `reach`, Angstrom.

    Raises
    ------
    InputError
        Two atoms of a frame lie on one spot.
    """
    from ase.data import chemical_symbols

    numbers = sorted({int(n) for frame in frames for n in np.unique(frame.numbers)})
    species = tuple(chemical_symbols[n] for n in numbers)
    t, reach = len(species), max(cutoff, reach)
    bins = int(np.ceil(reach / BIN))
    search = NeighborSearch(reach)
    atoms, closest = np.zeros(t, dtype=int), np.full((t, t), np.inf)
    counts, histogram = np.zeros((t, t, 1), dtype=int), np.zeros((t, t, bins), dtype=int)
    for frame in frames:
        pairs = find_pairs(frame, species_index(frame.numbers, species, frame.name), search, frame.name)
        own, other = pairs.species[pairs.center].numpy(), pairs.species[pairs.neighbor].numpy()
        distances = torch.linalg.vector_norm(pairs.vectors, dim=1).numpy()
        place = np.minimum((distances / BIN).astype(int), bins - 1)
        np.add.at(histogram, (own, other, place), 1)
        np.minimum.at(closest, (own, other), distances)
        near = distances < cutoff
        per_atom = np.zeros((len(frame.numbers), t), dtype=int)
        np.add.at(per_atom, (pairs.center.numpy()[near], other[near]), 1)
        missing = per_atom.max(initial=0) + 1 - counts.shape[2]
        counts = np.pad(counts, ((0, 0), (0, 0), (0, max(0, missing))))
        centers = pairs.species.numpy()
        np.add.at(counts, (centers[:, None], np.arange(t), per_atom), 1)
        atoms += np.bincount(centers, minlength=t)
    closest[np.isinf(closest)] = np.nan
    periodic = all(np.all(frame.pbc) for frame in frames)
    volume = sum(float(abs(np.linalg.det(frame.cell))) for frame in frames) if periodic else None
    return NeighborStatistics(species, cutoff, reach, atoms, closest, counts, histogram, volume)
