"""Statistics of neighbours in data, before training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from dp_sim.compiled.library import register_operators
from dp_sim.datasets.frames import Frame
from dp_sim.errors import InputError
from dp_sim.neighbors.compiled_search import CompiledSearch
from dp_sim.neighbors.pairs import pair_vectors
from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import AtomicBatch, NeighborList
from dp_sim.structures.checks import StructureArrays, check_density, check_distances, joined
from dp_sim.structures.species import species_index

#: Width of the bins of distance histograms, Angstrom.
BIN = 0.05
#: Atoms of frames whose neighbours are searched together: more gain no speed, and take memory for their pairs.
BATCH_ATOMS = 1000


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
        self._search, self._compiled_search = NeighborSearch(self.reach), CompiledSearch(self.reach)
        self._species: tuple[str, ...] = ()  # in the order in which they come
        self._atoms = np.zeros(0, dtype=int)
        self._closest = np.zeros((0, 0))
        self._counts, self._histogram = np.zeros((0, 0, 1), dtype=int), np.zeros((0, 0, self._bins), dtype=int)
        self._volume: float | None = 0.0

    def add(self, frame: Frame) -> float:
        """Count one frame; see `add_batch`."""
        return float(self.add_batch([frame])[0])

    def add_batch(self, frames: Sequence[Frame]) -> NDArray[np.float64]:
        """Count several frames, whose neighbours are searched together: faster for small ones.

        Returns
        -------
        (S,) array
            The shortest distance of each frame over the sum of covalent radii; infinite without pairs.

        Raises
        ------
        InputError
            Two atoms are at the same position, or a cell is too small; names the frame.
        """
        try:
            arrays, pairs = self._pairs(frames)
        except InputError:
            for frame in frames if len(frames) > 1 else ():  # find which of them it is
                self._pairs([frame])
            raise
        self._grow(arrays.numbers)
        t, numbers = len(self._species), arrays.numbers
        species = species_index(numbers, self._species).numpy()
        center, neighbor, distances = pairs
        own, other = species[center], species[neighbor]
        kind = own * t + other
        bin_index = np.minimum((distances / BIN).astype(int), self._bins - 1)
        self._histogram += np.bincount(kind * self._bins + bin_index, minlength=t * t * self._bins).reshape(t, t, -1)
        np.minimum.at(self._closest.reshape(-1), kind, distances)
        within = distances < self.cutoff
        self._count(species, center[within], other[within])
        self._atoms += np.bincount(species, minlength=t)
        if self._volume is not None:
            volumes = np.abs(np.linalg.det(arrays.cell)).sum()
            self._volume = self._volume + float(volumes) if arrays.pbc.all() else None
        shares = np.full(len(frames), np.inf)
        radii = covalent_radii[numbers]
        np.minimum.at(shares, arrays.system[center], distances / (radii[center] + radii[neighbor]))
        return shares

    def _pairs(
        self, frames: Sequence[Frame]
    ) -> tuple[StructureArrays, tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
        """Check the frames and find their pairs: centres (P,), neighbours (P,) and distances (P,), Angstrom."""
        name = frames[0].name
        arrays = joined(frames)  # frames were checked when they were made
        check_density(arrays, self.reach, name)
        positions, cell, pbc, system = map(torch.from_numpy, (arrays.positions, arrays.cell, arrays.pbc, arrays.system))
        batch = AtomicBatch(positions, torch.from_numpy(arrays.numbers), cell, system)
        if register_operators():
            pairs = self._search.of_systems(batch, pbc)
        else:
            pairs = NeighborList(*self._compiled_search.of_systems(positions, cell, pbc, system)[:3])
        distances = torch.linalg.vector_norm(pair_vectors(batch, pairs), dim=1)
        check_distances(distances, pairs.center, pairs.neighbor, name)
        return arrays, (pairs.center.numpy(), pairs.neighbor.numpy(), distances.numpy())

    def _grow(self, numbers: NDArray[np.int64]) -> None:
        """Extend the arrays for species that appear for the first time."""
        new = [chemical_symbols[n] for n in np.unique(numbers) if chemical_symbols[n] not in self._species]
        if new:
            self._species += tuple(new)
            more = (0, len(new))
            self._atoms = np.pad(self._atoms, more)
            self._closest = np.pad(self._closest, (more, more), constant_values=np.inf)
            self._counts = np.pad(self._counts, (more, more, (0, 0)))
            self._counts[:, -len(new) :, 0] = self._atoms[:, None]  # none of them was near any atom so far
            self._histogram = np.pad(self._histogram, (more, more, (0, 0)))

    def _count(self, centers: np.ndarray, near: np.ndarray, species: np.ndarray) -> None:
        """Count atoms by the number of their neighbours of each species; `near` (P,) holds centres of near pairs."""
        t, n = len(self._species), len(centers)
        per_atom = np.bincount(near * t + species, minlength=n * t).reshape(n, t)
        most = max(int(per_atom.max(initial=0)) + 1, self._counts.shape[2])
        self._counts = np.pad(self._counts, ((0, 0), (0, 0), (0, most - self._counts.shape[2])))
        place = (centers[:, None] * t + np.arange(t)) * most + per_atom
        self._counts += np.bincount(place.ravel(), minlength=t * t * most).reshape(t, t, most)

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
    for batch in in_batches(frames):
        counter.add_batch(batch)
    return counter.statistics()


def in_batches(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Collect frames, in order, until they have some BATCH_ATOMS atoms together."""
    batch: list[Frame] = []
    atoms = 0
    for frame in frames:
        batch.append(frame)
        atoms += len(frame.numbers)
        if atoms >= BATCH_ATOMS:
            yield batch
            batch, atoms = [], 0
    if batch:
        yield batch
