"""The interface of descriptors: `forward` for models that run, and the statistics that training sets."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dp_sim.neighbors.pairs import StructurePairs
from dp_sim.structures.batch import AtomicBatch, NeighborList


class Descriptor(torch.nn.Module):
    """The neighbourhood of every atom as n_features numbers, invariant to rotation and permutation of like atoms.

    `forward` is scripted into the model file; the other methods run in Python, for training (dp_sim.training.features).
    The geometry comes in the precision of the positions and is cast to that of the weights as pair vectors.
    """

    n_features: int

    def forward(self, batch: AtomicBatch, pairs: NeighborList) -> Tensor:
        """Compute D (N, n_features) in the precision of the weights, differentiable in positions and cell."""
        raise NotImplementedError

    def mirror_signs(self) -> Tensor | None:
        """Return the signs (n_features,) that a reflection gives to D; None where D is invariant, as it should be."""
        return None

    def set_statistics(self, frames: Sequence[StructurePairs]) -> None:
        """Write means and deviations over the training frames into the buffers."""
        raise NotImplementedError
