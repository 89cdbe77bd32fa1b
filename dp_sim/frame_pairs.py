"""The pairs of one labelled frame: what statistics and training start from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dp_sim.batch import AtomicBatch, NeighborList
from dp_sim.data import Frame
from dp_sim.neighbors import NeighborSearch, pair_vectors
from dp_sim.structure import check_density, check_distances, check_structures


class FramePairs(NamedTuple):
    """One frame's pairs, in float64, sorted by centre."""

    species: Tensor  # (N,)
    center: Tensor  # (P,)
    neighbor: Tensor  # (P,)
    vectors: Tensor  # (P, 3) Angstrom


def find_pairs(frame: Frame, species: Tensor, search: NeighborSearch) -> FramePairs:
    """Neighbours of a frame; InputError for coincident atoms, and for more of them than fit into memory."""
    check_density(check_structures([frame], frame.name), search.cutoff, frame.name)
    positions = torch.as_tensor(np.asarray(frame.positions, dtype=np.float64))
    cell = torch.as_tensor(np.asarray(frame.cell, dtype=np.float64))
    pairs: NeighborList = search(positions, cell, torch.as_tensor(np.asarray(frame.pbc, dtype=bool)))
    vectors = pair_vectors(AtomicBatch(positions, species, cell[None], torch.zeros_like(species)), pairs)
    check_distances(torch.linalg.vector_norm(vectors, dim=1), pairs.center, pairs.neighbor, frame.name)
    return FramePairs(species, pairs.center, pairs.neighbor, vectors)
