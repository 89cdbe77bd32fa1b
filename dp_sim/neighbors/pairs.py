"""Pair vectors, and the pairs of one structure, from which statistics and training start.

The sign rule r_ij = r_j - r_i + shift @ cell is applied here and in the searches of this folder, nowhere else.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dp_sim.neighbors.search import NeighborSearch
from dp_sim.structures.batch import AtomicBatch, NeighborList
from dp_sim.structures.checks import Structure, check_density, check_distances, check_structures


class StructurePairs(NamedTuple):
    """Pairs of one structure, in float64, sorted by centre."""

    species: Tensor  # (N,)
    center: Tensor  # (P,)
    neighbor: Tensor  # (P,)
    vectors: Tensor  # (P, 3) Angstrom


def pair_vectors(batch: AtomicBatch, pairs: NeighborList) -> Tensor:
    """Compute r_ij (P, 3), Angstrom, of the pairs of a batch; differentiable in its positions and cell."""
    cell = batch.cell[batch.system[pairs.center]]
    return (
        batch.positions[pairs.neighbor]
        - batch.positions[pairs.center]
        + torch.bmm(pairs.shift[:, None, :], cell)[:, 0, :]
    )


def find_pairs(structure: Structure, species: Tensor, search: NeighborSearch, name: str) -> StructurePairs:
    """Find the neighbours of every atom of a structure.

    Parameters
    ----------
    structure
        Positions, cell and periodicity.
    species
        (N,) int64, species of its atoms.
    search
        Neighbour search.
    name
        What messages call the structure.

    Raises
    ------
    InputError
        `check_structures` refuses the structure, two atoms are on one spot, or the pairs would fill the memory.
    """
    check_density(check_structures([structure], name), search.cutoff, name)
    positions = torch.as_tensor(np.asarray(structure.positions, dtype=np.float64))
    cell = torch.as_tensor(np.asarray(structure.cell, dtype=np.float64))
    pairs: NeighborList = search(positions, cell, torch.as_tensor(np.asarray(structure.pbc, dtype=bool)))
    vectors = pair_vectors(AtomicBatch(positions, species, cell[None], torch.zeros_like(species)), pairs)
    check_distances(torch.linalg.vector_norm(vectors, dim=1), pairs.center, pairs.neighbor, name)
    return StructurePairs(species, pairs.center, pairs.neighbor, vectors)
